"""What a bench needs of an instrument, whoever made it: one small Protocol a role, SI units.

A bench is made of roles, so any instrument that fulfils one will do: the drivers in this package,
or an adapter around somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Crosspoint = tuple[int, int]
"""(input, output) of a switch matrix, both counted from 1."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Readings of a source-measure unit, one after another; all arrays (n,).

    Attributes:
        v: Voltage, V.
        i: Current, A.
        limited: True where the compliance was in force; the current there is only a bound.
    """

    v: NDArray[np.float64]
    i: NDArray[np.float64]
    limited: NDArray[np.bool_]


class Role(Protocol):
    """What every instrument of a bench can do."""

    @property
    def identity(self) -> str:
        """Make, model, serial number, firmware."""
        ...

    def off(self) -> None:
        """Outputs off, crosspoints open: cells are safe. Called on errors too."""
        ...

    def close(self) -> None:
        """Off, then release the instrument; a second call does nothing."""
        ...


class SourceMeter(Role, Protocol):
    """Sources a voltage, limits and measures the current."""

    @property
    def v_max(self) -> float:
        """Largest voltage it sources, V."""
        ...

    def apply(self, v: float, i_comp: float) -> None:
        """Source v volts with |current| <= i_comp amperes from now on."""
        ...

    def measure(self, count: int = 1) -> Samples:
        """Measure so many times with the source as it is."""
        ...


class SweepMeter(SourceMeter, Protocol):
    """A SourceMeter that has a list of levels and a buffer for its readings."""

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """Source each of v (n,) volts for dwell seconds and measure; then the output is off.

        One upload and one read-back, however long the sweep.
        """
        ...


class PulseGenerator(Role, Protocol):
    """Applies rectangular pulses from and to 0 V."""

    @property
    def v_max(self) -> float:
        """Largest amplitude into the high impedance of a cell, V."""
        ...

    @property
    def width_min(self) -> float:
        """Shortest pulse, s."""
        ...

    @property
    def count_max(self) -> int:
        """Most pulses of one burst."""
        ...

    def protect(self, v_low: float, v_high: float) -> None:
        """Have the instrument itself refuse levels outside v_low <= 0 <= v_high, V."""
        ...

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """Apply count pulses of v volts (either sign), width seconds; returns after the last."""
        ...


class PulseTrainer(PulseGenerator, Protocol):
    """A PulseGenerator that has a meter and a buffer for its readings."""

    def train(
        self, v: NDArray[np.float64], width: NDArray[np.float64], v_read: float, averages: int = 1
    ) -> Samples:
        """Pulse v (n,) volts, width (n,) s each, and measure so many times at v_read after each.

        The n * averages readings, in order. One upload and one read-back as far as there is room.
        """
        ...


class SwitchMatrix(Role, Protocol):
    """Connects inputs (instruments) with outputs (lines)."""

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        ...

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        ...

    def connect(self, crosspoints: Iterable[Crosspoint]) -> None:
        """Close exactly these; those that are to open do so first."""
        ...
