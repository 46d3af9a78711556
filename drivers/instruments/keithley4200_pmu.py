"""Keithley 4225-PMU of a 4200A-SCS under KXCI: channel 1 of the first card (Clarius 1.13 on).

Everything is segment arb: straight lines from level to level, of which those that are to be
measured give one mean each. So a train of pulses, each with its readings, is one upload, one
execution and one read-back, as far as the card's memory reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments.keithley4200 import Kxci
from cimlab.drivers.instruments.roles import Samples

V_MAX = 10.0
EDGE, WIDTH_MIN, WIDTH_MAX = 20e-9, 60e-9, 30.0
GRID = 10e-9
"""Resolution of a segment, s."""
READ, SETTLE = 100e-6, 50e-6
"""A reading is the mean of its level after the settling, s."""
GAP = 10e-6
"""At 0 V after a pulse and after its readings, s."""
SEGMENTS_MAX, LISTED_MAX = 2048, 512
"""Of one upload: segments, and entries of the course."""
COUNT_MAX = 1_000_000
BLOCK = 2048
"""Rows of one answer."""
RANGES = (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3)
PATIENCE = 60.0
"""Wait for the end of an execution beyond the time it takes, s."""


@dataclass(frozen=True, slots=True)
class _Pulse:
    """What one sequence of segments does."""

    v: float
    width: float
    v_read: float = 0.0
    readings: int = 0

    def segments(self) -> list[tuple[float, float, float, int]]:
        """Seconds, start, stop, whether it is measured."""
        top = max(round((self.width - EDGE) / GRID) * GRID, EDGE)
        lines = [(EDGE, 0.0, self.v, 0), (top, self.v, self.v, 0), (EDGE, self.v, 0.0, 0)]
        lines.append((GAP, 0.0, 0.0, 0))
        if self.readings:
            lines.append((EDGE, 0.0, self.v_read, 0))
            lines += [(READ, self.v_read, self.v_read, 1)] * self.readings
            lines += [(EDGE, self.v_read, 0.0, 0), (GAP, 0.0, 0.0, 0)]
        return lines

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(line[0] for line in self.segments())


class Keithley4200Pmu(Kxci):
    """Channel 1 as a PulseTrainer.

    Attributes:
        current_range: Range of readings, A; what reaches it counts as limited.
    """

    stop: ClassVar[tuple[str, ...]] = (":PMU:TEST:ABORT",)
    width_min: ClassVar[float] = WIDTH_MIN
    count_max: ClassVar[int] = COUNT_MAX

    @property
    def v_max(self) -> float:
        """See PulseGenerator."""
        return V_MAX

    def prepare(self) -> None:
        """Segment arb, output off.

        Raises:
            ConfigError: There is no PMU.
        """
        options = self.query("*OPT?").strip().split(",")
        cards = [option for option in options if option.startswith("PMU")]
        if not cards:
            raise ConfigError(f"this 4200A has no PMU, but {', '.join(options)}")
        self.current_range = 100e-6
        self._behind_rpm = any("RPM" in card for card in cards)
        self._bounds = -V_MAX, V_MAX
        self._start()

    def protect(self, v_low: float, v_high: float) -> None:
        """See PulseGenerator; the PMU has no limits of its own, so the driver refuses."""
        self._bounds = v_low, v_high

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """See PulseGenerator."""
        self._check(np.array([v]), np.array([width]))
        if not 1 <= count <= COUNT_MAX:
            raise LimitError(f"{count} pulses: 1 .. {COUNT_MAX}")
        self._run([(_Pulse(v, width), count)])

    def train(
        self, v: NDArray[np.float64], width: NDArray[np.float64], v_read: float, averages: int = 1
    ) -> Samples:
        """See PulseTrainer; equal pulses in a row are one sequence with loops."""
        self._check(v, width)
        self._check(np.array([v_read]), np.array([READ]))
        pulses = [_Pulse(x, w, v_read, averages) for x, w in zip(v, width, strict=True)]
        rows = np.concatenate([self._run(course) for course in _courses(pulses)])
        return Samples(rows[:, 0], rows[:, 1], np.abs(rows[:, 1]) >= self.current_range)

    def off(self) -> None:
        """Output off."""
        self.send(":PMU:OUTPUT:STATE 1,0")

    def _start(self) -> None:
        """INIT forgets sequences and settings."""
        self.send(":PMU:INIT 1")
        if self._behind_rpm:
            self.send(":PMU:RPM:CONFIGURE PMU1-1,0")
        self.send(f":PMU:MEASURE:RANGE 1,2,{self.current_range:g}", ":PMU:LOAD 1,1000000")

    def _check(self, v: NDArray[np.float64], width: NDArray[np.float64]) -> None:
        low, high = self._bounds
        if not (v.ndim == 1 and v.size and v.min() >= low and v.max() <= high):
            raise LimitError(f"levels must lie within {low:g} .. {high:g} V, in one dimension")
        if not (width.min() >= WIDTH_MIN and width.max() <= WIDTH_MAX):
            raise LimitError(f"widths must lie within {WIDTH_MIN:g} .. {WIDTH_MAX:g} s")
        if self.current_range not in RANGES:
            raise LimitError(f"{self.current_range:g} A is none of the ranges {RANGES}")

    def _run(self, course: Sequence[tuple[_Pulse, int]]) -> NDArray[np.float64]:
        """Upload pulses with their loops, execute, read back: rows of voltage and current."""
        numbers = {pulse: n for n, pulse in enumerate(dict.fromkeys(p for p, _ in course), 1)}
        listed = ",".join(f"{numbers[pulse]},{loops}" for pulse, loops in course)
        seconds = sum(pulse.seconds * loops for pulse, loops in course)
        with self.ending(self.off), self.running():
            self._start()
            for pulse, n in numbers.items():
                self.send(*_upload(n, pulse))
            self.send(f":PMU:SARB:WFM:SEQ:LIST 1,{listed}", ":PMU:OUTPUT:STATE 1,1", ":PMU:EXECUTE")
            self.wait(":PMU:TEST:STATUS?", (0,), ":PMU:EXECUTE", seconds + PATIENCE)
            return self._rows(sum(pulse.readings * loops for pulse, loops in course))

    def _rows(self, count: int) -> NDArray[np.float64]:
        """So many rows of voltage and current."""
        rows: list[list[str]] = []
        for start in range(0, count, BLOCK):
            query = f":PMU:DATA:GET 1,{start},{min(BLOCK, count - start)}"
            answer = self.query(query).strip().strip(";")
            block = [row.split(",") for row in answer.split(";")]
            if len(block) != min(BLOCK, count - start) or any(len(row) != 4 for row in block):
                raise InstrumentError(query, answer[:200])
            rows += block
        try:
            table = [[float(v), float(i)] for v, i, _, _ in rows]
        except ValueError:
            raise InstrumentError(":PMU:DATA:GET", str(rows[0])) from None
        return np.array(table).reshape(-1, 2)


def _courses(pulses: Sequence[_Pulse]) -> Iterator[list[tuple[_Pulse, int]]]:
    """Pulses with their loops, as many at a time as the memory takes."""
    course: list[tuple[_Pulse, int]] = []
    known: set[_Pulse] = set()
    for pulse in pulses:
        if course and course[-1][0] == pulse:
            course[-1] = pulse, course[-1][1] + 1
            continue
        needed = sum(len(each.segments()) for each in known | {pulse})
        if course and (needed > SEGMENTS_MAX or len(course) == LISTED_MAX):
            yield course
            course, known = [], set()
        course.append((pulse, 1))
        known.add(pulse)
    yield course


def _upload(n: int, pulse: _Pulse) -> list[str]:
    """The sequence of a pulse, column by column."""
    lines = pulse.segments()
    columns: dict[str, list[float]] = {
        "TIME": [line[0] for line in lines],
        "STARTV": [line[1] for line in lines],
        "STOPV": [line[2] for line in lines],
        "MEAS:TYPE": [line[3] for line in lines],
        "MEAS:START": [SETTLE * line[3] for line in lines],
        "MEAS:STOP": [line[0] * line[3] for line in lines],
    }
    return [
        f":PMU:SARB:SEQ:{name} 1,{n},{','.join(f'{value:.9g}' for value in values)}"
        for name, values in columns.items()
    ]
