"""What a network on an array will cost: operations, chip time, energy, bytes, pulses.

Counted from the layers' cuts, nothing is run on an array. The chip's figures are the paper's
(PAPER 1): one tile operation takes 72 cycles of 100 MHz; 2.66 nJ for a 64x64 tile, 2.93 nJ for
256x64. Its table of LeNet, VGG-8 and ResNet-18 is reproduced exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cimlab.core.array import ArraySpec

from .tiling import Cut, cut_layer

OPERATION_SECONDS = 72 / 100e6
"""All tiles of a layer at once."""
_JOULES_64, _JOULES_256 = 2.66e-9, 2.93e-9
FRAME_BYTES = 40
"""Of a request or an answer: header, checksum, delimiter, and the fixed fields of a VMM."""
STUFFING = 1 + 1 / 254
"""Bytes on the line for a byte in a frame (COBS)."""
WRITE_OUT, WRITE_IN = 8, 12
"""Bytes to and from the board for a cell that an on-board job writes: address, target; result."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer, for one image.

    Attributes:
        name: Its name in the network.
        cut: How it is cut.
        inputs: Numbers of its input map.
        vectors: Products, and operations of the chip: its tiles work at the same time.
        columns: Columns that are converted in an operation, all tiles together.
    """

    name: str
    cut: Cut
    inputs: int
    vectors: int
    columns: int

    @property
    def tile_operations(self) -> int:
        """Operations of single tiles."""
        return self.vectors * self.cut.tiles

    @property
    def devices(self) -> int:
        """Cells in use: two a weight."""
        return 2 * self.cut.inputs * self.cut.outputs


@dataclass(frozen=True, slots=True)
class Cost:
    """A network on an array; for one image unless said otherwise.

    Attributes:
        layers: In the order of the network.
        joules_each: Energy of one tile operation, J.
    """

    layers: tuple[LayerCost, ...]
    joules_each: float

    @property
    def operations(self) -> int:
        """Operations, one layer after another."""
        return sum(layer.vectors for layer in self.layers)

    @property
    def tile_operations(self) -> int:
        """Operations of single tiles."""
        return sum(layer.tile_operations for layer in self.layers)

    @property
    def tiles(self) -> int:
        """Tiles in use."""
        return sum(layer.cut.tiles for layer in self.layers)

    @property
    def devices(self) -> int:
        """Cells in use."""
        return sum(layer.devices for layer in self.layers)

    @property
    def seconds(self) -> float:
        """Chip time, s."""
        return self.operations * OPERATION_SECONDS

    @property
    def joules(self) -> float:
        """Energy of the tiles, J."""
        return self.tile_operations * self.joules_each

    def bytes_out(self, batch: int) -> float:
        """To the board for a batch: each input map once, one byte a number."""
        each = [layer.inputs * batch * layer.cut.column_parts for layer in self.layers]
        return _framed(each, sum(layer.cut.column_parts for layer in self.layers))

    def bytes_in(self, batch: int) -> float:
        """From the board for a batch: each conversion once, one byte."""
        each = [layer.vectors * layer.columns * batch for layer in self.layers]
        return _framed(each, sum(layer.cut.column_parts for layer in self.layers))


@dataclass(frozen=True, slots=True)
class StepCost:
    """One training step over a link.

    Attributes:
        bytes_out, bytes_in: To and from the board, the writing included.
        chip_seconds: Products of the batch on the chip, s.
        link_seconds: Both directions at the link's rate, s; they take turns.
        pulses: Expected.
    """

    bytes_out: float
    bytes_in: float
    chip_seconds: float
    link_seconds: float
    pulses: float


def cost(network: nn.Module, image: tuple[int, ...], spec: ArraySpec) -> Cost:
    """Count what each Linear and Conv2d layer needs for an image of that shape.

    Raises:
        ConfigError: A layer cannot be placed on such tiles.
    """
    maps: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str, layer: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            maps[name] = (inputs[0], output)

        layer.register_forward_hook(hook)

    shapes = copy.deepcopy(network).to("meta")  # tensors without numbers: nothing is computed
    found = {n: m for n, m in shapes.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    for name, layer in found.items():
        watch(name, layer)
    with torch.no_grad():
        shapes(torch.zeros(1, *image, device="meta"))
    layers = []
    for name, (x, y) in maps.items():
        cut = cut_layer(name, found[name], spec)
        vectors = y.numel() // cut.outputs
        columns = 2 * cut.outputs * cut.row_parts
        layers.append(LayerCost(name, cut, x.numel(), vectors, columns))
    return Cost(tuple(layers), tile_joules(spec.rows, spec.cols))


def tile_joules(rows: int, cols: int) -> float:
    """Energy of a tile operation, J: a line through the paper's two sizes, by 64 columns."""
    each_row = (_JOULES_256 - _JOULES_64) / (256 - 64)
    return (_JOULES_64 + each_row * (rows - 64)) * cols / 64


def step_cost(
    network: Cost, batch: int, bytes_per_second: float, writes: float, pulses_each: float
) -> StepCost:
    """A training step of a batch.

    Args:
        network: Its cost for an image.
        batch: Images.
        bytes_per_second: What the link carries, in one direction at a time.
        writes: Cells written, on average.
        pulses_each: Pulses a cell written.
    """
    bytes_out = network.bytes_out(batch) + _framed([writes * WRITE_OUT], 1)
    bytes_in = network.bytes_in(batch) + _framed([writes * WRITE_IN], 1)
    return StepCost(
        bytes_out=bytes_out,
        bytes_in=bytes_in,
        chip_seconds=batch * network.seconds,
        link_seconds=(bytes_out + bytes_in) / bytes_per_second,
        pulses=writes * pulses_each,
    )


def _framed(payloads: Iterable[float], frames: int) -> float:
    return sum(payloads) * STUFFING + frames * FRAME_BYTES
