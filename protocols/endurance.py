"""Endurance: SET and RESET in turn, with reads at cycles evenly spaced in their logarithm."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import chain, pairwise

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
    visited_apart,
)
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error


class EndurancePlan(CellPlan):
    """Cycling until the window closes; the defaults drive a b-RRAM from end to end."""

    v_set: float = Field(default=2.6, gt=0, description="SET amplitude, V")
    v_reset: float = Field(default=2.8, gt=0, description="RESET amplitude (magnitude), V")
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")
    pulses: int = Field(default=1, ge=1, description="pulses of each half cycle")
    cycles_max: int = Field(default=1000, ge=1, description="cycles of each cell at most")
    per_decade: int = Field(default=5, ge=1, description="reads a decade of cycles")
    window_min: float = Field(
        default=2.0, gt=0, description="a cell whose g_on / g_off is below this counts as failing"
    )
    patience: int = Field(
        default=3, ge=1, description="reads in a row at which a cell fails before it is given up"
    )

    unread_max: int = Field(
        default=1000, ge=1, description="most cycles between reads, however many were done"
    )

    def reads(self) -> list[int]:
        """Cycles at which cells are read, from 1 to cycles_max."""
        spaced = log_counts(self.cycles_max, self.per_decade)
        between = (range(a + self.unread_max, b, self.unread_max) for a, b in pairwise(spaced))
        return sorted({*spaced, *chain.from_iterable(between)})

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan."""
        pulses = 2 * self.pulses * self.cycles_max
        return Stress.of((self.v_set, -self.v_reset), self.width, pulses, self.pulses)


@dataclass(frozen=True, slots=True)
class EnduranceResult:
    """How the window developed.

    Attributes:
        cells: Addresses, (m,).
        cycle: Cycles done at each read, (n,).
        g_on: After the SET of that cycle, (n, m) S; NaN once a cell was given up.
        g_off: After its RESET, (n, m) S.
        survived: Last read cycle at which the window of each cell was open, (m,).
        failed: True where a cell was given up, (m,).
    """

    cells: Addresses
    cycle: NDArray[np.int64]
    g_on: NDArray[np.float64]
    g_off: NDArray[np.float64]
    survived: NDArray[np.int64]
    failed: Mask

    def summary(self) -> Summary:
        """Windows at both ends, and the life of the cells."""
        return stated(
            cells=self.cells.size,
            cycles=int(self.cycle[np.isfinite(self.g_on).any(axis=1)][-1]),
            failed=int(self.failed.sum()),
            survived_median=median(self.survived),
            survived_least=int(self.survived.min()),
            g_on_first_median_S=median(self.g_on[0]),
            g_off_first_median_S=median(self.g_off[0]),
            g_on_last_median_S=median(self.g_on[-1]),
            g_off_last_median_S=median(self.g_off[-1]),
        )


class _Cycling:
    """Cells being cycled, those that were given up left alone."""

    def __init__(self, array: CimArray, plan: EndurancePlan, cells: Addresses) -> None:
        self.course = Course(array, plan, cells)
        self.array, self.plan = array, plan
        reads = np.array(plan.reads())
        nothing = np.full((reads.size, cells.size), np.nan)
        m = cells.size
        self.result = EnduranceResult(
            cells, reads, nothing, nothing.copy(), np.zeros(m, np.int64), np.zeros(m, np.bool_)
        )

    def visit(self, cells: Addresses, place: Addresses) -> Generator[Points, None, None]:
        """Cycle these cells, whose places in the result are place (m,)."""
        plan, result = self.plan, self.result
        yield self.course.point(0, self.array.read(plan.v_read, cells, plan.averages), 0.0)
        bad = np.zeros(cells.size, np.int64)
        done = 0
        for k, cycle in enumerate(result.cycle.tolist()):
            unread = cycle - 1 - done
            self._cycle(cells, unread)
            done = cycle
            share = (cycle - 0.5) / plan.cycles_max
            on = self._half(2 * k + 1, plan.v_set, cells, cycle, share, 2 * unread + 1)
            yield on
            off = self._half(2 * k + 2, -plan.v_reset, cells, cycle, cycle / plan.cycles_max, 1)
            result.g_on[k, place], result.g_off[k, place] = on.g[0], off.g[0]
            window = on.g[0] >= plan.window_min * off.g[0]
            result.survived[place[window]] = cycle
            bad = np.where(window, 0, bad + 1)
            stays = bad < plan.patience
            result.failed[place] = ~stays
            if not stays.any():
                yield self.course.ended(off)
                return
            yield off
            cells, place, bad = cells[stays], place[stays], bad[stays]

    def _cycle(self, cells: Addresses, cycles: int) -> None:
        """Whole cycles whose readings do not count: buffered where the array can.

        Elsewhere a cycle is two calls, as a call holds pulses of one sign.
        """
        plan, spec = self.plan, self.array.spec
        halves = (plan.v_set, -plan.v_reset)
        if "train" in spec.capabilities:
            v = np.tile(np.repeat(halves, plan.pulses), cycles)
            for k in range(0, v.size, spec.limits.count_max):
                part = v[k : k + spec.limits.count_max]
                self.array.train(part, plan.width, plan.v_read, cells)
            return
        for _ in range(cycles):
            for volts in halves:
                self.array.pulse(volts, plan.width, plan.pulses, cells)

    def _half(
        self, index: int, v: float, cells: Addresses, cycle: int, share: float, halves: int
    ) -> Points:
        """Half a cycle and its reading, at the end of so many half cycles since the last one."""
        plan = self.plan
        reading = self.array.pulse_and_read(
            v, plan.width, plan.v_read, cells, plan.pulses, plan.averages
        )
        return self.course.point(
            index, reading, share, v=v, width=plan.width, count=halves * plan.pulses, cycle=cycle
        )


def endurance(
    array: CimArray, plan: EndurancePlan, cells: Addresses
) -> Generator[Points, None, EnduranceResult]:
    """Cycle cells (m,) until they fail `patience` reads in a row, or have done `cycles_max`."""
    cycling = _Cycling(array, plan, cells)
    places = np.arange(cells.size)
    with idle_on_error(array):
        for at, group in cycling.course.visits(visited_apart(array.spec)):
            yield from cycling.visit(group, places[at])
    return cycling.result
