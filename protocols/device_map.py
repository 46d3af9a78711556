"""A map of device-to-device variation: the same SET train and RESET train for every cell."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray
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


class TrainsPlan(CellPlan):
    """A fixed SET train, then a fixed RESET train, with averaged reads around them."""

    averages: int = Field(default=64, ge=1, le=256, description="conversions averaged in a read")
    v_set: float = Field(default=2.6, gt=0, description="SET amplitude, V")
    n_set: int = Field(default=10, ge=1, description="SET pulses")
    v_reset: float = Field(default=2.8, gt=0, description="RESET amplitude (magnitude), V")
    n_reset: int = Field(default=10, ge=1, description="RESET pulses")
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan."""
        return Stress.of(
            (self.v_set, -self.v_reset),
            self.width,
            self.n_set + self.n_reset,
            max(self.n_set, self.n_reset),
        )


class MapPlan(TrainsPlan):
    """What every cell gets; the defaults drive a b-RRAM from end to end."""


@dataclass(frozen=True, slots=True)
class MapResult:
    """Conductances of each cell, all (m,) S; NaN where a reading was clipped.

    Attributes:
        cells: Addresses, (m,).
        g_first: As found.
        g_on: After the SET train.
        g_off: After the RESET train.
    """

    cells: Addresses
    g_first: NDArray[np.float64]
    g_on: NDArray[np.float64]
    g_off: NDArray[np.float64]

    def summary(self) -> Summary:
        """Medians and spreads over the cells."""
        window = self.g_on / np.where(self.g_off > 0, self.g_off, np.nan)
        return stated(
            cells=self.cells.size,
            g_first_median_S=median(self.g_first),
            g_on_median_S=median(self.g_on),
            g_on_sigma_S=spread(self.g_on),
            g_off_median_S=median(self.g_off),
            g_off_sigma_S=spread(self.g_off),
            window_median=median(window),
        )


def device_map(
    array: CimArray, plan: MapPlan, cells: Addresses
) -> Generator[Points, None, MapResult]:
    """SET, read, RESET and read cells (m,)."""
    course = Course(array, plan, cells)
    g = np.full((3, cells.size), np.nan)
    with idle_on_error(array):
        for points in trains(array, plan, course):
            place = np.searchsorted(cells, points.cells)
            g[points.index, place] = np.where(points.saturated[0], np.nan, points.g[0])
            yield points
    return MapResult(cells, *g)


def trains(array: CimArray, plan: TrainsPlan, course: Course) -> Generator[Points, None, None]:
    """Three points of every cell: as found, after the SET train, after the RESET train.

    Cells that cannot be read (NaN: their line is marked bad) are left at the first.
    """
    halves = ((1, plan.v_set, plan.n_set), (2, -plan.v_reset, plan.n_reset))
    for _, group in course.visits(visited_apart(array.spec)):
        reading = array.read(plan.v_read, group, plan.averages)
        cells = group[~np.isnan(reading.current)]
        yield course.point(0, reading, 1 / 3 if cells.size else 1.0)
        for index, v, count in halves if cells.size else ():
            reading = array.pulse_and_read(v, plan.width, plan.v_read, cells, count, plan.averages)
            share = (index + 1) / 3
            yield course.point(index, reading, share, v=v, width=plan.width, count=count)
