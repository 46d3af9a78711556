"""I-V curves: quasi-static where the array can sweep a voltage, else by pulses.

Levels are visited in excursions: away from zero to a peak, and back where the shape says so. Each
cell is read at `v_read` before the first excursion and after each one. A quasi-static sweep
measures the current at each level, under compliance; a pulsed one reads at `v_read` after each
pulse, and takes a cell for having reached the compliance when its conductance times the pulse's
voltage has: the pulses themselves know no compliance.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, Mask
from cimlab.core.errors import CapabilityError
from cimlab.protocols.characterisation import (
    ROUNDING,
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


class IvPlan(CellPlan):
    """An I-V curve; the defaults cycle a b-RRAM once."""

    shape: Literal["linear", "double", "bipolar", "list"] = Field(
        default="bipolar", description="up; up and back; the same for both signs; or `levels`"
    )
    v_start: float = Field(default=0.0, description="first level, V")
    v_stop: float = Field(default=2.5, description="peak, either sign, V")
    v_stop_reset: float = Field(default=-2.8, lt=0, description="second peak of bipolar, V")
    step: float = Field(default=0.1, gt=0, description="distance of the levels, V")
    levels: tuple[float, ...] = Field(default=(), description="levels of shape list, V")
    cycles: int = Field(default=1, ge=1, description="times that the levels are gone through")
    mode: Literal["auto", "dc", "pulsed"] = Field(
        default="auto", description="auto: quasi-static where the array can"
    )
    i_comp: float = Field(default=100e-6, gt=0, description="compliance, A")
    dwell: float = Field(default=1e-3, ge=0, description="time at a quasi-static level, s")
    width: float = Field(default=1e-6, gt=0, description="width of the pulses of pulsed mode, s")
    step_back: bool = Field(
        default=False,
        description="come back once the compliance is reached; quasi-static: a level at a time",
    )

    @model_validator(mode="after")
    def _has_levels(self) -> Self:
        if (self.shape == "list") != bool(self.levels):
            raise ValueError("levels belong to shape 'list', and only to it")
        if self.shape == "bipolar" and not 0 <= self.v_start < self.v_stop:
            raise ValueError("bipolar needs 0 <= v_start < v_stop")
        return self

    def quasi_static(self, spec: ArraySpec) -> bool:
        """True where the levels are swept, False where they are pulses."""
        return self.mode == "dc" or (self.mode == "auto" and "sweep" in spec.capabilities)

    def excursions(self) -> list[Floats]:
        """Levels of a cycle, V: each excursion rises in magnitude, then falls; one sign each."""
        match self.shape:
            case "linear":
                return _split(self._ramp(self.v_start, self.v_stop))
            case "double":
                up = self._ramp(self.v_start, self.v_stop)
                return _split(np.concatenate([up, up[-2::-1]]))
            case "bipolar":
                up = self._ramp(self.v_start, self.v_stop)
                down = self._ramp(-self.v_start, self.v_stop_reset)
                return [np.concatenate([ramp, ramp[-2::-1]]) for ramp in (up, down)]
            case _:
                return _split(np.array(self.levels))

    def _ramp(self, start: float, stop: float) -> Floats:
        return np.linspace(start, stop, max(2, round(abs(stop - start) / self.step) + 1))

    def stress(self, spec: ArraySpec) -> Stress:
        """See CellPlan; levels of a sweep that only read count as well."""
        v = np.concatenate(self.excursions())
        pulses = self.cycles * v.size
        if self.quasi_static(spec):
            longest = max(part.size for part in self.excursions())
            return Stress(
                max(0.0, v.max()), min(0.0, v.min()), 0.0, self.dwell, pulses, longest, True
            )
        return Stress.of(v, self.width, pulses, 1)

    def check(self, spec: ArraySpec) -> None:
        """See CellPlan; CapabilityError when mode "dc" is asked of an array that cannot sweep."""
        if self.mode == "dc" and "sweep" not in spec.capabilities:
            raise CapabilityError("mode 'dc' needs an array that can sweep; use 'auto' or 'pulsed'")
        super().check(spec)


def _split(v: Floats) -> list[Floats]:
    """Levels cut where they turn away from zero again, or change their sign."""
    cuts = [0]
    falling = False
    for k, (a, b) in enumerate(pairwise(v), start=1):
        turned = falling and abs(b) > abs(a)
        if turned or np.sign(a) * np.sign(b) < 0:
            cuts.append(k)
            falling = False
        elif abs(b) < abs(a):
            falling = True
    return [v[a:b] for a, b in pairwise([*cuts, v.size])]


@dataclass(frozen=True, slots=True)
class IvResult:
    """Switching of each cell in each cycle; all (cycles, m), NaN where there was none to see.

    Attributes:
        cells: Addresses, (m,).
        v_set: Where the compliance was reached, else the largest rise of conductance, V.
        v_reset: Where conductance fell most, on the way to the negative peak, V.
        r_on: Resistance at v_read after the first excursion to positive voltages, Ohm.
        r_off: The same after the first one to negative voltages, Ohm.
        quasi_static: Swept, or pulsed.
    """

    cells: Addresses
    v_set: NDArray[np.float64]
    v_reset: NDArray[np.float64]
    r_on: NDArray[np.float64]
    r_off: NDArray[np.float64]
    quasi_static: bool

    def summary(self) -> Summary:
        """Medians and spreads over cells and cycles."""
        return stated(
            cells=self.cells.size,
            cycles=len(self.v_set),
            mode="dc" if self.quasi_static else "pulsed",
            v_set_median_V=median(self.v_set),
            v_set_sigma_V=spread(self.v_set),
            v_reset_median_V=median(self.v_reset),
            v_reset_sigma_V=spread(self.v_reset),
            r_on_median_Ohm=median(self.r_on),
            r_off_median_Ohm=median(self.r_off),
        )


class _Curves:
    """I-V curves being taken: one cycle after another of the cells of a visit."""

    def __init__(self, array: CimArray, plan: IvPlan, cells: Addresses) -> None:
        self.course = Course(array, plan, cells)
        self.array, self.plan = array, plan
        self.swept = plan.quasi_static(array.spec)
        self.excursions = plan.excursions()
        self.points = 1 + plan.cycles * sum(part.size + 1 for part in self.excursions)
        nothing = np.full((plan.cycles, cells.size), np.nan)
        self.result = IvResult(
            cells, nothing, nothing.copy(), nothing.copy(), nothing.copy(), self.swept
        )

    def visit(self, at: slice, cells: Addresses) -> Generator[Points, None, None]:
        """All cycles of these cells, which are at that place of the result."""
        index = 0
        yield from self._read(index, cells, 0)
        for cycle in range(self.plan.cycles):
            seen: set[bool] = set()
            for v in self.excursions:
                index += 1
                g, reached = yield from self._excursion(index, v, cells, cycle)
                index += v.size
                after = yield from self._read(index, cells, cycle)
                up = bool(v[np.abs(v).argmax()] > 0)
                if up not in seen:  # the first of its sign
                    seen.add(up)
                    voltage, resistance = self._places(up)
                    g[np.abs(v) < self.plan.v_read] = np.nan
                    voltage[cycle, at] = _switching(v, g, reached, up)
                    resistance[cycle, at] = after

    def _read(self, index: int, cells: Addresses, cycle: int) -> Generator[Points, None, Floats]:
        reading = self.array.read(self.plan.v_read, cells, self.plan.averages)
        share = (index + 1) / self.points
        point = self.course.point(index, reading, share, cycle=cycle)
        yield point
        return self._resistance(point)

    @staticmethod
    def _resistance(point: Points) -> Floats:
        g = point.g[0]
        return 1 / np.where((g > 0) & ~point.saturated[0], g, np.nan)

    def _excursion(
        self, index: int, v: Floats, cells: Addresses, cycle: int
    ) -> Generator[Points, None, tuple[Floats, Mask]]:
        """Conductance at every level, (n, m) S, NaN where left out, and where it complied."""
        g = np.full((v.size, cells.size), np.nan)
        reached = np.zeros((v.size, cells.size), np.bool_)
        peak = int(np.argmax(np.abs(v)))
        cap = np.full(cells.size, np.inf)  # just below the |v| where a cell came back
        if self.swept and not self.plan.step_back:
            parts = [slice(0, v.size)]
        elif self.swept:
            parts = [*(slice(k, k + 1) for k in range(peak + 1)), slice(peak + 1, v.size)]
        else:
            parts = [slice(k, k + 1) for k in range(v.size)]
        for part in parts:
            # a sweep has one cell; what it has come back from is left out of it
            if self.swept:
                kept = np.abs(v[part]) <= cap[0]
                part = slice(part.start + int(np.argmax(kept)), part.stop)
                if not kept.any():
                    continue
                points = self._sweep(index + part.start, v[part], cells, cycle)
                reached[part] = points.saturated
            else:
                points = self._pulse(index + part.start, v[part], cap, cells, cycle)
                reached[part] = np.abs(points.g * v[part][:, None]) >= self.plan.i_comp
            g[part] = points.g
            yield points
            if self.plan.step_back and part.start <= peak:
                hit = reached[part.start]
                cap[hit] = np.minimum(cap[hit], abs(v[part.start]) * (1 - ROUNDING))
        return g, reached

    def _sweep(self, index: int, v: Floats, cells: Addresses, cycle: int) -> Points:
        begun = self.course.time
        trace = self.array.sweep(v, self.plan.i_comp, self.plan.dwell, cells)
        share = (index + v.size) / self.points
        return self.course.trace(
            index,
            trace,
            begun,
            share,
            v=v,
            width=self.plan.dwell,
            v_read=v,
            cycle=cycle,
            still=self.array.spec.limits.v_read,
        )

    def _pulse(self, index: int, v: Floats, cap: Floats, cells: Addresses, cycle: int) -> Points:
        plan = self.plan
        volts = np.where(np.abs(v) <= cap, v, 0.0)
        reading = self.array.pulse_and_read(
            volts, plan.width, plan.v_read, cells, averages=plan.averages
        )
        share = (index + 1) / self.points
        return self.course.point(
            index, reading, share, v=volts, width=plan.width, count=1, cycle=cycle
        )

    def _places(self, up: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Voltages and resistances of the result."""
        done = self.result
        return (done.v_set, done.r_on) if up else (done.v_reset, done.r_off)


def _switching(v: Floats, g: Floats, reached: Mask, up: bool) -> Floats:
    """Where cells switched on the way to the peak, (m,) V; NaN where nothing changed so.

    Up: the first compliance, else the largest rise of conductance; down: the largest fall. The
    conductance g, (n, m) S, is NaN where it was not measured, or at a voltage that tells little.
    """
    n = int(np.abs(v).argmax()) + 1
    steps = np.diff(g[:n], axis=0, prepend=np.nan) * (1 if up else -1)
    steps = np.where(steps > 0, steps, 0.0)  # NaN is no step either
    found = np.where(steps.any(axis=0), v[steps.argmax(axis=0)], np.nan)
    complied = reached[:n].any(axis=0) & up
    return np.where(complied, v[reached[:n].argmax(axis=0)], found)


def iv_sweep(array: CimArray, plan: IvPlan, cells: Addresses) -> Generator[Points, None, IvResult]:
    """Measure I-V curves of cells (m,): swept one after another, or pulsed all at once."""
    curves = _Curves(array, plan, cells)
    with idle_on_error(array):
        for at, group in curves.course.visits(curves.swept or visited_apart(array.spec)):
            yield from curves.visit(at, group)
    return curves.result
