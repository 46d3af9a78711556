"""LTP and LTD: trains of SET pulses, then of RESET pulses, with a reading after every pulse."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, Mask
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


class PulsesPlan(CellPlan):
    """LTP and LTD trains; the defaults move a b-RRAM through its window by identical pulses."""

    increments: Literal["identical", "amplitude", "width"] = Field(
        default="identical", description="what grows from pulse to pulse"
    )
    n_up: int = Field(default=50, ge=1, description="SET pulses of a cycle")
    n_down: int = Field(default=50, ge=1, description="RESET pulses of a cycle")
    v_up: float = Field(default=1.8, gt=0, description="amplitude of the first SET pulse, V")
    v_down: float = Field(default=1.1, gt=0, description="magnitude of the first RESET pulse, V")
    v_step: float = Field(default=0.02, ge=0, description="rise of the amplitude a pulse, V")
    width: float = Field(default=1e-6, gt=0, description="width of the first pulse, s")
    width_factor: float = Field(default=1.05, ge=1, description="growth of the width a pulse")
    cycles: int = Field(default=1, ge=1, description="LTP and LTD trains of each cell")
    reset_pulses: int = Field(default=10, ge=0, description="RESET pulses before the first train")
    v_reset: float = Field(default=2.5, gt=0, description="magnitude of those pulses, V")

    @property
    def before(self) -> int:
        """Points before the first train: as found, and after the RESET pulses if there are any."""
        return 2 if self.reset_pulses else 1

    @property
    def points(self) -> int:
        """Points of each cell: those before, and one a pulse."""
        return self.before + self.cycles * (self.n_up + self.n_down)

    def train(self) -> tuple[Floats, Floats]:
        """Amplitudes, V, and widths, s, of a cycle's pulses, (n_up + n_down,)."""
        k = np.concatenate([np.arange(self.n_up), np.arange(self.n_down)])
        sign = np.repeat([1.0, -1.0], [self.n_up, self.n_down])
        v = np.where(sign > 0, self.v_up, self.v_down)
        if self.increments == "amplitude":
            v = v + k * self.v_step
        factor = self.width_factor if self.increments == "width" else 1.0
        return sign * v, self.width * factor**k

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan."""
        v, width = self.train()
        if self.reset_pulses:
            v = np.append(v, -self.v_reset)
        pulses = self.reset_pulses + self.cycles * (self.n_up + self.n_down)
        return Stress.of(v, width, pulses, max(1, self.reset_pulses))


@dataclass(frozen=True, slots=True)
class PulsesResult:
    """What the trains did.

    Attributes:
        cells: Addresses, (m,).
        g_min: Lowest reading of each cell, (m,) S; NaN if it was clipped.
        g_max: Highest, (m,) S; NaN if one was clipped.
        up: Mean LTP curve over cells and cycles, (n_up + 1,) S, from the state before it.
        down: Mean LTD curve, (n_down + 1,) S.
        cycles: Of each cell.
    """

    cells: Addresses
    g_min: NDArray[np.float64]
    g_max: NDArray[np.float64]
    up: NDArray[np.float64]
    down: NDArray[np.float64]
    cycles: int

    @property
    def a_up(self) -> float:
        """A / n of the LTP curve, G = G0 + B (1 - exp(-P / A)) (PAPER 6); large: linear."""
        return curvature(self.up)

    @property
    def a_down(self) -> float:
        """The same of the LTD curve."""
        return curvature(self.down)

    def summary(self) -> Summary:
        """Window, and how linear the mean curves are."""
        return stated(
            cells=self.cells.size,
            cycles=self.cycles,
            g_min_median_S=median(self.g_min),
            g_min_sigma_S=spread(self.g_min),
            g_max_median_S=median(self.g_max),
            g_max_sigma_S=spread(self.g_max),
            a_up=self.a_up,
            a_down=self.a_down,
        )


def curvature(g: Floats) -> float:
    """A / n of the exponential that fits the curve g (n + 1,) best, within 0.01 - 100.

    NaN for a curve that is flat or holds no numbers.
    """
    n = len(g) - 1
    if not np.isfinite(g).all() or g[0] == g[-1] or n < 2:
        return float("nan")
    p = np.linspace(0.0, 1.0, n + 1)
    a = np.geomspace(0.01, 100.0, 401)[:, None]
    shape = np.expm1(-p / a) / np.expm1(-1 / a)
    # offset and height by linear least squares, for every A at once
    x = shape - shape.mean(axis=1, keepdims=True)
    y = g - g.mean()
    explained = (x @ y) ** 2 / (x**2).sum(axis=1)
    return float(a[explained.argmax(), 0])


class _Curves:
    """Running extremes of each cell and mean curves of all."""

    def __init__(self, plan: PulsesPlan, m: int) -> None:
        self.low, self.high = np.full(m, np.inf), np.full(m, -np.inf)
        self.clipped = np.zeros(m, np.bool_)
        self.total = np.zeros(1 + plan.n_up + plan.n_down)
        self.count = np.zeros(1 + plan.n_up + plan.n_down)

    def add(self, k: int, g: Floats, saturated: Mask, at: slice) -> None:
        """Readings (n, m) S after pulse k of a cycle and those that follow; k = 0: before it."""
        self.low[at] = np.minimum(self.low[at], g.min(axis=0))
        self.high[at] = np.maximum(self.high[at], g.max(axis=0))
        self.clipped[at] |= saturated.any(axis=0)
        self.total[k : k + len(g)] += g.sum(axis=1)
        self.count[k : k + len(g)] += g.shape[1]

    def result(self, plan: PulsesPlan, cells: Addresses) -> PulsesResult:
        mean = self.total / self.count
        low, high = (np.where(self.clipped, np.nan, g) for g in (self.low, self.high))
        split = 1 + plan.n_up
        return PulsesResult(cells, low, high, mean[:split], mean[split - 1 :], plan.cycles)


def pulse_trains(
    array: CimArray, plan: PulsesPlan, cells: Addresses
) -> Generator[Points, None, PulsesResult]:
    """Apply the trains to cells (m,): buffered a cell where the array can, else all at once."""
    course = Course(array, plan, cells)
    curves = _Curves(plan, cells.size)
    buffered = "train" in array.spec.capabilities
    with idle_on_error(array):
        for at, group in course.visits(buffered or visited_apart(array.spec)):
            last = yield from _first(array, plan, course, group)
            for cycle in range(plan.cycles):
                curves.add(0, last.g[-1:], last.saturated[-1:], at)
                k = 1
                take = _buffered if buffered else _pulsed
                for points in take(array, plan, course, group, cycle):
                    curves.add(k, points.g, points.saturated, at)
                    k += len(points.g)
                    yield points
                    last = points
    return curves.result(plan, cells)


def _first(
    array: CimArray, plan: PulsesPlan, course: Course, cells: Addresses
) -> Generator[Points, None, Points]:
    """As found, then after the RESET; returns the state in which the trains begin."""
    reading = array.read(plan.v_read, cells, plan.averages)
    points = course.point(0, reading, 1 / plan.points)
    yield points
    if plan.reset_pulses:
        v, width, count = -plan.v_reset, plan.width, plan.reset_pulses
        reading = array.pulse_and_read(v, width, plan.v_read, cells, count, plan.averages)
        points = course.point(1, reading, 2 / plan.points, v=v, width=width, count=count)
        yield points
    return points


def _pulsed(
    array: CimArray, plan: PulsesPlan, course: Course, cells: Addresses, cycle: int
) -> Generator[Points, None, None]:
    """A cycle, one pulse to all cells after another."""
    v, widths = plan.train()
    for k in range(v.size):
        volts, width = float(v[k]), float(widths[k])
        reading = array.pulse_and_read(volts, width, plan.v_read, cells, averages=plan.averages)
        index = plan.before + cycle * v.size + k
        share = (index + 1) / plan.points
        yield course.point(index, reading, share, v=volts, width=width, count=1, cycle=cycle)


def _buffered(
    array: CimArray, plan: PulsesPlan, course: Course, cells: Addresses, cycle: int
) -> Generator[Points, None, None]:
    """A cycle, in as few uploads as the limit of pulses a call allows."""
    v, widths = plan.train()
    most = array.spec.limits.count_max
    for k in range(0, v.size, most):
        part = slice(k, k + most)
        begun = course.time
        trace = array.train(v[part], widths[part], plan.v_read, cells, plan.averages)
        index = plan.before + cycle * v.size + k
        share = (index + len(trace.current)) / plan.points
        yield course.trace(
            index,
            trace,
            begun,
            share,
            v=v[part],
            width=widths[part],
            v_read=plan.v_read,
            cycle=cycle,
        )
