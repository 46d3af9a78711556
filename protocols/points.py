"""What characterisation yields: points, the same for every procedure, and how far it came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, Floats, Mask


@dataclass(frozen=True, slots=True)
class Points:
    """Some consecutive points of a procedure, n points of m cells each.

    Attributes:
        index: Number of the first of these points in the course of each cell, from 0; the same
            whether cells are visited together or one after another, and never twice for a cell.
        cycle: Cycle, train or loop each point belongs to, (n,).
        time: When each was measured, s of the array's clock since the procedure began, (n,).
        v: Pulse or sweep voltage before or at the reading, V, (n, m); 0 where it only read.
        width: Width of those pulses, or dwell of a sweep, s, (n,).
        count: Pulses since the point before, (n, m).
        v_read: Voltage of the reading, V, (n,).
        cells: Addresses, (m,).
        current: A, (n, m).
        saturated: True where the current is only a bound, (n, m).
        done: Share of the procedure that is done with these points, 0 to 1.
    """

    index: int
    cycle: NDArray[np.int64]
    time: Floats
    v: Floats
    width: Floats
    count: NDArray[np.int64]
    v_read: Floats
    cells: Addresses
    current: NDArray[np.float64]
    saturated: Mask
    done: float

    @property
    def g(self) -> NDArray[np.float64]:
        """Conductance, S, (n, m); NaN at the zero of a sweep."""
        v = np.where(self.v_read == 0, np.nan, self.v_read)
        g: NDArray[np.float64] = self.current / v[:, None]
        return g
