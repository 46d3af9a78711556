"""What every programming policy is: a band, a verify read, a pulse width, and a way there."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, JobResult
from cimlab.core.errors import LimitError
from cimlab.protocols.procedure import Plan, Steps


class VerifyPlan(Plan):
    """Settings of a programming with verification; subclasses say how it goes.

    Attributes:
        job: The policy's name, in run files and of its on-board twin if it has one.
    """

    job: ClassVar[str]

    tol: float = Field(
        default=0.1e-6, gt=0, description="accepted deviation of the verify read, A at v_read"
    )
    v_read: float = Field(default=0.1, gt=0, description="read voltage, V")
    averages: int = Field(default=1, ge=1, description="conversions averaged in a verify read")
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")

    def check(self, spec: ArraySpec) -> None:
        """LimitError if the plan would go beyond what the array allows."""
        limits = spec.limits
        if self.v_read > limits.v_read or not limits.width_min <= self.width <= limits.width_max:
            raise LimitError(f"{self.job}: read voltage or pulse width beyond the limits")

    @abstractmethod
    def run(self, array: CimArray, cells: Addresses, target: Floats) -> Steps[JobResult]:
        """Bring cells (n,) to target (n,) A at v_read; yields a `Round` a transaction."""
