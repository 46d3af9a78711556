"""Cutting layers into tiles: which weight sits on which cells.

A weight is a pair of cells in adjacent columns of one row: the even column is the plus side, the
odd one the minus side. A layer with more inputs than a tile has rows is cut into row parts, whose
partial sums are added digitally; a convolution is cut on whole input channels, floor(rows /
(kh kw)) of them a part (PAPER 4, the mapping table). A layer with more outputs than a tile has
column pairs is cut into column parts. Each part has a tile of its own.
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
        inputs: Inputs of an output: in_features, or in_channels * kh * kw.
        outputs: out_features or out_channels.
        rows: Inputs of a full row part.
        pairs: Outputs of a full column part.
    """

    inputs: int
    outputs: int
    rows: int
    pairs: int

    @property
    def row_parts(self) -> int:
        """Parts whose sums are added."""
        return -(-self.inputs // self.rows)

    @property
    def column_parts(self) -> int:
        """Parts side by side."""
        return -(-self.outputs // self.pairs)

    @property
    def tiles(self) -> int:
        """Tiles that the layer needs."""
        return self.row_parts * self.column_parts

    def inputs_of(self, row_part: int) -> int:
        """Inputs of a row part; the last may have fewer."""
        return min(self.rows, self.inputs - row_part * self.rows)

    def outputs_of(self, column_part: int) -> int:
        """Outputs of a column part; the last may have fewer."""
        return min(self.pairs, self.outputs - column_part * self.pairs)

    def parts(self) -> NDArray[np.int64]:
        """Which of the layer's tiles each weight is on, (outputs, inputs)."""
        row_part = np.arange(self.inputs) // self.rows
        column_part = np.arange(self.outputs)[:, None] // self.pairs
        return column_part * self.row_parts + row_part


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
        """On consecutive tiles, from the corner of each."""
        parts = [(j, k) for j in range(cut.column_parts) for k in range(cut.row_parts)]
        return cls(
            cut,
            tuple(first + p for p in range(cut.tiles)),
            (0,) * cut.column_parts,
            tuple(tuple(range(cut.outputs_of(j))) for j, _ in parts),
        )

    def windows(self) -> tuple[Window, ...]:
        """The part of the chip that each column part uses."""
        return tuple(
            Window(
                self.tiles[self._parts(j)],
                (self.rows[j], self.rows[j] + min(self.cut.rows, self.cut.inputs)),
                (2 * int(slots.min()), 2 * int(slots.max()) + 2),
            )
            for j, slots in enumerate(map(self.slots, range(self.cut.column_parts)))
        )

    def slots(self, column_part: int) -> NDArray[np.int64]:
        """Column pair of every output of a column part on each of its tiles, (tiles, outputs)."""
        return np.array(self.pairs[self._parts(column_part)], np.int64)

    def cells(self, spec: ArraySpec) -> Addresses:
        """Addresses of all pairs, (2, outputs, inputs): the plus cells, then the minus cells."""
        cut, part = self.cut, self.cut.parts()
        first = np.repeat(self.rows, cut.pairs)[: cut.outputs, None]
        row = first + np.arange(cut.inputs) % cut.rows
        # as wide as a full part; a narrower one leaves the rest unused
        pairs = np.zeros((cut.tiles, cut.pairs), np.int64)
        for k, own in enumerate(self.pairs):
            pairs[k, : len(own)] = own
        pair = pairs[part, np.arange(cut.outputs)[:, None] % cut.pairs]
        plus = (np.array(self.tiles)[part] * spec.rows + row) * spec.cols + 2 * pair
        return np.stack([plus, plus + 1])

    def _parts(self, column_part: int) -> slice:
        n = self.cut.row_parts
        return slice(column_part * n, (column_part + 1) * n)


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
    if layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ConfigError(
            f"{name}: a convolution on chip has one group, and zero padding given in pixels"
        )
    area = layer.kernel_size[0] * layer.kernel_size[1]
    channels = min(spec.rows // area, layer.in_channels)
    if channels == 0:
        raise ConfigError(
            f"{name}: one channel of its kernel needs {area} rows, a tile has {spec.rows}"
        )
    return Cut(layer.in_channels * area, layer.out_channels, channels * area, pairs)
