"""Screening: which cells switch, which are stuck, which do not conduct at all."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, CimArray, Floats
from cimlab.core.health import Health, HealthMap
from cimlab.protocols.characterisation import Course, Summary, stated
from cimlab.protocols.device_map import TrainsPlan, trains
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error


class ScreenPlan(TrainsPlan):
    """What every cell gets, and how it is judged; the defaults are for a b-RRAM."""

    g_open: float = Field(default=1e-6, gt=0, description="a cell below this does not conduct, S")
    g_middle: float = Field(
        default=20e-6, gt=0, description="a cell that does not switch is stuck high above this, S"
    )
    swing_min: float = Field(
        default=5e-6, gt=0, description="change between the trains of a cell that switches, S"
    )


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """What screening found.

    Attributes:
        cells: Addresses, (m,).
        g: As found, after the SET train and after the RESET train, (3, m) S; clipped readings
            are lower bounds.
        health: Of every cell of the array; UNTESTED where it was not asked for.
    """

    cells: Addresses
    g: NDArray[np.float64]
    health: HealthMap

    def summary(self) -> Summary:
        """Number of cells in each state."""
        states = (state for state in Health if state is not Health.UNTESTED)
        counts = {state.name.lower(): self.health.count(state) for state in states}
        return stated(cells=self.cells.size, **counts)


def screen(
    array: CimArray, plan: ScreenPlan, cells: Addresses
) -> Generator[Points, None, ScreenResult]:
    """Screen cells (m,). One that cannot be read (NaN: its line is marked bad) gets no pulse."""
    utc = datetime.now(UTC).isoformat(timespec="milliseconds")
    course = Course(array, plan, cells)
    g = np.full((3, cells.size), np.nan)
    with idle_on_error(array):
        for points in trains(array, plan, course):
            g[points.index, np.searchsorted(cells, points.cells)] = points.g[0]
            yield points
    states = np.full(array.spec.size, Health.UNTESTED, np.uint8)
    states[cells] = classify(plan, g)
    health = HealthMap(states.reshape(array.spec.shape), array.spec.identity, utc)
    return ScreenResult(cells, g, health)


def classify(plan: ScreenPlan, g: Floats) -> NDArray[np.uint8]:
    """`Health` of cells from conductances as found, after SET and after RESET, (3, m) S."""
    found, on, off = g
    switches = on - off >= plan.swing_min
    conducts = np.fmax.reduce(g) >= plan.g_open
    return np.select(
        [~conducts, switches & (found < plan.g_open), switches, np.fmin(on, off) >= plan.g_middle],
        [Health.OPEN, Health.FORMED, Health.CLEAN, Health.STUCK_HIGH],
        Health.STUCK_LOW,
    ).astype(np.uint8)
