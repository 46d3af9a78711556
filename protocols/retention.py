"""Retention: reads at times that are evenly spaced in their logarithm, with nothing in between."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, Mask
from cimlab.protocols.characterisation import (
    CellPlan,
    Course,
    Stress,
    Summary,
    log_spaced,
    median,
    spread,
    stated,
)
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error


class RetentionPlan(CellPlan):
    """When to read, counted from the first read; program the cells before, if they should be."""

    averages: int = Field(default=16, ge=1, le=256, description="conversions averaged in a read")
    t_first: float = Field(default=1.0, gt=0, description="time of the second read, s")
    t_last: float = Field(default=1e4, gt=0, description="time of the last read, s")
    per_decade: int = Field(default=5, ge=1, description="reads a decade of time")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.t_first > self.t_last:
            raise ValueError("t_first must not be later than t_last")
        return self

    @property
    def times(self) -> Floats:
        """When reads are due, (n,) s; the first at once."""
        return np.append(0.0, log_spaced(self.t_first, self.t_last, self.per_decade))

    def stress(self, spec: ArraySpec) -> Stress:
        """None: cells are only read."""
        return Stress()


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """What time did.

    Attributes:
        cells: Addresses, (m,).
        time: When each read was made, (n,) s from the procedure's start.
        g: Conductances, (n, m) S.
        clipped: True where a reading was only a bound, (n, m).
        nu: Drift exponent of each cell, g = g0 (t / t0)^-nu over all reads but the first, (m,);
            NaN where a reading was clipped or not positive.
    """

    cells: Addresses
    time: NDArray[np.float64]
    g: NDArray[np.float64]
    clipped: Mask
    nu: NDArray[np.float64]

    def summary(self) -> Summary:
        """Medians at both ends, and the exponents."""
        return stated(
            cells=self.cells.size,
            reads=self.time.size,
            time_s=float(self.time[-1]),
            g_first_median_S=median(self.g[0]),
            g_last_median_S=median(self.g[-1]),
            nu_median=median(self.nu),
            nu_sigma=spread(self.nu),
        )


def retention(
    array: CimArray, plan: RetentionPlan, cells: Addresses
) -> Generator[Points, None, RetentionResult]:
    """Read cells (m,) when they are due by the array's clock, or as soon after as it can."""
    course = Course(array, plan, cells)
    due = plan.times
    time = np.zeros(due.size)
    g = np.empty((due.size, cells.size))
    clipped = np.empty(g.shape, np.bool_)
    with idle_on_error(array):
        for k, moment in enumerate(due):
            course.wait(float(moment))
            reading = array.read(plan.v_read, cells, plan.averages)
            points = course.point(k, reading, (k + 1) / due.size)
            time[k], g[k], clipped[k] = points.time[0], points.g[0], points.saturated[0]
            yield points
    return RetentionResult(cells, time, g, clipped, _exponents(time[1:], g[1:], clipped))


def _exponents(time: Floats, g: Floats, clipped: Mask) -> NDArray[np.float64]:
    """-slope of ln g against ln t by least squares, (m,)."""
    good = (g > 0).all(axis=0) & ~clipped.any(axis=0)
    x = np.log(time) - np.log(time).mean()
    if not (x**2).sum() > 0:
        return np.full(g.shape[1], np.nan)
    y = np.log(np.where(good, g, 1.0))
    return np.where(good, -(x @ y) / (x**2).sum(), np.nan)
