"""Bidirectional incremental-step programming, with NeuRRAM's settings (PAPER 5).

No RESET first: each cell ramps from where it is, SET from 1.2 V or RESET from 1.5 V, 0.1 V
higher each time. Crossing the target starts the opposite ramp anew; at most 30 reversals.

Two settings save pulses. A ramp may start higher the farther its cell is from the target
(`set_lead`, `reset_lead`): the response is exponential in the amplitude, so the right first
pulse rises with the logarithm of the error. And averaging the verify read keeps its noise, one
and a half times NeuRRAM's band, from throwing cells out that were already there.
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
        """Averaged reads, finer pulses and led ramps: smaller errors with fewer pulses."""
        return cls(averages=16, tol=0.07e-6, width=0.2e-6, set_lead=0.15, reset_lead=0.15)

    @property
    def ramps_max(self) -> int:
        """One ramp more than reversals."""
        return self.max_reversals + 1
