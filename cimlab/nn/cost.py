"""What a network on an array will cost: operations, chip time, energy, bytes, pulses.

Counted from the layers' cuts, nothing is run on an array. The chip's figures are the paper's
(PAPER 1): one tile operation takes 72 cycles of 100 MHz; 2.66 nJ for a 64x64 tile, 2.93 nJ for
256x64. Its table of LeNet, VGG-8 and ResNet-18 is reproduced exactly.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cimlab.core.array import ArraySpec
from cimlab.core.errors import ConfigError

from .choosing import choose
from .tiling import Cut, cut_layer

OPERATION_SECONDS = 72 / 100e6
"""All tiles of a layer at once."""
_JOULES_64, _JOULES_256 = 2.66e-9, 2.93e-9
FRAME_BYTES = 40
"""Of a request or an answer: header, checksum, delimiter, and the fixed fields of a VMM."""
STUFFING = 1 + 1 / 254
"""Bytes on the line for a byte in a frame (COBS)."""
PAIR_BYTES = 9 / 8
"""Of a pair's difference (docs/wire.md 3.10)."""
WRITE_OUT, WRITE_IN = 8, 12
"""Bytes to and from the board for a cell that an on-board job writes: address, target; result."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer, for one image.

    Attributes:
        name: Its name in the network.
        cut: How it is cut.
        inputs: Numbers of its input map.
        vectors: Input vectors.
        columns: Columns that are converted for one, all tiles together.
    """

    name: str
    cut: Cut
    inputs: int
    vectors: int
    columns: int

    @property
    def operations(self) -> int:
        """Operations of the chip: tiles work at the same time, groups on one tile take turns."""
        return self.vectors * self.cut.turns

    @property
    def tile_operations(self) -> int:
        """Operations of single tiles."""
        return self.vectors * self.cut.parts

    @property
    def devices(self) -> int:
        """Cells in use: two a weight."""
        return 2 * self.cut.inputs * self.cut.outputs

    @property
    def flops(self) -> int:
        """Floating-point operations that its products stand for: two a weight and vector."""
        return self.vectors * self.devices

    def crossbars(self, copies: int, spec: ArraySpec) -> int:
        """Tiles for so many copies; copies of a small layer share a tile block-diagonally."""
        if self.cut.tiles > 1:
            return copies * self.cut.tiles
        rows, cols = self.cut.groups * self.cut.inputs, 2 * self.cut.outputs
        return -(-copies // min(spec.rows // rows, spec.cols // cols))


@dataclass(frozen=True, slots=True)
class Cost:
    """A network on an array; for one image unless said otherwise.

    Attributes:
        layers: In the order of the network.
        spec: The tiles that it is cut for.
    """

    layers: tuple[LayerCost, ...]
    spec: ArraySpec

    @property
    def operations(self) -> int:
        """Operations, one layer after another."""
        return sum(layer.operations for layer in self.layers)

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
    def flops(self) -> int:
        """Floating-point operations that all products stand for."""
        return sum(layer.flops for layer in self.layers)

    @property
    def utilisation(self) -> float:
        """Cells in use over the cells of the tiles in use, 0 to 1."""
        return self.devices / (self.tiles * self.spec.rows * self.spec.cols)

    @property
    def seconds(self) -> float:
        """Chip time, one layer after another, s."""
        return self.operations * OPERATION_SECONDS

    @property
    def seconds_pipelined(self) -> float:
        """Time between images when all layers work at once, and the last ones' finish, s.

        The slowest layer's operations and one more for each other layer: with this rule the
        paper's 0.42, 0.74 and 0.75 ms come out (PAPER 4).
        """
        return self._pipelined([layer.operations for layer in self.layers])

    def copies(self) -> tuple[int, ...]:
        """How often each layer is laid down so that the slowest kind keeps up with the next.

        A power of two, as the positions of a map are split in halves.
        """
        counts = sorted({layer.operations for layer in self.layers}, reverse=True)
        wanted = counts[min(1, len(counts) - 1)]
        return tuple(2 ** int(math.log2(max(1, x.operations / wanted))) for x in self.layers)

    @property
    def crossbars_copied(self) -> int:
        """Tiles with those copies."""
        pairs = zip(self.layers, self.copies(), strict=True)
        return sum(layer.crossbars(copies, self.spec) for layer, copies in pairs)

    @property
    def seconds_copied(self) -> float:
        """As `seconds_pipelined`, with copies, s."""
        pairs = zip(self.layers, self.copies(), strict=True)
        return self._pipelined([-(-layer.operations // copies) for layer, copies in pairs])

    def _pipelined(self, operations: list[int]) -> float:
        return (max(operations) + len(operations) - 1) * OPERATION_SECONDS

    @property
    def joules(self) -> float:
        """Energy of the tiles, J."""
        return self.tile_operations * tile_joules(self.spec.rows, self.spec.cols)

    def bytes_out(self, batch: int) -> float:
        """To the board for a batch: each input map once, one byte a number."""
        return _framed([layer.inputs * batch for layer in self.layers], len(self.layers))

    def bytes_in(self, batch: int) -> float:
        """From the board for a batch: each pair of columns once, nine bits."""
        each = [layer.vectors * layer.columns / 2 * PAIR_BYTES * batch for layer in self.layers]
        return _framed(each, len(self.layers))


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


def cost(
    network: nn.Module,
    image: tuple[int, ...],
    spec: ArraySpec,
    on_chip: Iterable[str] | None = None,
) -> Cost:
    """Count what the layers of any network of Linear and Conv2d need for an image of that shape.

    Args:
        network: The network.
        image: Shape of an input, without the batch.
        spec: The tiles; their number does not matter.
        on_chip: Names of the layers to place; None for all (see `choose`).

    Raises:
        ConfigError: A layer cannot be placed on such tiles, or is not used for an image; or the
            network does not take such images.
    """
    calls: dict[str, list[tuple[int, int]]] = {}

    def watch(name: str, layer: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls.setdefault(name, []).append((inputs[0].numel(), output.numel()))

        layer.register_forward_hook(hook)

    # one image is sooner done than torch's meta device imported
    shapes = copy.deepcopy(network).eval()
    found = choose(shapes, on_chip)
    for name, layer in found.items():
        watch(name, layer)
    try:
        with torch.no_grad():
            shapes(torch.zeros(1, *image))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ConfigError(f"the network does not take an image of {image}: {error}") from error
    if unused := found.keys() - calls.keys():
        raise ConfigError(f"{', '.join(sorted(unused))}: not used for an image; leave it out")
    layers = []
    for name, sizes in calls.items():
        cut = cut_layer(name, found[name], spec)
        inputs, outputs = (sum(side) for side in zip(*sizes, strict=True))
        columns = 2 * cut.outputs * cut.row_parts
        layers.append(LayerCost(name, cut, inputs, outputs // cut.outputs, columns))
    return Cost(tuple(layers), spec)


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
