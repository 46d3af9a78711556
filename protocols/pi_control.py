"""Amplitudes by a PI controller: proportional to the error and to its sum so far.

The first pulse answers the error itself, so a cell far off starts high; what the cell does not
follow adds up and raises the next amplitude. Crossing the target empties the sum: the opposite
polarity has a threshold of its own. The defaults are tuned to the b-RRAM.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import ArraySpec, Floats, Mask
from cimlab.protocols.closed_loop import LoopPlan, Pulses


class PiControl(LoopPlan):
    """PI-controlled amplitudes, one pulse a round."""

    job: ClassVar[str] = "pi"

    set_start: float = Field(default=1.5, gt=0, description="SET amplitude without an error, V")
    reset_start: float = Field(default=1.0, gt=0, description="RESET amplitude without one, V")
    set_kp: float = Field(default=0.3e6, ge=0, description="SET amplitude an error, V/A")
    reset_kp: float = Field(default=0.6e6, ge=0, description="RESET amplitude an error, V/A")
    set_ki: float = Field(default=0.1e6, ge=0, description="SET amplitude a sum of errors, V/A")
    reset_ki: float = Field(default=0.2e6, ge=0, description="RESET amplitude a sum of them, V/A")
    patience: int = Field(
        default=5, ge=1, description="pulses of the largest amplitude before a cell is given up"
    )

    def controller(self, spec: ArraySpec, target: Floats) -> _Amplitudes:
        """See LoopPlan."""
        return _Amplitudes(self, target)


class _Amplitudes:
    """Errors summed, A; positive: SET is due."""

    def __init__(self, plan: PiControl, target: Floats) -> None:
        self._plan, self._target = plan, target
        self._sum = np.zeros(target.size)
        self._at_end: NDArray[np.int64] = np.zeros(target.size, np.int64)

    def decide(self, current: Floats) -> Pulses:
        """See Controller."""
        plan = self._plan
        error = self._target - current
        up = error > 0
        self._sum = np.where(self._sum * error < 0, error, self._sum + error)
        rise = np.where(
            up,
            plan.set_kp * error + plan.set_ki * self._sum,
            -plan.reset_kp * error - plan.reset_ki * self._sum,
        )
        wanted = np.where(up, plan.set_start, plan.reset_start) + rise
        stop = np.where(up, plan.set_stop, plan.reset_stop)
        at_end = wanted >= stop
        self._at_end = np.where(at_end, self._at_end + 1, 0)
        amplitude = np.minimum(wanted, stop)
        # a reading that is no number (a line marked bad) is not followed
        lost = (self._at_end > plan.patience) | np.isnan(error)
        v = np.where(lost, 0.0, np.where(up, amplitude, -amplitude))
        return v, np.ones(v.size, np.int64)

    def keep(self, stay: Mask) -> None:
        """See Controller."""
        self._target, self._sum = self._target[stay], self._sum[stay]
        self._at_end = self._at_end[stay]
