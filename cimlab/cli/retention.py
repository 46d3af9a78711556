"""`cimlab retention`: trained weights on a chip as time passes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cimlab.core.errors import ConfigError

from . import transfer
from .console import console, progress
from .options import Json

if TYPE_CHECKING:
    from cimlab.core.station import Station
    from cimlab.training.recipe import Recipe

TIMES = "0,60,3600,86400,2592000,31536000"


def retention(
    runs: Annotated[
        list[Path], typer.Argument(help="Run files of trainings, of the same data set.")
    ],
    station: Annotated[
        str | None,
        typer.Option(
            help="Where the weights are written: a station file (TOML), or model:?device=pcm and "
            "the like [default: model:]. A real array is waited for, as long as --times say."
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(help="A hardware file (TOML) or table1, instead of a station."),
    ] = None,
    times: Annotated[
        str, typer.Option(help="When to test, s after programming; real time on real devices.")
    ] = TIMES,
    images: Annotated[
        int | None, typer.Option(help="Test images to use, the first [default: all].", min=1)
    ] = None,
    low: Annotated[
        float | None, typer.Option(help="Least current of a cell, A [default: the training's].")
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="Largest current of a cell, A [default: the training's].")
    ] = None,
    json_: Json = False,
) -> None:
    """Write trained weights to a chip; accuracy against time, with and without scale correction."""
    from cimlab.nn import DeviceWindow
    from cimlab.rig import open_array
    from cimlab.training.retention import retention as kept

    if station is not None and hardware is not None:
        raise ConfigError("--station and --hardware exclude each other")
    try:
        due = [float(part) for part in times.split(",")]
    except ValueError as error:
        raise ConfigError(f"--times: {error}") from error
    networks = transfer.chosen(runs)
    data: dict[str, Any] = {"networks": {}}
    with progress(2 * len(due) * len(networks), unit="test") as bar:
        for network in networks:
            trained, data["data"] = transfer.trained_network(str(network.file), network.digest)
            place = _place(trained.recipe, station, hardware)
            window = DeviceWindow(low or trained.recipe.low, high or trained.recipe.high)
            found = []
            with open_array(place) as array:
                data["station"] = array.station.text
                for part in kept(trained, array, due, window, images):
                    found.append(asdict(part))
                    bar.update(1)
            data["networks"][network.label] = {
                "mode": network.mode,
                "network": network.network,
                "accuracy": trained.accuracy(images),
                "retained": found,
            }
    console.result(data, _text(data))


def _place(plan: Recipe, station: str | None, hardware: str | None) -> Station:
    from cimlab.core.station import load_station
    from cimlab.training.hardware import load_hardware

    from . import training

    if hardware is None:
        return load_station(station or "model:")
    known = load_hardware(hardware)
    return known.station(training.tiles(plan, known))


def _text(data: dict[str, Any]) -> str:
    lines = [data["data"]]
    for label, network in data["networks"].items():
        lines.append(f"{label}: {100 * network['accuracy']:.2f} % as trained")
        parts = network["retained"]
        for plain, corrected in zip(parts[::2], parts[1::2], strict=True):
            lines.append(
                f"  {plain['time']:>12,.0f} s: {100 * plain['accuracy']:.2f} %, "
                f"scales corrected {100 * corrected['accuracy']:.2f} %"
            )
    return "\n".join(lines)
