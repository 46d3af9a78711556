"""An SMU as its own pulse generator: slow, but under compliance."""

from __future__ import annotations

import numpy as np

from cimlab.drivers.instruments import SourceMeter

WIDTH_MIN = 1e-3
"""Shortest level that an SMU's list sweep holds with some accuracy, s."""
COUNT_MAX = 1000
"""Pulses of one list; each takes two levels."""


class SmuPulses:
    """A PulseGenerator made of list sweeps of an SMU, which stays the caller's.

    Args:
        smu: The instrument.
        i_comp: Compliance during pulses, A.
    """

    def __init__(self, smu: SourceMeter, i_comp: float) -> None:
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

    def off(self) -> None:
        """Output off."""
        self._smu.off()

    def close(self) -> None:
        """The SMU belongs to its owner."""
