"""`cimlab plan-cost`: what a training will cost before anything is touched."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from .console import console
from .options import Json

BITS_PER_BYTE = 10
"""On a serial line: a start bit, eight, and a stop bit."""


def plan_cost(
    network: Annotated[str, typer.Argument(help="lenet.")] = "lenet",
    rows: Annotated[int, typer.Option(help="Rows of a tile.", min=1)] = 64,
    cols: Annotated[int, typer.Option(help="Columns of a tile.", min=2)] = 64,
    baud: Annotated[int, typer.Option(help="Bit/s of a serial link.", min=300)] = 3_000_000,
    link: Annotated[
        float | None, typer.Option(help="MB/s of another link, instead of --baud.", min=1e-6)
    ] = None,
    batch: Annotated[int, typer.Option(help="Images a step.", min=1)] = 64,
    batches: Annotated[int, typer.Option(help="Steps an epoch.", min=1)] = 400,
    epochs: Annotated[int, typer.Option(help="Epochs.", min=1)] = 13,
    updates: Annotated[
        float, typer.Option(help="Writes a weight over the run; the paper's is 10.8.", min=0)
    ] = 10.8,
    pulses: Annotated[float, typer.Option(help="Pulses a cell written.", min=0)] = 6.0,
    json_: Json = False,
) -> None:
    """Count tile operations, chip time, energy, bytes, link time and pulses of a training."""
    from cimlab.core.array import ArraySpec, Limits
    from cimlab.core.errors import ConfigError
    from cimlab.nn.cost import cost, step_cost

    if network != "lenet":
        raise ConfigError(f"no network is called {network!r}; there is lenet")
    import torch

    from cimlab.training.lenet import LeNet

    spec = ArraySpec(1, rows, cols, 8, 8, Limits(), "analog", "emulated", "a plan, no array")
    found = cost(LeNet(torch.Generator()), (1, 28, 28), spec)
    steps = batches * epochs
    speed = link * 1e6 if link else baud / BITS_PER_BYTE
    # a write moves one cell of its pair, mostly
    writes = updates * found.devices / 2 / steps
    step = step_cost(found, batch, speed, writes, pulses)
    data = {
        "network": network,
        "tiles": found.tiles,
        "devices": found.devices,
        "image": {
            "operations": found.operations,
            "tile_operations": found.tile_operations,
            "chip_seconds": found.seconds,
            "joules": found.joules,
        },
        "step": asdict(step),
        "run": {
            "steps": steps,
            "link_seconds": step.link_seconds * steps,
            "chip_seconds": step.chip_seconds * steps,
            "joules": found.joules * batch * steps,
            "pulses": step.pulses * steps,
        },
        "dominates": dominating(asdict(step)),
    }
    console.result(data, report(data))


def dominating(step: dict[str, float]) -> str:
    """What most of a step's time goes to."""
    if step["chip_seconds"] > step["link_seconds"]:
        return "the chip's operations"
    back = step["bytes_in"] > step["bytes_out"]
    return "the link: " + ("conversions from the board" if back else "inputs to the board")


def report(data: dict[str, Any]) -> str:
    """The plan for people."""
    image, step, run = data["image"], data["step"], data["run"]
    return "\n".join(
        [
            f"array      {data['tiles']} tiles, {data['devices']:,} devices",
            f"image      {image['operations']:,} operations, {image['tile_operations']:,} of "
            f"single tiles: {1e3 * image['chip_seconds']:.3g} ms, {1e6 * image['joules']:.3g} uJ",
            f"step       {step['bytes_out'] / 1e3:.4g} kB out, {step['bytes_in'] / 1e3:.4g} kB in, "
            f"{step['pulses']:.3g} pulses: link {step['link_seconds']:.3g} s, "
            f"chip {step['chip_seconds']:.3g} s",
            f"run        {run['steps']:,} steps, {run['pulses']:,.0f} pulses: "
            f"link {run['link_seconds'] / 60:.3g} min, chip {run['chip_seconds'] / 60:.3g} min, "
            f"{run['joules']:.3g} J",
            f"dominates  {data['dominates']}",
        ]
    )
