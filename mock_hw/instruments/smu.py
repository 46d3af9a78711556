"""The analogue half of a source-measure unit, whatever language it speaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cimlab.mock_hw.instruments.bench import Bench, Sample

LINE = 50.0
"""Power line frequency, Hz."""
SETTLE = 1e-3
"""How long a new level stands before anything is measured, s."""
OVERFLOW = 9.9e37
"""What instruments answer beyond their range."""


@dataclass(slots=True)
class Smu:
    """Sources a voltage or a current, limits the other, measures both.

    Attributes:
        bench, port: Where its terminals go.
        volts: True to source voltage, False to source current.
        v, i: Levels, V and A.
        v_limit, i_limit: Limits in force when the other quantity is sourced.
        on: Output relay.
        limited: True where the last look found the limit in force.
    """

    bench: Bench
    port: str = "smu"
    volts: bool = True
    v: float = 0.0
    i: float = 0.0
    v_limit: float = 21.0
    i_limit: float = 1.05e-4
    on: bool = False
    limited: bool = False

    _standing: tuple[bool, float, float] | None = None
    _since: float = 0.0

    def apply(self) -> None:
        """A level, limit or the output may have changed: what stood until now has been felt."""
        wanted = self._wanted()
        if wanted == self._standing:
            return
        if self._standing is not None and self.bench.clock.now() > self._since:
            self._stand(self._standing, 0.0)
        self._standing, self._since = wanted, self.bench.clock.now()
        if wanted is None:
            self.limited = False
            self.bench.hold(self.port, None)
        else:
            self._stand(wanted, 0.0)
            self.bench.clock.sleep(SETTLE)

    def measure(self, seconds: float) -> Sample:
        """Measure over so many seconds; nothing flows while the output is off.

        A level is one pulse for the device: from where it began until it was measured.
        """
        self.apply()
        if self._standing is None:
            self.bench.clock.sleep(seconds)
            return Sample(0.0, 0.0, False)
        sample = self._stand(self._standing, seconds)
        self._since = self.bench.clock.now()
        return sample

    def _wanted(self) -> tuple[bool, float, float] | None:
        """What is sourced: volts or not, level, limit; None while the output is off."""
        if not self.on:
            return None
        return (True, self.v, self.i_limit) if self.volts else (False, self.i, self.v_limit)

    def _stand(self, sourced: tuple[bool, float, float], seconds: float) -> Sample:
        volts, level, limit = sourced
        source = self.bench.source_voltage if volts else self.bench.source_current
        sample = source(self.port, level, limit, seconds, self._since)
        self.limited = sample.limited
        self.bench.hold(self.port, sample.v)
        return sample


def clipped(value: float, full_scale: float) -> float:
    """A reading, or the overflow value beyond 105 % of the range."""
    return value if abs(value) <= 1.05 * full_scale else math.copysign(OVERFLOW, value)


def ohms(sample: Sample) -> float:
    """Resistance of a sample, ohm; overflow where no current flows."""
    return sample.v / sample.i if abs(sample.i) > 1e-15 else OVERFLOW


def decade(value: float, low: float, high: float) -> float:
    """The most sensitive of the ranges low, 10 low .. high that takes a value, 5 % over."""
    ranges = [low]
    while ranges[-1] < 0.999 * high:
        ranges.append(ranges[-1] * 10)
    fitting = (r for r in ranges if abs(value) <= 1.0500001 * r)
    return float(f"{next(fitting, high):.6g}")
