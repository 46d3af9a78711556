"""Programming by ramps of pulses with a read after each: the loop that write-verify and ISPP share.

Each cell climbs a ramp of SET or RESET pulses, `v_step` higher each time, until a read finds it
inside the band (it is done) or on the other side of its target (the opposite ramp starts anew).
A cell whose ramp passes its last voltage, or that has used up its ramps, drops out unconverged.
All cells of all tiles advance together: a round is one transaction, whatever polarities,
amplitudes and tiles are mixed in it, and cells leave it as they finish.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, JobResult, Mask
from cimlab.core.errors import ConfigError, LimitError
from cimlab.protocols.procedure import Round, Steps, idle_on_error
from cimlab.protocols.verified import VerifyPlan

ROUNDING = 1e-9
"""Volts by which sums of steps may miss the end of a ramp."""


class RampPlan(VerifyPlan):
    """Settings of a ramped programming; subclasses name the protocol and set the defaults."""

    reset_first: ClassVar[bool]

    v_step: float = Field(gt=0, description="rise of the amplitude from pulse to pulse, V")
    set_start: float = Field(gt=0, description="first SET amplitude of a ramp, V")
    set_stop: float = Field(default=3.0, gt=0, description="last SET amplitude of a ramp, V")
    reset_start: float = Field(gt=0, description="first RESET amplitude of a ramp, V")
    reset_stop: float = Field(default=3.0, gt=0, description="last RESET amplitude of a ramp, V")
    set_lead: float = Field(
        default=0.0,
        ge=0,
        description="rise of a SET ramp's start for each factor e of error/tol, V",
    )
    reset_lead: float = Field(
        default=0.0,
        ge=0,
        description="rise of a RESET ramp's start for each factor e of error/tol, V",
    )
    on_board: Literal["auto", "never"] = Field(
        default="auto", description="run beside the chip where the array offers this job"
    )

    @model_validator(mode="after")
    def _ramps_rise(self) -> Self:
        if self.set_start > self.set_stop or self.reset_start > self.reset_stop:
            raise ValueError("a ramp must start at or below its stop")
        return self

    @property
    @abstractmethod
    def ramps_max(self) -> int:
        """Ramps a cell may use."""

    def settings(self) -> dict[str, float]:
        """What an on-board job needs to do the same: every number of the plan."""
        values = self.__dict__  # looked up by name, each takes a call three times as long
        return {name: float(values[name]) for name in _numbers(type(self))}

    @classmethod
    def from_settings(cls, settings: Mapping[str, float]) -> Self:
        """The plan back from `settings`; ConfigError when a number is missing or wrong."""
        try:
            return cls.model_validate({**settings, "on_board": "never"})
        except ValidationError as error:
            raise ConfigError(f"job {cls.job}: {error}") from error

    def check(self, spec: ArraySpec) -> None:
        """LimitError if some ramp would go beyond what the array allows."""
        super().check(spec)
        limits = spec.limits
        if self.set_stop > limits.v_set or self.reset_stop > limits.v_reset:
            raise LimitError(f"{self.job}: ramps end beyond {limits.v_set}/-{limits.v_reset} V")

    def run(self, array: CimArray, cells: Addresses, target: Floats) -> Steps[JobResult]:
        """See VerifyPlan."""
        return ramps(array, self, cells, target)

    def inside(self, v: Floats | None, error: Floats) -> Mask:
        """True where a cell off its target by error (A) after pulses v is accepted."""
        return np.abs(error) <= self.tol

    def start(self, error: Floats) -> Floats:
        """First amplitudes of new ramps, signed V, for cells off their targets by error, A."""
        up = error < 0
        if not (self.set_lead or self.reset_lead):
            return np.where(up, self.set_start, -self.reset_start)
        far = np.log(np.maximum(np.abs(error) * (1 / self.tol), 1.0))
        v_set = np.minimum(self.set_start + self.set_lead * far, self.set_stop)
        v_reset = np.minimum(self.reset_start + self.reset_lead * far, self.reset_stop)
        return np.where(up, v_set, -v_reset)

    def step(self, v: Floats, error: Floats) -> tuple[Floats, Mask]:
        """Next amplitudes after pulses v left cells off by error; True where a ramp turned."""
        turned = (v > 0) == (error > 0)
        return np.where(turned, self.start(error), v + np.copysign(self.v_step, v)), turned

    def within(self, v: Floats) -> Mask:
        """True where v is not beyond the end of its ramp."""
        return (v <= self.set_stop + ROUNDING) & (v >= -self.reset_stop - ROUNDING)


@cache
def _numbers(kind: type[RampPlan]) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name != "on_board")


def ramps(array: CimArray, plan: RampPlan, cells: Addresses, target: Floats) -> Steps[JobResult]:
    """Bring cells (n,) to target (n,) A at plan.v_read; yields a `Round` a transaction.

    With plan.reset_first every cell gets one full RESET, and its first SET pulse in round 0;
    otherwise round 0 only reads.
    """
    plan.check(array.spec)
    current = np.full(cells.size, np.nan)
    pulses = np.zeros(cells.size, np.int64)
    converged = np.zeros(cells.size, np.bool_)
    active = np.arange(cells.size)
    used = np.ones(cells.size, np.int64)
    v: Floats | None = None
    rounds = 0
    with idle_on_error(array):
        if plan.reset_first and cells.size:
            array.pulse(-plan.reset_stop, plan.width, cells=cells)
            pulses += 1
            v = np.full(cells.size, plan.set_start)
        while active.size:
            if v is None:
                reading = array.read(plan.v_read, cells, plan.averages)
            else:
                reading = array.pulse_and_read(
                    v, plan.width, plan.v_read, cells, averages=plan.averages
                )
                pulses[active] += 1
            current[active] = reading.current
            error = reading.current - target
            # a clipped reading is a bound, not a value: never accepted, but its side is known
            hit = plan.inside(v, error) & ~reading.saturated
            converged[active] = hit
            yield Round(rounds, cells, v, reading.current, hit)
            rounds += 1
            if v is None:
                v = plan.start(error)
            else:
                v, turned = plan.step(v, error)
                used += turned
            stay = ~hit & (used <= plan.ramps_max) & plan.within(v)
            if not stay.all():
                active, cells, target = active[stay], cells[stay], target[stay]
                v, used = v[stay], used[stay]
    return JobResult(current, pulses, converged, rounds)
