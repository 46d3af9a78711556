"""Which weights of a network the cells of a run carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

_GROUP = "weights"
_UNITS = {
    "cells": ("1", "addresses of the pairs: row 0 the plus cells, row 1 the minus cells"),
    "layer": ("1", "which of the attribute layers"),
    "scale": ("1/A", "weight = scale * (current of plus - current of minus), at the read voltage"),
}


@dataclass(frozen=True, slots=True)
class WeightMap:
    """n weights on pairs of cells, layer by layer, each in torch's order.

    Attributes:
        names: Of the layers.
        shapes: Of the layers' weights.
        cells: Addresses (2, n): plus, then minus.
        layer: Index into names, (n,).
        scale: Weight units of an ampere of difference at the read voltage, (n,).
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    cells: NDArray[np.int64]
    layer: NDArray[np.int64]
    scale: NDArray[np.float64]

    def place(self, k: int) -> tuple[str, tuple[int, ...]]:
        """Name of the layer of weight k, and its index within the layer's weights."""
        layer = int(self.layer[k])
        first = int(np.searchsorted(self.layer, layer))
        index = np.unravel_index(k - first, self.shapes[layer])
        return self.names[layer], tuple(int(i) for i in index)

    def store(self, file: h5py.File) -> None:
        """Write into a run file that is being made."""
        group = file.create_group(_GROUP)
        group.attrs["layers"] = json.dumps(
            [{"name": n, "shape": s} for n, s in zip(self.names, self.shapes, strict=True)]
        )
        for name, (unit, description) in _UNITS.items():
            dataset = group.create_dataset(name, data=getattr(self, name))
            dataset.attrs.update({"unit": unit, "description": description})

    @classmethod
    def read(cls, file: h5py.File) -> Self | None:
        """What `store` wrote; None if nothing."""
        if _GROUP not in file:
            return None
        group = file[_GROUP]
        layers = json.loads(group.attrs["layers"])
        return cls(
            tuple(layer["name"] for layer in layers),
            tuple(tuple(layer["shape"]) for layer in layers),
            **{name: group[name][()] for name in _UNITS},
        )
