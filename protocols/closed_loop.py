"""Programming by a controller of each cell: read, decide on the next pulses, pulse, read again.

What `ramps` does with a fixed schedule, a controller does with what it has seen of its cell. All
cells advance together: a round is one transaction, whatever the controllers have decided. A cell
leaves when a read finds it inside the band, when its controller gives it up (it is stuck, or out
of reach), or after `rounds_max` rounds.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, JobResult, Mask
from cimlab.core.errors import LimitError
from cimlab.protocols.procedure import Round, Steps, idle_on_error
from cimlab.protocols.verified import VerifyPlan

Pulses: TypeAlias = tuple[Floats, NDArray[np.int64]]
"""Signed amplitudes, V, and counts."""


class Controller(Protocol):
    """What a policy knows of the cells still being programmed, (n,) of them."""

    def decide(self, current: Floats) -> Pulses:
        """The next pulses of the cells, (n,) each, after readings (n,) A; 0 V gives a cell up."""
        ...

    def keep(self, stay: Mask) -> None:
        """Forget all cells but those marked, (n,)."""
        ...


class LoopPlan(VerifyPlan):
    """Settings of a programming by controllers."""

    set_stop: float = Field(default=3.0, gt=0, description="largest SET amplitude, V")
    reset_stop: float = Field(default=3.0, gt=0, description="largest RESET amplitude, V")
    rounds_max: int = Field(default=60, ge=1, description="pulse-and-read rounds a cell may use")

    def check(self, spec: ArraySpec) -> None:
        """LimitError if an amplitude may go beyond what the array allows."""
        super().check(spec)
        limits = spec.limits
        if self.set_stop > limits.v_set or self.reset_stop > limits.v_reset:
            raise LimitError(
                f"{self.job}: amplitudes end beyond {limits.v_set}/-{limits.v_reset} V"
            )

    @abstractmethod
    def controller(self, spec: ArraySpec, target: Floats) -> Controller:
        """A controller of cells that are to reach target (n,) A."""

    def run(self, array: CimArray, cells: Addresses, target: Floats) -> Steps[JobResult]:
        """See VerifyPlan."""
        self.check(array.spec)
        current = np.full(cells.size, np.nan)
        pulses = np.zeros(cells.size, np.int64)
        converged = np.zeros(cells.size, np.bool_)
        active = np.arange(cells.size)
        control = self.controller(array.spec, target)
        v: Floats | None = None
        count = pulses
        rounds = 0
        with idle_on_error(array):
            while active.size:
                if v is None:
                    reading = array.read(self.v_read, cells, self.averages)
                else:
                    reading = array.pulse_and_read(
                        v, self.width, self.v_read, cells, count, self.averages
                    )
                    pulses[active] += count
                current[active] = reading.current
                # a clipped reading is a bound, not a value: never accepted, but its side is known
                hit = (np.abs(reading.current - target) <= self.tol) & ~reading.saturated
                converged[active] = hit
                yield Round(rounds, cells, v, reading.current, hit)
                rounds += 1
                v, count = control.decide(reading.current)
                stay = ~hit & (v != 0) & (rounds <= self.rounds_max)
                control.keep(stay)
                active, cells, target = active[stay], cells[stay], target[stay]
                v, count = v[stay], count[stay]
        return JobResult(current, pulses, converged, rounds)
