"""A laboratory's own instrument, device model and protocol: what a plug-in package holds."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray
from cimlab.drivers.instruments.keithley import Keithley2450
from cimlab.mock_hw.devices import Ages, Cells, Draws
from cimlab.protocols.characterisation import CellPlan, Course, Stress, Summary
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error
from cimlab.protocols.sweeps import Procedure


class MyMeter(Keithley2450):
    """A source meter that speaks a known one's language."""

    model = "MODEL 2450"


@dataclass(frozen=True, slots=True)
class Staircase:
    """A cell that climbs one of n equal steps with each SET pulse, and falls with each RESET.

    Attributes:
        g_min: Lowest conductance, S.
        g_max: Highest conductance, S.
        sigma_read: Read noise, S.
        steps: Steps from one to the other.
    """

    g_min: float = 4e-6
    g_max: float = 40e-6
    sigma_read: float = 0.0
    steps: float = 9.0

    name: ClassVar[str] = "staircase"

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Every cell at the bottom; no traits."""
        return np.full(n, self.g_min, np.float32), np.empty((0, n), np.float32)

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """One step in the direction of v."""
        step = np.sign(v) * np.float32((self.g_max - self.g_min) / self.steps)
        return np.clip(g + step, np.float32(self.g_min), np.float32(self.g_max))

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Nothing moves."""
        return g


class TwicePlan(CellPlan):
    """Read all cells twice, and tell how far the readings lie apart."""

    pause: float = Field(default=0.0, ge=0, description="between the two, s")

    def stress(self, spec: ArraySpec) -> Stress:
        """None: cells are only read."""
        return Stress()


@dataclass(frozen=True, slots=True)
class Apart:
    """What came out: differences, (n,) A."""

    difference: NDArray[np.float64]

    def summary(self) -> Summary:
        """The largest difference."""
        return {"largest_A": float(np.abs(self.difference).max())}


def twice(array: CimArray, plan: TwicePlan, cells: Addresses) -> Generator[Points, None, Apart]:
    """Read, wait, read again."""
    course = Course(array, plan, cells)
    seen = []
    with idle_on_error(array):
        for k in range(2):
            course.wait(k * plan.pause)
            points = course.point(k, array.read(plan.v_read, cells, plan.averages), (k + 1) / 2)
            seen.append(points.current[0])
            yield points
    return Apart(seen[1] - seen[0])


TWICE = Procedure("twice", "Two readings", TwicePlan, twice, harmless=True)
