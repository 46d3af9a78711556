"""Cutting layers into tiles: which weight sits on which cells.

A weight is a pair of cells in adjacent columns of one row: the even column is the plus side, the
odd one the minus side. A layer with more inputs than a tile has rows is cut into row parts, whose
partial sums are added digitally; a convolution is cut on whole input channels, floor(rows /
(kh kw)) of them a part (PAPER 4, the mapping table). A layer with more outputs than a tile has
column pairs is cut into column parts. Each part has a tile of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def parts(self) -> NDArray[np.int64]:
        """Which of the layer's tiles each weight is on, (outputs, inputs)."""
        row_part = np.arange(self.inputs) // self.rows
        column_part = np.arange(self.outputs)[:, None] // self.pairs
        return column_part * self.row_parts + row_part


@dataclass(frozen=True, slots=True)
class Placement:
    """A cut layer on its tiles.

    Row part k of column part j is on tile ``first + j * cut.row_parts + k``.
    """

    cut: Cut
    first: int

    def windows(self) -> tuple[Window, ...]:
        """The part of the chip that each column part uses."""
        cut = self.cut
        return tuple(
            Window(
                tuple(self.first + j * cut.row_parts + k for k in range(cut.row_parts)),
                (0, min(cut.rows, cut.inputs)),
                (0, 2 * min(cut.pairs, cut.outputs - j * cut.pairs)),
            )
            for j in range(cut.column_parts)
        )

    def cells(self, spec: ArraySpec) -> Addresses:
        """Addresses of all pairs, (2, outputs, inputs): the plus cells, then the minus cells."""
        row = np.arange(self.cut.inputs) % self.cut.rows
        pair = np.arange(self.cut.outputs)[:, None] % self.cut.pairs
        tile = self.first + self.cut.parts()
        plus = (tile * spec.rows + row) * spec.cols + 2 * pair
        return np.stack([plus, plus + 1])


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


def place(layers: Mapping[str, nn.Module], spec: ArraySpec) -> dict[str, Placement]:
    """Give each layer tiles of its own, in order.

    Raises:
        ConfigError: The layers need more tiles than there are; says which need how many.
    """
    cuts = {name: cut_layer(name, layer, spec) for name, layer in layers.items()}
    if sum(cut.tiles for cut in cuts.values()) > spec.tiles:
        raise ConfigError(_too_many(cuts, spec))
    placements: dict[str, Placement] = {}
    first = 0
    for name, cut in cuts.items():
        placements[name] = Placement(cut, first)
        first += cut.tiles
    return placements


def _too_many(cuts: Mapping[str, Cut], spec: ArraySpec) -> str:
    """What to tell someone whose network does not fit."""
    need = ", ".join(f"{name} {cut.tiles}" for name, cut in cuts.items())
    total = sum(cut.tiles for cut in cuts.values())
    fit, left = [], spec.tiles
    for name, cut in cuts.items():
        if cut.tiles <= left:
            fit.append(name)
            left -= cut.tiles
    message = (
        f"the network needs {total} tiles of {spec.rows}x{spec.cols} ({need}), "
        f"the array has {spec.tiles}; use an array of at least {total} tiles"
    )
    return message + (f", or on_chip={','.join(fit)}: the others then run digitally" if fit else "")
