"""What the verbs of an array take and give (see `array`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .spec import ArraySpec, Window

Floats: TypeAlias = NDArray[np.floating]
Addresses: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reading:
    """Currents of single cells, as measured.

    Attributes:
        current: A; shape of the cells asked for: (tiles, rows, cols) for all, else (n,).
        v: Read voltage, V.
        saturated: True where the converter clipped; the current there is only a bound.
        cells: Addresses, (n,), or None when every cell was read.
    """

    current: NDArray[np.float64]
    v: float
    saturated: Mask
    cells: Addresses | None = None

    @property
    def g(self) -> NDArray[np.float64]:
        """Conductance current / v, S, in the shape of current."""
        return self.current / self.v

    def as_map(self, spec: ArraySpec) -> NDArray[np.float64]:
        """Currents as (tiles, rows, cols), A; NaN where no cell was asked for."""
        if self.cells is None:
            return self.current
        full = np.full(spec.size, np.nan)
        full[self.cells] = self.current
        return full.reshape(spec.shape)


@dataclass(frozen=True, slots=True)
class Product:
    """Column currents of a VMM.

    Attributes:
        current: A, (tiles, batch, cols) of the window, float32.
        saturated: True where the converter clipped, same shape.
    """

    current: NDArray[np.float32]
    saturated: Mask


@dataclass(frozen=True, slots=True)
class PairSum:
    """What a layer of signed weights wants of a window: its pairs of columns, weighed and summed.

    Output targets[tile, j] gets, from every tile, scales[tile] times the sum of the currents of the
    window's columns 2 j and 2 j + 1, each times its own entry of weights. Arrays with converters
    round this sum, in their codes, to a whole number from -2^adc_bits to 2^adc_bits - 1: weights
    are +1 and -1, but for what the columns' calibration corrects.

    Attributes:
        window: The part of the chip; starts at an even column and has an even number of them.
        weights: (tiles, columns) float32; 16 significant bits count.
        scales: Output units an ampere, (tiles,) float32; of output units a code, 16 significant
            bits count.
        targets: Which output each pair adds to, (tiles, pairs): each output once a tile, and -1
            for pairs that are not wanted.
        constant: What each output begins with, (outputs,) float32.
    """

    window: Window
    weights: NDArray[np.float32]
    scales: NDArray[np.float32]
    targets: NDArray[np.int64]
    constant: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PairProduct:
    """Sums of pairs, those of several windows side by side.

    Attributes:
        values: (vectors, outputs), or (images, outputs, height, width) of an unfolded map, float32.
        clipped: Conversions of wanted pairs that clipped, for each tile of each window.
    """

    values: NDArray[np.float32]
    clipped: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What an on-board programming job reports; all arrays (n,), one entry a cell.

    Attributes:
        current: Last verify reading, A.
        pulses: Pulses each cell received.
        converged: True where the last reading lay inside the band.
        rounds: Pulse-and-read rounds used.
    """

    current: NDArray[np.float64]
    pulses: NDArray[np.int64]
    converged: Mask
    rounds: int

    @classmethod
    def joined(cls, parts: Sequence[JobResult]) -> JobResult:
        """Of a job that was run on some cells after others."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.current for part in parts]),
            np.concatenate([part.pulses for part in parts]),
            np.concatenate([part.converged for part in parts]),
            max(part.rounds for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """Currents of cells at the points of a sweep or of a pulse train.

    Attributes:
        current: A, (points, cells).
        saturated: True where the compliance or the converter clipped, same shape.
        cells: Addresses, (cells,).
    """

    current: NDArray[np.float64]
    saturated: Mask
    cells: Addresses
