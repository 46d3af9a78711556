"""Cutting layers into tiles: which weight sits on which cells.

A weight is a pair of cells in adjacent columns of one row: the even column is the plus side, the
odd one the minus side. A layer with more inputs than a tile has rows is cut into row parts, whose
partial sums are added digitally; a convolution is cut on whole input channels, floor(rows /
(kh kw)) of them a part (PAPER 4, the mapping table). A layer with more outputs than a tile has
column pairs is cut into column parts. Each part has a tile of its own.

The groups of a grouped convolution are column parts with inputs of their own. Small ones share
tiles, as blocks on the diagonal, and take turns: cells cannot be switched off, so those beside
the diagonal would add their currents if all rows were driven at once. The tiles work side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cimlab.core.array import Addresses, ArraySpec, Window
from cimlab.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Cut:
    """How one layer is cut, whatever tiles it will get.

    Attributes:
        inputs: Inputs of an output: in_features, or kh * kw times a group's input channels.
        outputs: out_features or out_channels.
        rows: Inputs of a full row part.
        pairs: Outputs of a full column part.
        groups: Of a grouped convolution; 1 of any other layer.
        blocks: Groups that share each tile; 1 where each part has tiles of its own.
    """

    inputs: int
    outputs: int
    rows: int
    pairs: int
    groups: int = 1
    blocks: int = 1

    @property
    def row_parts(self) -> int:
        """Parts whose sums are added."""
        return -(-self.inputs // self.rows)

    @property
    def column_parts(self) -> int:
        """Parts side by side, all groups together."""
        return self.groups * -(-self.outputs // self.groups // self.pairs)

    @property
    def parts(self) -> int:
        """Parts of the layer."""
        return self.row_parts * self.column_parts

    @property
    def tiles(self) -> int:
        """Tiles that the layer needs."""
        return -(-self.parts // self.blocks)

    @property
    def turns(self) -> int:
        """Products one after another for each input vector."""
        return -(-self.parts // self.tiles)

    @property
    def strip(self) -> int:
        """Column parts that one product can do at once: whole groups on a tile each, or one."""
        return self.tiles if self.row_parts == 1 and self.column_parts == self.groups else 1

    def inputs_of(self, row_part: int) -> int:
        """Inputs of a row part; the last may have fewer."""
        return min(self.rows, self.inputs - row_part * self.rows)

    def outputs_of(self, column_part: int) -> int:
        """Outputs of a column part; the last of a group may have fewer."""
        own, each = self.outputs // self.groups, self.column_parts // self.groups
        return min(self.pairs, own - column_part % each * self.pairs)

    def columns(self) -> NDArray[np.int64]:
        """Column part of each output, (outputs,)."""
        sizes = [self.outputs_of(j) for j in range(self.column_parts)]
        return np.repeat(np.arange(self.column_parts), sizes)

    def part_of(self) -> NDArray[np.int64]:
        """Which of the layer's parts each weight is in, (outputs, inputs)."""
        return self.columns()[:, None] * self.row_parts + np.arange(self.inputs) // self.rows


@dataclass(frozen=True, slots=True)
class Strip:
    """Parts of a layer that one product does.

    Attributes:
        window: Where they are.
        slots: Column pair of every output of each tile, (tiles, outputs of a tile).
        targets: Which of the strip's outputs each of the window's pairs adds to, (tiles, pairs);
            -1 for none.
        inputs: Which of the layer's inputs drive its rows, tile after tile; in a row part too
            few, rows are left over.
        outputs: Which of the layer's outputs it gives.
    """

    window: Window
    slots: NDArray[np.int64]
    targets: NDArray[np.int64]
    inputs: tuple[int, int]
    outputs: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """A cut layer on its tiles.

    Attributes:
        cut: The layer.
        tiles: Of each part: row part k of column part j is on ``tiles[j * cut.row_parts + k]``.
        rows: First row of each column part, on all its tiles.
        pairs: Of each part, in the order of tiles: the column pair of each of its outputs.
    """

    cut: Cut
    tiles: tuple[int, ...]
    rows: tuple[int, ...]
    pairs: tuple[tuple[int, ...], ...]

    @classmethod
    def plain(cls, cut: Cut, first: int) -> Self:
        """On consecutive tiles, from the corner of each; blocks down their diagonals."""
        parts = np.arange(cut.parts)
        block = parts // cut.tiles
        sizes = [cut.outputs_of(p // cut.row_parts) for p in parts.tolist()]
        return cls(
            cut,
            tuple((first + parts % cut.tiles).tolist()),
            tuple((block[:: cut.row_parts] * cut.rows).tolist()),
            tuple(
                tuple(range(b * n, (b + 1) * n)) for b, n in zip(block.tolist(), sizes, strict=True)
            ),
        )

    def strips(self) -> tuple[Strip, ...]:
        """What is multiplied at once, in the order of the outputs."""
        cut, ends = self.cut, [0, *np.cumsum(np.bincount(self.cut.columns())).tolist()]
        found = []
        for first in range(0, cut.column_parts, cut.strip):
            last = min(first + cut.strip, cut.column_parts)
            parts = slice(first * cut.row_parts, last * cut.row_parts)
            slots = np.array(self.pairs[parts], np.int64)
            window = Window(
                self.tiles[parts],
                (self.rows[first], self.rows[first] + min(cut.rows, cut.inputs)),
                (2 * int(slots.min()), 2 * int(slots.max()) + 2),
            )
            # groups have outputs of their own, row parts have all the same
            begin = slots.shape[1] * np.arange(len(slots)) if last - first > 1 else 0
            group = first * cut.groups // cut.column_parts
            inputs = (group * cut.inputs, (group + last - first) * cut.inputs)
            targets = _targets(window, slots, np.broadcast_to(begin, len(slots)))
            found.append(Strip(window, slots, targets, inputs, (ends[first], ends[last])))
        return tuple(found)

    def cells(self, spec: ArraySpec) -> Addresses:
        """Addresses of all pairs, (2, outputs, inputs): the plus cells, then the minus cells."""
        cut, part, column = self.cut, self.cut.part_of(), self.cut.columns()
        row = np.array(self.rows)[column, None] + np.arange(cut.inputs) % cut.rows
        # as wide as a full part; a narrower one leaves the rest unused
        pairs = np.zeros((cut.parts, cut.pairs), np.int64)
        for k, own in enumerate(self.pairs):
            pairs[k, : len(own)] = own
        within = np.arange(cut.outputs) % (cut.outputs // cut.groups) % cut.pairs
        pair = pairs[part, within[:, None]]
        plus = (np.array(self.tiles)[part] * spec.rows + row) * spec.cols + 2 * pair
        return np.stack([plus, plus + 1])


def _targets(
    window: Window, slots: NDArray[np.int64], begin: NDArray[np.int64]
) -> NDArray[np.int64]:
    """See `Strip`; begin (tiles,) is the first output of each tile."""
    targets = np.full((len(slots), window.n_cols // 2), -1)
    outputs = begin[:, None] + np.arange(slots.shape[1])
    np.put_along_axis(targets, slots - window.cols[0] // 2, outputs, axis=1)
    return targets


def cut_layer(name: str, layer: nn.Module, spec: ArraySpec) -> Cut:
    """Cut a Linear or Conv2d for an array's tiles.

    Raises:
        ConfigError: The layer cannot be placed on such tiles at all.
    """
    pairs = spec.cols // 2
    if isinstance(layer, nn.Linear):
        rows = min(spec.rows, layer.in_features)
        return Cut(layer.in_features, layer.out_features, rows, pairs)
    if not isinstance(layer, nn.Conv2d):
        raise ConfigError(f"{name} is a {type(layer).__name__}; only Linear and Conv2d go on chip")
    area, groups = layer.kernel_size[0] * layer.kernel_size[1], layer.groups
    channels, outputs = layer.in_channels // groups, layer.out_channels // groups
    fit = min(spec.rows // area, channels)
    if fit == 0:
        raise ConfigError(
            f"{name}: one channel of its kernel needs {area} rows, a tile has {spec.rows}"
        )
    blocks = 1
    if groups > 1 and fit == channels and outputs <= pairs:
        room = min(spec.rows // (fit * area), pairs // outputs)
        tiles = -(-groups // room)
        blocks = -(-groups // tiles)  # as few turns as that many tiles allow
    return Cut(channels * area, layer.out_channels, fit * area, pairs, groups, blocks)
