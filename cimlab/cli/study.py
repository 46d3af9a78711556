"""`cimlab study`: one training on many seeds, chips and devices."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cimlab.core.errors import ConfigError

from . import files
from .console import console
from .options import Json
from .studying import Cluster, Jobs, studied

if TYPE_CHECKING:
    from cimlab.core.station import Station
    from cimlab.study import Case
    from cimlab.training.recipe import Recipe

FIGURES = ("test_accuracy", "test_accuracy_best", "test_accuracy_paper_2560", "updates_per_weight")
_NOT_ALIKE = ("seed", "resume", "out", "baseline", "health")


def study(
    network: Annotated[Literal["lenet", "vgg8", "resnet18"], typer.Argument(help="What to train.")],
    options: Annotated[
        list[str] | None,
        typer.Argument(help="Options of cimlab train; after -- if study has one of the same name."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the trainings: 0-9, or 0,3,7.")] = "0-9",
    chips: Annotated[
        str | None,
        typer.Option(help="Seeds of the emulated chips [default: each training's own]."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="Device models of the chips, a,b,c [default: the station's]."),
    ] = None,
    jobs: Jobs = 0,
    cluster: Cluster = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Study file (JSON lines) [default: runs/study-NETWORK.jsonl]; run files go into "
            "the folder of its name. Started again, only what is missing is done."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Train a network many times: on each seed, chip and device.

    cimlab study lenet --seeds 0-99 -- --station model: --recipe tuned --epochs 1
    """
    # parsed anew, an option is as if it were not given
    again = ["--json"] if console.json else []
    kinds = devices.split(",") if devices else [None]
    todo = cases(
        network,
        [*(options or ()), *again],
        numbers(seeds),
        numbers(chips) if chips else None,
        kinds,
    )
    file = file or Path("runs") / f"study-{network}.jsonl"
    work = functools.partial(trained, str(file.resolve().with_suffix("")))
    runs = studied("train", work, todo, file, (jobs, cluster))
    data = {
        "network": network,
        "study": str(file),
        "summary": {device or "all": _summary(runs, device) for device in kinds},
        "runs": runs,
    }
    console.result(data, _text(data))


def numbers(text: str) -> list[int]:
    """'0-4' or '0,3,7' as numbers; ConfigError for anything else."""
    try:
        first, dash, last = text.partition("-")
        found = (
            list(range(int(first), int(last) + 1)) if dash else [int(s) for s in text.split(",")]
        )
    except ValueError:
        found = []
    if not found:
        raise ConfigError(f"{text!r} are no numbers such as 0-9 or 0,3,7")
    return found


def cases(
    network: str,
    options: Sequence[str],
    seeds: Sequence[int],
    chips: Sequence[int] | None = None,
    devices: Sequence[str | None] = (None,),
) -> list[dict[str, Any]]:
    """All that decides each training.

    Args:
        network: What to train.
        options: Of `cimlab train`.
        seeds: Of the trainings.
        chips: Seeds of the emulated chips; None for the training's own.
        devices: Their device models; None for the station's.
    """
    plan, station = _planned(network, options)
    return [
        _case(plan, station, seed, chip, device)
        for device in devices
        for seed in seeds
        for chip in ([seed] if chips is None else chips)
    ]


def _planned(network: str, options: Sequence[str]) -> tuple[Recipe, Station | None]:
    """What `cimlab train` would do with these options; no station where it needs none."""
    from cimlab.core.station import MockBoard, ModelArray, Station, load_station
    from cimlab.training.recipe import DIGITAL

    from . import train

    parser = typer.Typer(add_completion=False)
    parser.command(network)(getattr(train, network))
    given = (
        typer.main.get_command(parser).make_context(f"cimlab train {network}", list(options)).params
    )
    if wrong := [name for name in _NOT_ALIKE if given[name] is not None]:
        raise ConfigError(f"a study sets {', '.join(wrong)} itself; leave out --{wrong[0]}")
    plan, place = train.planned(network, given)
    if plan.mode in DIGITAL:
        return plan, None
    station = place if isinstance(place, Station) else load_station(place)
    emulated = isinstance(station.connection, ModelArray | MockBoard)
    if not emulated or station.trace or station.health:
        raise ConfigError(
            "a study runs on emulated chips, several at once: --station model: or mock:, "
            "without trace and health"
        )
    return plan, station


def _case(
    plan: Recipe, station: Station | None, seed: int, chip: int, device: str | None
) -> dict[str, Any]:
    case: dict[str, Any] = {"plan": plan.model_copy(update={"seed": seed}).model_dump(mode="json")}
    if station is not None:
        changes = {"seed": chip} | ({} if device is None else {"device": device})
        connection = station.connection.model_copy(update=changes)
        made_of = connection.model_dump()
        text = f"{made_of['kind']}: chip {chip} of {made_of['device']}"
        place = station.model_copy(update={"connection": connection, "text": text})
        case["station"] = files.station_facts(place)
    return case


def trained(folder: str, case: Case) -> dict[str, Any]:
    """A case of the study: a training, its run file in the folder; its figures.

    A run file that a killed worker left unfinished is replaced: a study's figures do not depend on
    what was killed.
    """
    from cimlab.study import key_of
    from cimlab.training.recipe import Recipe

    from . import training

    plan = Recipe.model_validate(case["plan"])
    station = files.recorded_station(case["station"]) if "station" in case else None
    name = f"seed{plan.seed}-{hashlib.sha256(key_of(case).encode()).hexdigest()[:12]}.h5"
    file = Path(folder) / name
    file.unlink(missing_ok=True)
    # one progress bar is enough: the study's
    with contextlib.redirect_stderr(io.StringIO()):
        result = training.start_run(plan, station or "model:", file)
    connection = case["station"]["connection"] if station else {}
    return {
        "seed": plan.seed,
        "chip": connection.get("seed"),
        "device": connection.get("device"),
        **{name: result[name] for name in FIGURES},
        "seconds": sum(epoch["seconds"] for epoch in result["epochs"]),
        "run_file": str(file),
    }


def _summary(runs: list[dict[str, Any]], device: str | None) -> dict[str, Any]:
    """Mean and standard deviation of each figure over the runs on a device, None: on any."""
    of_device = [run for run in runs if device is None or run["device"] == device]
    found: dict[str, Any] = {"runs": len(of_device)}
    for name in FIGURES:
        each = [run[name] for run in of_device]
        spread = statistics.stdev(each) if len(each) > 1 else None
        found[name] = {"mean": statistics.fmean(each), "std": spread, "least": min(each)}
    return found


def _text(data: dict[str, Any]) -> str:
    lines = []
    for device, found in data["summary"].items():
        accuracy, std = found["test_accuracy"], found["test_accuracy"]["std"]
        spread = "" if std is None else f" +- {100 * std:.2f}"
        lines.append(
            f"{device}: {found['runs']} runs, accuracy {100 * accuracy['mean']:.2f}{spread} % "
            f"(least {100 * accuracy['least']:.2f} %), "
            f"{found['updates_per_weight']['mean']:.2f} writes a weight"
        )
    return "\n".join([*lines, f"study file {data['study']}"])
