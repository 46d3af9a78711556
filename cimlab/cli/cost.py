"""`cimlab map` and `cimlab plan-cost`: what a network needs, before anything is touched."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.nn.cost import Cost

BITS_PER_BYTE = 10
"""On a serial line: a start bit, eight, and a stop bit."""


Network: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="lenet, vgg8, resnet18; or one of your own, FILE.py:NAME, a torch.nn.Module of Linear "
        "and Conv2d layers or a function that makes one."
    ),
]
Image: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Shape of an input of your own network, such as 3x32x32."),
]
OnChip: TypeAlias = Annotated[
    str | None, typer.Option(help="Layers on chip, a,b,c; the others run digitally [default: all].")
]
Tile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Rows x columns of a tile, such as 64x64 [default: as in the paper; your own 64x64]."
    ),
]


def map_(
    network: Network = "lenet",
    tile: Tile = None,
    image: Image = None,
    on_chip: OnChip = None,
    json_: Json = False,
) -> None:
    """Cut a network into crossbars: devices, operations, latency, energy, utilisation."""
    found = counted(network, tile, image, on_chip)
    layers = [
        {
            "name": layer.name,
            "inputs": layer.cut.inputs,
            "outputs": layer.cut.outputs,
            "row_parts": layer.cut.row_parts,
            "column_parts": layer.cut.column_parts,
            "groups": layer.cut.groups,
            "turns": layer.cut.turns,
            "crossbars": layer.cut.tiles,
            "devices": layer.devices,
            "operations": layer.operations,
            "tile_operations": layer.tile_operations,
            "copies": copies,
        }
        for layer, copies in zip(found.layers, found.copies(), strict=True)
    ]
    data = {
        "network": network,
        "tile": [found.spec.rows, found.spec.cols],
        "devices": found.devices,
        "crossbars": found.tiles,
        "operations": found.operations,
        "tile_operations": found.tile_operations,
        "flops": found.flops,
        "utilisation": found.utilisation,
        "latency_s": found.seconds,
        "latency_pipelined_s": found.seconds_pipelined,
        "latency_copied_s": found.seconds_copied,
        "crossbars_copied": found.crossbars_copied,
        "energy_J": found.joules,
        "layers": layers,
    }
    console.result(data, _mapped(data))


def counted(
    network: str, tile: str | None, image: str | None = None, on_chip: str | None = None
) -> Cost:
    """The cost of a network on tiles of that size."""
    import torch

    from cimlab.core.array import ArraySpec, Limits
    from cimlab.core.errors import ConfigError
    from cimlab.nn.cost import cost
    from cimlab.training import networks

    if ":" in network:
        if image is None:
            raise ConfigError("--image: say what your network takes, such as 3x32x32")
        shape, crossbar = _sizes("image", image), (64, 64)
        model = networks.own_network(network)
    else:
        if image is not None:
            raise ConfigError(f"--image is for networks of your own; {network} has its own")
        known = networks.network(network)
        model, shape, crossbar = known.make(torch.Generator()), known.image, known.tile
    sizes = crossbar if tile is None else _sizes("tile", tile)
    if len(sizes) != 2:
        raise ConfigError(f"--tile {tile!r}: write rows and columns, such as 256x64")
    spec = ArraySpec(1, *sizes, 8, 8, Limits(), "analog", "emulated", "a plan, no array")
    return cost(model, shape, spec, on_chip.split(",") if on_chip else None)


def _sizes(option: str, text: str) -> tuple[int, ...]:
    """Numbers such as 256x64."""
    from cimlab.core.errors import ConfigError

    if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})*", text):
        raise ConfigError(f"--{option} {text!r}: write sizes such as 256x64")
    return tuple(int(size) for size in text.split("x"))


def _mapped(data: dict[str, Any]) -> str:
    """The mapping for people."""
    width = max(len(layer["name"]) for layer in data["layers"])
    lines = [f"{'layer':{width}}  inputs outputs  crossbars    devices  operations  of tiles"]
    for x in data["layers"]:
        parts = f"{x['row_parts']:4d} x {x['column_parts']:<2d}"
        lines.append(
            f"{x['name']:{width}}  {x['inputs']:6d} {x['outputs']:7d}  "
            f"{parts if x['turns'] == 1 else x['crossbars']:<9} {x['devices']:10,d}  "
            f"{x['operations']:10,d} {x['tile_operations']:9,d}"
        )
        if x["turns"] > 1:
            lines[-1] += f"  {x['groups']} groups take {x['turns']} turns"
    lines += [
        f"crossbars    {data['crossbars']:,} of {data['tile'][0]}x{data['tile'][1]}, "
        f"{100 * data['utilisation']:.1f} % of their cells in use",
        f"devices      {data['devices']:,}",
        f"an image     {data['operations']:,} operations, {data['tile_operations']:,} of single "
        f"tiles, {data['flops']:,} FLOPs, {1e6 * data['energy_J']:.3g} uJ",
        f"latency      {1e3 * data['latency_s']:.3g} ms one layer after another, "
        f"{1e3 * data['latency_pipelined_s']:.3g} ms pipelined, "
        f"{1e3 * data['latency_copied_s']:.3g} ms with copies "
        f"({data['crossbars_copied']:,} crossbars)",
    ]
    return "\n".join(lines)


def plan_cost(
    network: Network = "lenet",
    tile: Tile = None,
    image: Image = None,
    on_chip: OnChip = None,
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
    from cimlab.nn.cost import step_cost

    found = counted(network, tile, image, on_chip)
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
