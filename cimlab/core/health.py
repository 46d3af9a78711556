"""What a cell is good for, as screening found it (`cimlab.protocols.screen`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .array import Mask


class Health(IntEnum):
    """State of a cell; the numbers are what files hold."""

    CLEAN = 0
    """Switches both ways."""
    FORMED = 1
    """Did not conduct when it was found, but switches since its first SET train."""
    STUCK_HIGH = 2
    """Conducts well whatever pulses it gets."""
    STUCK_LOW = 3
    """Conducts badly whatever pulses it gets."""
    OPEN = 4
    """Does not conduct at all, or hangs on a line that is marked bad."""
    UNTESTED = 255
    """Was not among the cells that were screened."""


@dataclass(frozen=True, slots=True)
class HealthMap:
    """Health of every cell of an array.

    Attributes:
        states: `Health` of each cell, uint8 (tiles, rows, cols).
        identity: Which array it is, as ArraySpec.identity says.
        utc: When the screening began, ISO 8601.
        pulses: Pulses each cell has had in its life as far as known, uint32 like states; None:
            nothing is known.
    """

    states: NDArray[np.uint8]
    identity: str
    utc: str
    pulses: NDArray[np.uint32] | None = None

    @property
    def usable(self) -> Mask:
        """True where nothing is known against the cell, (tiles, rows, cols)."""
        return ~np.isin(self.states, (Health.STUCK_HIGH, Health.STUCK_LOW, Health.OPEN))

    def count(self, health: Health) -> int:
        """Number of cells in that state."""
        return int(np.count_nonzero(self.states == health))
