"""What all characterisation procedures share: stress, limits, visits, time and points.

A procedure is `procedure(array, plan, cells) -> Generator[Points, None, Result]`. Its plan says
beforehand what the cells will stand (`stress`) and refuses what the array does not allow
(`check`); a `Course` visits the cells, keeps the time and makes the points. Every procedure
begins by reading the cells as it finds them: whatever is wrong with reading shows before a pulse.
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, Reading, Trace
from cimlab.core.errors import ConfigError
from cimlab.core.limits import ascending, between
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import Plan

Summary: TypeAlias = dict[str, float | int | str]

ROUNDING = 1e-9
"""Share by which a sum of steps may miss a limit that it means to reach."""


class Result(Protocol):
    """What a procedure returns."""

    def summary(self) -> Summary:
        """A few figures in SI units, the unit at the end of the key ("v_set_median_V")."""
        ...


@dataclass(frozen=True, slots=True)
class Stress:
    """The most that a plan does to a cell: its dry run.

    Attributes:
        v_max: Highest SET amplitude, V; 0 for none.
        v_min: Lowest RESET amplitude, V, not above 0.
        width_min: Shortest pulse, s.
        width_max: Longest pulse, or dwell of a sweep, s.
        pulses: Most pulses that a cell gets in all.
        call: Most pulses of one call.
        quasi_static: These are levels of a sweep, for which no pulse is too short.
    """

    v_max: float = 0.0
    v_min: float = 0.0
    width_min: float = 0.0
    width_max: float = 0.0
    pulses: int = 0
    call: int = 0
    quasi_static: bool = False

    @classmethod
    def of(cls, v: ArrayLike, width: ArrayLike, pulses: int, call: int) -> Stress:
        """The extremes of pulse amplitudes v, V, and widths, s."""
        v_min, v_max = min(0.0, float(np.min(v))), max(0.0, float(np.max(v)))
        return cls(v_max, v_min, float(np.min(width)), float(np.max(width)), pulses, call)


class CellPlan(Plan):
    """Settings of a characterisation procedure; every one reads cells."""

    v_read: float = Field(default=0.1, gt=0, description="read voltage, V")
    averages: int = Field(default=4, ge=1, le=256, description="conversions averaged in a read")

    @abstractmethod
    def stress(self, spec: ArraySpec) -> Stress:
        """The most that a cell of such an array will stand."""

    def check(self, spec: ArraySpec) -> None:
        """Refuse what goes beyond the array's limits, before anything is touched.

        Raises:
            LimitError: A voltage, a width or a count is beyond the limits.
        """
        limits, stress, name = spec.limits, self.stress(spec), type(self).__name__
        between(f"{name}: v_read", self.v_read, 0.0, limits.v_read, "V")
        if not stress.pulses:
            return
        between(f"{name}: SET amplitude", stress.v_max, 0.0, limits.v_set, "V")
        between(f"{name}: RESET amplitude", -stress.v_min, 0.0, limits.v_reset, "V")
        shortest = 0.0 if stress.quasi_static else limits.width_min
        between(f"{name}: width", stress.width_min, shortest, limits.width_max, "s")
        between(f"{name}: width", stress.width_max, shortest, limits.width_max, "s")
        between(f"{name}: pulses of a call", stress.call, 0, limits.count_max, "pulses")


def visited_apart(spec: ArraySpec) -> bool:
    """True where the array visits cells one after another anyway: a bench with one meter.

    Asking for one at a time then costs nothing, shows progress, and lets a run be stopped.
    """
    return spec.vmm == "emulated"


class Course:
    """A procedure under way: which cells it visits, since when, and how far it is.

    Args:
        array: Where the cells are.
        plan: Checked before anything else.
        cells: Sorted addresses, (m,).

    Raises:
        ConfigError: No cells, not sorted, or outside the array.
        LimitError: See `CellPlan.check`.
    """

    def __init__(self, array: CimArray, plan: CellPlan, cells: Addresses) -> None:
        if not (cells.size and ascending(cells, array.spec.size)):
            raise ConfigError(f"cells must be rising addresses below {array.spec.size}")
        plan.check(array.spec)
        self.cells = cells
        self._clock = array.clock
        self._start = array.clock.now()
        self._visit, self._visits = 0, 1

    def visits(self, apart: bool) -> Iterator[tuple[slice, Addresses]]:
        """Places within `cells` and addresses: one cell after another, or all at once."""
        size = 1 if apart else self.cells.size
        self._visits = math.ceil(self.cells.size / size)
        for visit in range(self._visits):
            self._visit = visit
            at = slice(visit * size, (visit + 1) * size)
            yield at, self.cells[at]

    @property
    def time(self) -> float:
        """Seconds since the procedure began."""
        return self._clock.now() - self._start

    def wait(self, until: float) -> None:
        """Sleep until so many seconds after the procedure began, if that is still to come."""
        left = until - self.time
        if left > 0:
            self._clock.sleep(left)

    def point(
        self,
        index: int,
        reading: Reading,
        share: float,
        *,
        v: ArrayLike = 0.0,
        width: float = 0.0,
        count: int = 0,
        cycle: int = 0,
    ) -> Points:
        """The point that was read just now; `share` of this visit is done with it."""
        cells = self.cells if reading.cells is None else reading.cells
        volts = np.broadcast_to(np.asarray(v, np.float64), (1, cells.size))
        return Points(
            index=index,
            cycle=np.array([cycle]),
            time=np.array([self.time]),
            v=volts,
            width=np.array([width]),
            count=np.where(volts != 0, count, 0),
            v_read=np.array([reading.v]),
            cells=cells,
            current=np.reshape(reading.current, (1, -1)),
            saturated=np.reshape(reading.saturated, (1, -1)),
            done=self._done(share),
        )

    def trace(
        self,
        index: int,
        trace: Trace,
        begun: float,
        share: float,
        *,
        v: Floats,
        width: ArrayLike,
        v_read: ArrayLike,
        cycle: int = 0,
        still: float = 0.0,
    ) -> Points:
        """The points of a sweep or train that was asked for at time `begun` and ended just now.

        An instrument does not tell when it measured each: they are spread evenly. Levels of up
        to `still` volts only read, and are no pulses.
        """
        n, m = trace.current.shape
        now = self.time
        volts = np.broadcast_to(v[:, None], (n, m))
        return Points(
            index=index,
            cycle=np.full(n, cycle),
            time=begun + (now - begun) * np.arange(1, n + 1) / n,
            v=volts,
            width=np.broadcast_to(np.asarray(width, np.float64), n),
            count=(np.abs(volts) > still).astype(np.int64),
            v_read=np.broadcast_to(np.asarray(v_read, np.float64), n),
            cells=trace.cells,
            current=trace.current,
            saturated=trace.saturated,
            done=self._done(share),
        )

    def ended(self, points: Points) -> Points:
        """The same points, as the last of this visit."""
        return dataclasses.replace(points, done=self._done(1.0))

    def _done(self, share: float) -> float:
        return (self._visit + share) / self._visits


def stated(**figures: float | int | str) -> Summary:
    """Figures of a summary; what could not be measured (NaN) is left out."""
    return {
        name: value
        for name, value in figures.items()
        if not (isinstance(value, float) and math.isnan(value))
    }


def median(values: ArrayLike) -> float:
    """Median of the values that are numbers; NaN if there are none."""
    known = _known(values)
    return float(np.median(known)) if known.size else math.nan


def spread(values: ArrayLike) -> float:
    """Standard deviation of the values that are numbers; NaN if there are none."""
    known = _known(values)
    return float(np.std(known)) if known.size else math.nan


def _known(values: ArrayLike) -> Floats:
    given = np.asarray(values, np.float64)
    return given[np.isfinite(given)]


def log_spaced(first: float, last: float, per_decade: int) -> Floats:
    """Numbers from first to last, both included, evenly spaced in their logarithm."""
    steps = max(1, math.ceil(per_decade * math.log10(last / first) - ROUNDING))
    numbers = np.geomspace(first, last, steps + 1) if last > first else np.array([last])
    return np.asarray(numbers, np.float64)


def log_counts(last: int, per_decade: int) -> list[int]:
    """Whole numbers from 1 to last, both included, as evenly spaced in their logarithm."""
    return sorted({round(x) for x in log_spaced(1, last, per_decade)})
