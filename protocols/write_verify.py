"""Write-verify as the paper does it (PAPER 2).

RESET all cells; SET ramps 1.5 -> 3 V with one read after each pulse; once a cell is above its
target, a RESET ramp 1.5 -> 3 V; if it falls below, a SET ramp again; at most `cycles` SET-RESET
cycles. Cells drop out when a verify read lies inside the band.

Step, band and pulse width are not stated in the paper. The defaults reproduce the programming
error measured on the chip (fresh read minus target: mean +0.097 uA, sigma 0.286 uA) with the
b-RRAM model and the measured read noise, without any term that puts it there:

- The band is +-0.4 uA, half of the 2-bit weight step of 0.823 uA: a cell is accepted when it is
  nearer to its level than to the next. Verify reads spread over that band, which gives the
  larger part of sigma; the noise of the verify read and of the fresh read gives the rest.
- The mean is positive because the protocol comes to rest from above. A SET ramp goes on until
  the read is above the target, so it can end only in the upper half of the band; what it
  overshoots comes down by gradual RESET pulses, and those stop at the first read inside the
  band, near its upper edge. Two things pull back: a verify read that happens to be high is
  accepted early by the SET ramp, and coarse RESET pulses jump to the lower half.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from cimlab.core.array import Floats, Mask
from cimlab.protocols.ramps import RampPlan


class WriteVerify(RampPlan):
    """The paper's write-verify; the defaults are its training setting."""

    job: ClassVar[str] = "write_verify"
    reset_first: ClassVar[bool] = True

    tol: float = Field(
        default=0.4e-6, gt=0, description="accepted deviation of a read, A at v_read"
    )
    v_step: float = Field(
        default=0.3, gt=0, description="rise of the amplitude from pulse to pulse, V"
    )
    set_start: float = Field(default=1.5, gt=0, description="first SET amplitude of a ramp, V")
    reset_start: float = Field(default=1.5, gt=0, description="first RESET amplitude of a ramp, V")
    cycles: int = Field(default=2, ge=1, description="SET-RESET cycles a cell may use")

    @classmethod
    def characterisation(cls) -> Self:
        """Up to 5 cycles of small pulses, with averaged reads in a band of +-1 uS."""
        return cls(cycles=5, tol=0.1e-6, averages=16, width=0.2e-6, v_step=0.1)

    @property
    def ramps_max(self) -> int:
        """A SET and a RESET ramp a cycle."""
        return 2 * self.cycles

    def inside(self, v: Floats | None, error: Floats) -> Mask:
        """Inside the band, and above the target if a SET ramp led there."""
        inside = np.abs(error) <= self.tol
        return inside if v is None else inside & ((v < 0) | (error >= 0))
