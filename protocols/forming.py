"""Forming: a ramp of pulses, or of quasi-static sweeps under compliance, until a cell conducts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, Mask
from cimlab.core.errors import CapabilityError
from cimlab.protocols.characterisation import (
    CellPlan,
    Course,
    Stress,
    Summary,
    median,
    spread,
    stated,
    visited_apart,
)
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error


class FormingPlan(CellPlan):
    """A forming ramp: every cell leaves it as soon as it conducts."""

    mode: Literal["pulses", "sweeps"] = Field(
        default="pulses", description="pulses, or quasi-static sweeps to each level"
    )
    v_start: float = Field(default=1.5, gt=0, description="first level, V")
    v_stop: float = Field(default=3.0, gt=0, description="last level, V")
    v_step: float = Field(default=0.1, gt=0, description="distance of the levels, V")
    i_target: float = Field(
        default=1e-6, gt=0, description="current at v_read at which a cell is formed, A"
    )
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")
    count: int = Field(default=1, ge=1, description="pulses of each level")
    i_comp: float = Field(default=100e-6, gt=0, description="compliance of sweeps, A")
    dwell: float = Field(default=1e-3, ge=0, description="time at a level of a sweep, s")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.v_start > self.v_stop:
            raise ValueError("the ramp must start at or below v_stop")
        return self

    @property
    def levels(self) -> Floats:
        """The ramp, (n,) V."""
        n = int((self.v_stop - self.v_start) / self.v_step + 1e-9)
        return self.v_start + self.v_step * np.arange(n + 1)

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan."""
        n, top = self.levels.size, float(self.levels[-1])
        if self.mode == "sweeps":
            return Stress(top, 0.0, 0.0, self.dwell, n * (n + 1) // 2, n, quasi_static=True)
        return Stress.of(top, self.width, n * self.count, self.count)

    def check(self, spec: ArraySpec) -> None:
        """See CellPlan; CapabilityError when sweeps are asked of an array that cannot."""
        if self.mode == "sweeps" and "sweep" not in spec.capabilities:
            raise CapabilityError("forming by sweeps needs an array that can; use mode 'pulses'")
        super().check(spec)


@dataclass(frozen=True, slots=True)
class FormingResult:
    """What became of the cells; all arrays (m,).

    Attributes:
        cells: Addresses.
        formed: True where the last reading reached the target.
        v_form: Level after which it did, V; 0 where a cell conducted from the start, NaN where
            it never did.
        current: Last reading, A.
    """

    cells: Addresses
    formed: Mask
    v_form: NDArray[np.float64]
    current: NDArray[np.float64]

    def summary(self) -> Summary:
        """Yield, and the forming voltage of the cells that needed one."""
        needed = self.v_form[self.v_form > 0]
        return stated(
            cells=self.cells.size,
            formed=int(self.formed.sum()),
            born_formed=int((self.v_form == 0).sum()),
            v_form_median_V=median(needed),
            v_form_sigma_V=spread(needed),
            current_median_A=median(self.current),
        )


def forming(
    array: CimArray, plan: FormingPlan, cells: Addresses
) -> Generator[Points, None, FormingResult]:
    """Form cells (m,); those that conduct already get no pulse."""
    course = Course(array, plan, cells)
    n = cells.size
    result = FormingResult(cells, np.zeros(n, np.bool_), np.full(n, np.nan), np.full(n, np.nan))
    with idle_on_error(array):
        for at, group in course.visits(plan.mode == "sweeps" or visited_apart(array.spec)):
            yield from _ramp(array, plan, course, group, np.arange(n)[at], result)
    return result


def _ramp(
    array: CimArray,
    plan: FormingPlan,
    course: Course,
    cells: Addresses,
    place: Addresses,
    result: FormingResult,
) -> Generator[Points, None, None]:
    """The ramp of some cells; place (n,) says where they are in the result."""
    index = 0
    levels = [0.0, *plan.levels.tolist()]
    for k, v in enumerate(levels):
        share = k / len(levels)
        if k and plan.mode == "sweeps":
            points = _sweep(array, plan, course, cells, index, share, plan.levels[:k])
            yield points
            index += k
        if k and plan.mode == "pulses":
            reading = array.pulse_and_read(
                v, plan.width, plan.v_read, cells, plan.count, plan.averages
            )
            stress = {"v": v, "width": plan.width, "count": plan.count}
        else:
            reading = array.read(plan.v_read, cells, plan.averages)
            stress = {}
        formed = np.abs(reading.current) >= plan.i_target
        result.current[place] = reading.current
        result.formed[place] = formed
        result.v_form[place[formed]] = v
        ends = bool(formed.all())
        yield course.point(index, reading, 1.0 if ends else (k + 1) / len(levels), **stress)
        index += 1
        if ends:
            return
        cells, place = cells[~formed], place[~formed]


def _sweep(
    array: CimArray,
    plan: FormingPlan,
    course: Course,
    cells: Addresses,
    index: int,
    share: float,
    v: Floats,
) -> Points:
    begun = course.time
    trace = array.sweep(v, plan.i_comp, plan.dwell, cells)
    still = array.spec.limits.v_read
    return course.trace(index, trace, begun, share, v=v, width=plan.dwell, v_read=v, still=still)
