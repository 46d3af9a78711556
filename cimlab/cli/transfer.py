"""`cimlab transfer`: trained weights written to many chips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cimlab.core.errors import ConfigError

from .console import console, progress
from .options import Json

if TYPE_CHECKING:
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
    json_: Json = False,
) -> None:
    """Write trained weights to many chips; accuracy over that of the FP32 run among them.

    Without a run of mode fp32, over that of each network's own weights as trained.
    """
    from pydantic import ValidationError

    from cimlab.training.transfer import Writing, spreads

    try:
        sigmas = [float(part) for part in sigma.split(",")]
        plan = Writing(levels=levels, spread=spread, stuck=stuck)
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"--sigma, --spread or --stuck: {error}") from error
    if out is not None and out.suffix not in (".png", ".pdf"):
        raise ConfigError(f"{out}: a figure is written as .png or .pdf")
    networks, source = _load(runs)
    own = {file: network.accuracy(images) for file, network in networks.items()}
    fp32 = [own[file] for file, network in networks.items() if network.recipe.mode == "fp32"]
    found: dict[Path, list[Spread]] = {}
    with progress(len(networks) * len(sigmas) * chips * seeds) as bar:
        for file, network in networks.items():
            draws = []
            for s in sigmas:
                for chip in range(chips):
                    for seed in range(seeds):
                        draws += network.draws(plan, s, chip, seed, images)
                        bar.update(1)
            found[file] = spreads(draws, fp32[0] if fp32 else own[file])
    labels = {file: f"{networks[file].recipe.mode} ({file.stem})" for file in networks}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        violins({labels[file]: parts for file, parts in found.items()}).savefig(out)
    data = {
        "data": source,
        "networks": {
            labels[file]: {
                "mode": networks[file].recipe.mode,
                "network": networks[file].recipe.network,
                "accuracy": own[file],
                "transferred": [part.summary() for part in parts],
            }
            for file, parts in found.items()
        },
        "reference": fp32[0] if fp32 else None,
        "chips": chips,
        "seeds": seeds,
        "plan": plan.model_dump(),
        "figure": str(out) if out else None,
    }
    console.result(data, _text(data))


def _load(runs: list[Path]) -> tuple[dict[Path, Trained], str]:
    """The networks of run files, and where their images come from."""
    from cimlab import records
    from cimlab.core.errors import RecordError
    from cimlab.training.recipe import Recipe
    from cimlab.training.transfer import Trained

    from .training import LOADERS

    data, images, found = "", None, {}
    for file in runs:
        with records.load(file) as run:
            kept = run.checkpoint()
            if run.kind != "train" or kept is None:
                raise RecordError(f"{file} holds no training")
            plan = Recipe.model_validate(run.plan)
            if images is None:
                data, images = plan.data, LOADERS[plan.data]()
            if plan.data != data:
                raise ConfigError(f"{file} was trained on {plan.data}, others on {data}")
            found[file] = Trained(*kept, (run.spec["rows"], run.spec["cols"]), images)
    assert images is not None  # noqa: S101 - there is at least one run
    return found, f"{data}, {images.source}"


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
    axes.set_ylabel("accuracy over FP32")
    figure.legend(loc="outside upper center", ncols=len(found))
    axes.grid(axis="y", alpha=0.3)
    return figure
