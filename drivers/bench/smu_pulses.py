"""An SMU as its own pulse generator: slow, but under compliance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cimlab.drivers.instruments import Samples, SweepMeter

WIDTH_MIN = 1e-3
"""Shortest level that an SMU's list sweep holds with some accuracy, s."""
LEVELS_MAX = 2500
"""Levels of one list: what the smallest memory holds."""
COUNT_MAX = LEVELS_MAX // 2
"""Pulses of one list; each takes two levels."""


class SmuPulses:
    """A PulseTrainer made of list sweeps of an SMU, which stays the caller's.

    Args:
        smu: The instrument.
        i_comp: Compliance during pulses, A.
    """

    def __init__(self, smu: SweepMeter, i_comp: float) -> None:
        self._smu, self._i_comp = smu, i_comp

    @property
    def identity(self) -> str:
        """See Role."""
        return f"pulses by SMU under {self._i_comp:g} A"

    @property
    def v_max(self) -> float:
        """See PulseGenerator."""
        return self._smu.v_max

    @property
    def width_min(self) -> float:
        """See PulseGenerator."""
        return WIDTH_MIN

    @property
    def count_max(self) -> int:
        """See PulseGenerator."""
        return COUNT_MAX

    def protect(self, v_low: float, v_high: float) -> None:
        """See PulseGenerator; the array's own check stands before an SMU, which has no limits."""

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """See PulseGenerator; width is a lower bound, as each level is measured too."""
        self._smu.sweep(np.tile([v, 0.0], count), self._i_comp, width)

    def train(
        self, v: NDArray[np.float64], width: NDArray[np.float64], v_read: float, averages: int = 1
    ) -> Samples:
        """See PulseTrainer; one list holds pulses of one width, and up to LEVELS_MAX levels.

        The width is the dwell of every level of the list, so a reading lasts as long as a pulse.
        """
        most = max(LEVELS_MAX // (1 + averages), 1)
        parts = []
        for first, last in _parts(width, most):
            levels = np.full((last - first, 1 + averages), v_read)
            levels[:, 0] = v[first:last]
            parts.append(self._smu.sweep(levels.ravel(), self._i_comp, float(width[first])))
        readings = np.concatenate([np.arange(p.i.size) % (1 + averages) > 0 for p in parts])
        return Samples(
            np.concatenate([p.v for p in parts])[readings],
            np.concatenate([p.i for p in parts])[readings],
            np.concatenate([p.limited for p in parts])[readings],
        )

    def off(self) -> None:
        """Output off."""
        self._smu.off()

    def close(self) -> None:
        """The SMU belongs to its owner."""


def _parts(width: NDArray[np.float64], most: int) -> Iterator[tuple[int, int]]:
    """First and one past the last of consecutive equal widths, so many at the most."""
    first = 0
    for k in range(1, width.size + 1):
        if k == width.size or width[k] != width[first] or k - first == most:
            yield first, k
            first = k
