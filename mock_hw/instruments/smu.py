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

    def apply(self) -> None:
        """A level, limit or the output has changed: the device feels it at once."""
        if self.on:
            self.measure(SETTLE)
        else:
            self.limited = False
            self.bench.hold(self.port, None)

    def measure(self, seconds: float) -> Sample:
        """Measure over so many seconds; nothing flows while the output is off."""
        if not self.on:
            self.bench.clock.sleep(seconds)
            return Sample(0.0, 0.0, False)
        if self.volts:
            sample = self.bench.source_voltage(self.port, self.v, self.i_limit, seconds)
        else:
            sample = self.bench.source_current(self.port, self.i, self.v_limit, seconds)
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
