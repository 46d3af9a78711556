"""`cimlab transfer`: trained weights written to many chips."""

from __future__ import annotations

import functools
import hashlib
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cimlab.core.errors import ConfigError

from .console import console
from .options import Json
from .studying import Cluster, Jobs, studied

if TYPE_CHECKING:
    from cimlab.study import Case
    from cimlab.training.data import Images
    from cimlab.training.transfer import Spread, Trained

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def transfer(
    runs: Annotated[
        list[Path], typer.Argument(help="Run files of trainings, of the same data set.")
    ],
    sigma: Annotated[
        str, typer.Option(help="Programming errors, in gaps between the cells' levels.")
    ] = "0,0.25,0.5",
    chips: Annotated[int, typer.Option(help="Chips.", min=1)] = 10,
    seeds: Annotated[int, typer.Option(help="Writings of each chip.", min=1)] = 10,
    images: Annotated[
        int | None, typer.Option(help="Test images to use, the first [default: all].", min=1)
    ] = None,
    stuck: Annotated[float, typer.Option(help="Share of cells that are stuck.")] = 0.002,
    spread: Annotated[
        float, typer.Option(help="Relative sigma of cells in products over verify reads.")
    ] = 0.02,
    levels: Annotated[int, typer.Option(help="Levels of a cell.", min=2)] = 16,
    out: Annotated[
        Path | None, typer.Option(help="Figure to write, .png or .pdf [default: none].")
    ] = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    study: Annotated[
        Path | None,
        typer.Option(
            help="Study file (JSON lines): keeps each writing once it is done; started again, "
            "only what is missing is done [default: none]."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Write trained weights to many chips; accuracy over that of FP32 runs among them.

    Over the mean of several, and without any over that of each network's own weights as trained.
    """
    from pydantic import ValidationError

    from cimlab.training.transfer import Draw, Writing, spreads

    try:
        sigmas = [float(part) for part in sigma.split(",")]
        plan = Writing(levels=levels, spread=spread, stuck=stuck)
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"--sigma, --spread or --stuck: {error}") from error
    if out is not None and out.suffix not in (".png", ".pdf"):
        raise ConfigError(f"{out}: a figure is written as .png or .pdf")
    networks = chosen(runs)
    writings: list[dict[str, Any]] = [
        {"sigma": s, "chip": chip, "seed": seed, "plan": plan.model_dump()}
        for s in sigmas
        for chip in range(chips)
        for seed in range(seeds)
    ]
    cases = [
        {"run": network.digest, "images": images} | part
        for network in networks
        for part in ({}, *writings)
    ]
    work = functools.partial(tried, {n.digest: str(n.file.resolve()) for n in networks})
    results = iter(studied("transfer", work, cases, study, (jobs, cluster)))
    trained, draws = {}, {}
    for network in networks:
        trained[network.label] = next(results)
        draws[network.label] = [
            Draw(part["sigma"], part["chip"], part["seed"], **draw)
            for part, each in zip(writings, results, strict=False)
            for draw in each["draws"]
        ]
    fp32 = _means([(n.network, trained[n.label]["accuracy"]) for n in networks if n.mode == "fp32"])
    found = {
        n.label: spreads(draws[n.label], fp32.get(n.network, trained[n.label]["accuracy"]))
        for n in networks
    }
    kinds = _pooled(networks, found)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        violins(kinds).savefig(out)
    data = {
        "data": trained[networks[0].label]["data"],
        "networks": {
            n.label: {
                "mode": n.mode,
                "network": n.network,
                "accuracy": trained[n.label]["accuracy"],
                "transferred": [part.summary() for part in found[n.label]],
            }
            for n in networks
        },
        "pooled": {kind: [part.summary() for part in parts] for kind, parts in kinds.items()},
        "reference": fp32,
        "chips": chips,
        "seeds": seeds,
        "plan": plan.model_dump(),
        "figure": str(out) if out else None,
        "study": str(study) if study else None,
    }
    console.result(data, _text(data))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run file that holds a training; digest tells it from others, wherever it lies."""

    file: Path
    digest: str
    mode: str
    network: str

    @property
    def label(self) -> str:
        """How results call it."""
        return f"{self.mode} ({self.file.stem})"


def chosen(runs: list[Path]) -> list[Chosen]:
    """The trainings in run files; RecordError if one holds none."""
    from cimlab import records
    from cimlab.core.errors import RecordError

    found, data = [], set()
    for file in runs:
        with records.load(file) as run:
            if run.kind != "train" or run.checkpoint() is None:
                raise RecordError(f"{file} holds no training")
            plan = run.plan
        data.add(plan["data"])
        if len(data) > 1:
            raise ConfigError(f"{file} was trained on {plan['data']}, others on other data")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        found.append(Chosen(file, digest, plan["mode"], plan["network"]))
    return found


def tried(files: Mapping[str, str], case: Case) -> dict[str, Any]:
    """A case of the study: a network as it was trained, or one writing of it.

    Args:
        files: Run files by their digest.
        case: Which network, and how it is written.
    """
    from cimlab.training.transfer import Writing

    network, data = trained_network(files[case["run"]], case["run"])
    images = case["images"]
    if "plan" not in case:
        return {"accuracy": network.accuracy(images), "data": data}
    plan = Writing.model_validate(case["plan"])
    draws = network.draws(plan, case["sigma"], case["chip"], case["seed"], images)
    return {"draws": [{"recalibrated": d.recalibrated, "accuracy": d.accuracy} for d in draws]}


def _means(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The mean of each name's values."""
    found: dict[str, list[float]] = {}
    for name, value in values:
        found.setdefault(name, []).append(value)
    return {name: statistics.fmean(each) for name, each in found.items()}


def _pooled(networks: list[Chosen], found: Mapping[str, list[Spread]]) -> dict[str, list[Spread]]:
    """Writings of all networks that are alike and were trained alike, by what they are called."""
    from cimlab.training.transfer import pooled

    groups: dict[str, list[list[Spread]]] = {}
    for one in networks:
        groups.setdefault(f"{one.network} {one.mode}", []).append(found[one.label])
    return {
        f"{kind}, {len(parts)} trained" if len(parts) > 1 else kind: pooled(parts)
        for kind, parts in groups.items()
    }


@functools.cache
def trained_network(file: str, digest: str) -> tuple[Trained, str]:
    """The network of a run file, loaded once a process, and where its images come from."""
    from cimlab import records
    from cimlab.core.errors import RecordError
    from cimlab.training.transfer import Trained

    with records.load(file) as run:
        kept, tile, data = run.checkpoint(), (run.spec["rows"], run.spec["cols"]), run.plan["data"]
    if kept is None:
        raise RecordError(f"{file} holds no training")
    images = _images(data)
    return Trained(*kept, tile, images), f"{data}, {images.source}"


@functools.cache
def _images(data: str) -> Images:
    from .training import LOADERS

    return LOADERS[data]()


def _text(data: dict[str, Any]) -> str:
    lines = [f"{data['chips']} chips, {data['seeds']} writings each; {data['data']}"]
    for label, network in data["networks"].items():
        lines.append(f"{label}: {100 * network['accuracy']:.2f} % as trained")
        for part in network["transferred"]:
            low, high = part["quartiles"]
            after = ", batch norm recalibrated" if part["recalibrated"] else ""
            lines.append(
                f"  sigma {part['sigma']:g}{after}: median {part['median']:.4f} "
                f"(quartiles {low:.4f} - {high:.4f}, 5 % below {part['p5']:.4f})"
            )
    if len(data["pooled"]) < len(data["networks"]):
        lines += [
            f"{kind}, sigma {part['sigma']:g}"
            f"{', batch norm recalibrated' if part['recalibrated'] else ''}: "
            f"median {part['median']:.4f} of {part['draws']} writings"
            for kind, parts in data["pooled"].items()
            for part in parts
        ]
    return "\n".join(lines)


def violins(found: dict[str, list[Spread]]) -> Any:
    """Distributions of normalised accuracies: a group a sigma, a violin a network; a Figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    kinds = sorted({(p.sigma, p.recalibrated) for parts in found.values() for p in parts})
    width = 0.8 / len(found)
    for k, (label, parts) in enumerate(found.items()):
        colour = COLOURS[k % len(COLOURS)]
        places = [
            kinds.index((p.sigma, p.recalibrated)) + (k - (len(found) - 1) / 2) * width
            for p in parts
        ]
        drawn = axes.violinplot(
            [p.accuracies for p in parts], places, widths=0.9 * width, showmedians=True
        )
        # stubs type all entries alike
        for body in cast(list[Any], drawn["bodies"]):
            body.set(facecolor=colour, alpha=0.5)
        for name in ("cmedians", "cmins", "cmaxes", "cbars"):
            drawn[name].set_color(colour)
        axes.plot([], [], "s", color=colour, label=label)
    axes.axhline(1.0, color="grey", linewidth=0.8)
    names = [f"{sigma:g}" + (" (batch norm\nrecalibrated)" if r else "") for sigma, r in kinds]
    axes.set_xticks(range(len(kinds)), names)
    axes.set_xlabel("programming error (gaps between levels)")
    axes.set_ylabel("accuracy over FP32's as trained")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=len(found))
    axes.grid(axis="y", alpha=0.3)
    return figure
