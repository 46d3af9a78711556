"""Bidirectional incremental-step programming, with NeuRRAM's settings (PAPER 5).

No RESET first: each cell ramps from where it is, SET from 1.2 V or RESET from 1.5 V, 0.1 V
higher each time. Crossing the target starts the opposite ramp anew; at most 30 reversals.

Two settings save pulses and error. A ramp may start higher the farther its cell is from the
target (`set_lead`, `reset_lead`): the response is exponential in the amplitude, so the right
first pulse rises with the logarithm of the error, by the device's slope. And averaging the
verify read keeps its noise, one and a half times NeuRRAM's band, from accepting cells that are
off and throwing out cells that were there.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from cimlab.protocols.ramps import RampPlan


class Ispp(RampPlan):
    """ISPP from wherever the cells are; the defaults are NeuRRAM's."""

    job: ClassVar[str] = "ispp"
    reset_first: ClassVar[bool] = False

    tol: float = Field(
        default=0.1e-6, gt=0, description="accepted deviation of a read, A at v_read"
    )
    v_step: float = Field(
        default=0.1, gt=0, description="rise of the amplitude from pulse to pulse, V"
    )
    set_start: float = Field(default=1.2, gt=0, description="first SET amplitude of a ramp, V")
    reset_start: float = Field(default=1.5, gt=0, description="first RESET amplitude of a ramp, V")
    max_reversals: int = Field(default=30, ge=0, description="changes of direction a cell may use")

    @classmethod
    def precise(cls) -> Self:
        """Averaged reads and led ramps, tuned to the b-RRAM: smaller errors, fewer pulses."""
        return cls(
            tol=0.07e-6,
            averages=16,
            set_start=1.4,
            reset_start=0.6,
            set_lead=0.25,
            reset_lead=0.5,
        )

    @property
    def ramps_max(self) -> int:
        """One ramp more than reversals."""
        return self.max_reversals + 1
