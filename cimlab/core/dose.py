"""How much may heat a cell: energy at a time, and the share of time that it is driven."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .clock import Clock
from .errors import LimitError


@dataclass(frozen=True, slots=True)
class Dose:
    """Limits on what a cell takes up.

    Attributes:
        energy_max: Most that a cell may take up in one call, J.
        g_max: The most that a cell may conduct, S: its resistance is not known before it is driven.
        duty_max: Largest share of time that cells are driven, 0 to 1.
    """

    energy_max: float = np.inf
    g_max: float = 0.0
    duty_max: float = 1.0

    def seconds(
        self, v: ArrayLike, width: ArrayLike, count: ArrayLike, one_cell: bool = False
    ) -> float:
        """The longest time that a cell is driven, s.

        Args:
            v: Amplitudes, V; 0 drives nothing. All broadcast.
            width: Of a pulse, s.
            count: Pulses.
            one_cell: All of these go to the same cell, not one to each.

        Raises:
            LimitError: A cell would take up more than energy_max, v^2 g_max a second.
        """
        volts = np.asarray(v, np.float64)
        time = np.where(volts != 0, np.multiply(width, count, dtype=np.float64), 0.0)
        energy = np.square(volts) * self.g_max * time
        whole = np.sum if one_cell else np.max
        most = float(whole(energy, initial=0.0))
        if not most <= self.energy_max:
            raise LimitError(
                f"a cell that conducts {self.g_max:g} S (g_max) would take up {most:.3g} J, more "
                f"than {self.energy_max:g} J (energy_max): fewer, shorter or smaller pulses a call"
            )
        return float(whole(time, initial=0.0))


class Rest:
    """Makes whoever drives cells wait until they have rested.

    Args:
        duty_max: Largest share of time that cells are driven, 0 to 1.
    """

    def __init__(self, duty_max: float) -> None:
        self._factor = 1 / duty_max - 1
        self._until = -np.inf

    def wait(self, clock: Clock) -> None:
        """Return when cells may be driven again."""
        if (left := self._until - clock.now()) > 0:
            clock.sleep(left)

    def driven(self, clock: Clock, seconds: float) -> None:
        """Cells were driven until now, for so many seconds."""
        self._until = clock.now() + self._factor * seconds
