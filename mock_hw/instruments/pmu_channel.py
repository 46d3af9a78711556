"""A channel of the emulated 4225-PMU: its settings, and the course of segments that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cimlab.mock_hw.instruments.kxci import KxciError, number, whole

V_MAX = {10: 10.0, 40: 40.0}
"""Largest level of each source range, and largest step between base and top, V."""
RANGES = (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.2)
SEGMENT = (20e-9, 40.0)
SEGMENTS_MAX, LISTED_MAX = 2048, 512
PULSE, ARB = 0, 1
SPOT, WAVEFORM, SPOT_MEAN, WAVEFORM_MEAN = 1, 2, 3, 4
MEAN, SAMPLED = 1, 2
COLUMNS = {
    "TIME": SEGMENT,
    "STARTV": (-40.0, 40.0),
    "STOPV": (-40.0, 40.0),
    "MEAS:TYPE": (0.0, 2.0),
    "MEAS:START": (0.0, SEGMENT[1]),
    "MEAS:STOP": (0.0, SEGMENT[1]),
    "SSR": (0.0, 1.0),
    "TRIG": (0.0, 1.0),
}
"""Columns of a sequence of segments, and what they may hold."""

Row = tuple[float, float, float, int]
"""Voltage, current, time, status."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight line of so many seconds; measure is 0, MEAN or SAMPLED."""

    seconds: float
    start: float
    stop: float
    measure: int = 0


@dataclass(slots=True)
class Card:
    """What all channels share: INIT mode, measuring mode, burst count."""

    mode: int = PULSE
    measure: int = SPOT
    burst: int = 1


@dataclass(slots=True)
class Channel:
    """See the module; every method takes the parameters of its command, the channel first."""

    card: Card
    port: str
    on: bool = False
    range: float = RANGES[-1]
    load: float = 1e6
    base: float = 0.0
    tops: list[float] = field(default_factory=lambda: [0.0])
    stepped: bool = False
    source: int = 10
    times: tuple[float, ...] = (1e-6, 5e-7, 1e-7, 1e-7, 0.0)
    high: bool = True
    low: bool = True
    sequences: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    listed: list[int] = field(default_factory=list)
    rows: list[tuple[Row, ...]] = field(default_factory=list)

    def set_load(self, given: Sequence[str]) -> None:
        """Ohm."""
        self.load = number(given, 1, 1, 1e7)

    def set_range(self, given: Sequence[str]) -> None:
        """Type (0 auto, 1 limited auto, 2 fixed) and range; segment arb takes fixed ones only."""
        kind, wanted = whole(given, 1, 0, 2), number(given, 2, 0, RANGES[-1])
        if kind != 2 and self.card.mode == ARB:
            raise KxciError
        self.range = next(r for r in RANGES if r >= 0.999 * wanted) if kind == 2 else RANGES[-1]

    def set_source(self, given: Sequence[str]) -> None:
        """Source range, 10 or 40 V."""
        self.source = whole(given, 1, 10, 40)
        if self.source not in V_MAX:
            raise KxciError

    def set_levels(self, given: Sequence[str]) -> None:
        """Whether the top and the base are measured."""
        self.high, self.low = (bool(whole(given, k, 0, 1)) for k in (1, 2))
        if not (self.high or self.low):
            raise KxciError

    def set_train(self, given: Sequence[str]) -> None:
        """Base and top."""
        self._levels(number(given, 1), [number(given, 2)])

    def set_sweep(self, given: Sequence[str]) -> None:
        """Start, stop, step, base, and whether it goes back too."""
        tops = _stair(given)
        both = tops + tops[-2::-1]
        self._levels(number(given, 4), both if whole(given, 5, 0, 1) else tops)

    def set_step(self, given: Sequence[str]) -> None:
        """Start, stop, step, base of the outer loop."""
        self._levels(number(given, 4), _stair(given))
        self.stepped = True

    def _levels(self, base: float, tops: list[float]) -> None:
        top = V_MAX[self.source]
        if max(abs(x) for x in (base, *tops)) > top or max(abs(x - base) for x in tops) > top:
            raise KxciError
        self.base, self.tops, self.stepped = base, tops, False

    def set_times(self, given: Sequence[str]) -> None:
        """Period, width, rise, fall, delay."""
        period, width = number(given, 1, 60e-9, 1.0), number(given, 2, 40e-9, 1.0)
        rise, fall = number(given, 3, 20e-9, 33e-3), number(given, 4, 20e-9, 33e-3)
        delay = number(given, 5, 0, 1.0) if len(given) > 5 else 0.0
        edges = 0.5 * (rise + fall)
        if width <= edges or period - delay - width - edges < 40e-9 * 0.999:
            raise KxciError
        self.times = period, width, rise, fall, delay

    def set_column(self, name: str, given: Sequence[str]) -> None:
        """A column of a sequence, which its number precedes."""
        if self.card.mode != ARB or name not in COLUMNS:
            raise KxciError
        values = [number(given, k, *COLUMNS[name]) for k in range(2, len(given))]
        if name in ("STARTV", "STOPV") and max(map(abs, values), default=0) > V_MAX[self.source]:
            raise KxciError
        self.sequences.setdefault(whole(given, 1, 1, LISTED_MAX), {})[name] = values
        if sum(len(c.get("TIME", ())) for c in self.sequences.values()) > SEGMENTS_MAX:
            raise KxciError

    def set_list(self, given: Sequence[str]) -> None:
        """Pairs of a sequence and its loops, in order."""
        if self.card.mode != ARB or len(given) % 2 == 0 or not 3 <= len(given) <= 2 * LISTED_MAX:
            raise KxciError
        self.listed = []
        for k in range(1, len(given), 2):
            sequence, loops = whole(given, k, 1, LISTED_MAX), whole(given, k + 1, 1, 10**6)
            if sequence not in self.sequences:
                raise KxciError
            self.listed += [sequence] * loops

    def course(self, points: int, steps: int) -> list[list[Segment]]:
        """What EXECUTE does, one list of segments a pulse or a sequence.

        Args:
            points: Of the longest amplitude sweep; a plain train lasts as long.
            steps: Of the longest outer loop.
        """
        if self.card.mode == ARB:
            made = {n: _segments(columns) for n, columns in self.sequences.items()}
            return [made[n] for n in self.listed]
        if self.stepped:
            tops = [top for top in self.tops for _ in range(points)]
        else:
            tops = (self.tops if len(self.tops) > 1 else self.tops * points) * steps
        return [self._pulse(top) for top in tops for _ in range(self.card.burst)]

    def _pulse(self, top: float) -> list[Segment]:
        period, width, rise, fall, delay = self.times
        edges = 0.5 * (rise + fall)
        kind = {0: 0, SPOT: MEAN, SPOT_MEAN: MEAN}.get(self.card.measure, SAMPLED)
        sampled = kind == SAMPLED
        return [
            Segment(delay, self.base, self.base),
            Segment(rise, self.base, top),
            Segment(width - edges, top, top, kind if self.high or sampled else 0),
            Segment(fall, top, self.base),
            Segment(
                period - delay - width - edges,
                self.base,
                self.base,
                kind if self.low or sampled else 0,
            ),
        ]


def _stair(given: Sequence[str]) -> list[float]:
    """Start, stop and step from the first parameter behind the channel on."""
    start, stop, step = (number(given, k) for k in (1, 2, 3))
    if step == 0 or abs(stop - start) / abs(step) > LISTED_MAX:
        raise KxciError
    stair: list[float] = np.linspace(start, stop, round(abs((stop - start) / step)) + 1).tolist()
    return stair


def _segments(columns: dict[str, list[float]]) -> list[Segment]:
    seconds, starts, stops = (columns.get(name, []) for name in ("TIME", "STARTV", "STOPV"))
    measures = columns.get("MEAS:TYPE") or [0.0] * len(seconds)
    if not len(seconds) == len(starts) == len(stops) == len(measures):
        raise KxciError
    table = zip(seconds, starts, stops, measures, strict=True)
    return [Segment(t, start, stop, int(m)) for t, start, stop, m in table]
