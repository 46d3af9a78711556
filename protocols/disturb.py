"""Disturb: many pulses that should change nothing, those of reads or of half-selected cells."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Mask
from cimlab.protocols.characterisation import (
    CellPlan,
    Course,
    Stress,
    Summary,
    log_counts,
    median,
    stated,
)
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error


class DisturbPlan(CellPlan):
    """Which disturbance, and how often; reads are averaged, as shifts are small."""

    averages: int = Field(default=64, ge=1, le=256, description="conversions averaged in a read")
    kind: Literal["read", "half_select"] = Field(
        default="half_select", description="pulses of v_read, or of half the programming amplitude"
    )
    v: float = Field(
        default=3.0, description="programming amplitude whose half disturbs, > 0 SET, < 0 RESET, V"
    )
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")
    count: int = Field(default=10_000, ge=1, description="disturbing pulses of each cell")
    per_decade: int = Field(default=3, ge=1, description="reads a decade of pulses")
    tolerance: float = Field(
        default=0.1, gt=0, description="relative change from which a cell counts as disturbed"
    )

    @property
    def v_disturb(self) -> float:
        """Amplitude of the disturbing pulses, V."""
        return self.v_read if self.kind == "read" else self.v / 2

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan; pulses are sent in calls as large as the array allows."""
        call = min(self.count, spec.limits.count_max)
        return Stress.of(self.v_disturb, self.width, self.count, call)


@dataclass(frozen=True, slots=True)
class DisturbResult:
    """What the pulses changed.

    Attributes:
        cells: Addresses, (m,).
        pulses: Disturbing pulses before each read, (n,), from 0.
        g: Conductances, (n, m) S.
        disturbed: True where the last one is off the first by more than the tolerance, (m,).
        v: Amplitude of the pulses, V.
    """

    cells: Addresses
    pulses: NDArray[np.int64]
    g: NDArray[np.float64]
    disturbed: Mask
    v: float

    @property
    def change(self) -> NDArray[np.float64]:
        """Change of conductance from the first to the last read, (m,) S."""
        change: NDArray[np.float64] = self.g[-1] - self.g[0]
        return change

    def summary(self) -> Summary:
        """Changes of the cells, from first to last."""
        return stated(
            cells=self.cells.size,
            pulses=int(self.pulses[-1]),
            v_disturb_V=self.v,
            g_first_median_S=median(self.g[0]),
            g_change_median_S=median(self.change),
            g_change_largest_S=float(np.abs(self.change).max()),
            disturbed=int(self.disturbed.sum()),
        )


def disturb(
    array: CimArray, plan: DisturbPlan, cells: Addresses
) -> Generator[Points, None, DisturbResult]:
    """Disturb cells (m,), and read them at counts evenly spaced in their logarithm."""
    course = Course(array, plan, cells)
    counts = [0, *log_counts(plan.count, plan.per_decade)]
    g = np.empty((len(counts), cells.size))
    v, width = plan.v_disturb, plan.width
    with idle_on_error(array):
        for k, count in enumerate(counts):
            new = count - (counts[k - 1] if k else 0)
            left = new
            while left > array.spec.limits.count_max:
                array.pulse(v, width, array.spec.limits.count_max, cells)
                left -= array.spec.limits.count_max
            if new:
                reading = array.pulse_and_read(v, width, plan.v_read, cells, left, plan.averages)
            else:
                reading = array.read(plan.v_read, cells, plan.averages)
            g[k] = reading.g
            share = (k + 1) / len(counts)
            yield course.point(k, reading, share, v=v if new else 0.0, width=width, count=new)
    disturbed = np.abs(g[-1] - g[0]) > plan.tolerance * np.abs(g[0])
    return DisturbResult(cells, np.array(counts), g, disturbed, v)
