"""Keysight pulse generators: 81160A and the 33500B family, channel 1.

Pulses start from and return to 0 V: a positive one is the high level over a low level of 0 V, a
negative one the inverted output with the high level at 0 V. The load is set to infinite, because a
memristor is no 50 ohm load and would otherwise get twice the amplitude.
"""

from __future__ import annotations

import math
import time
from typing import ClassVar

from cimlab.core.errors import InstrumentError, LimitError
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.settings import Choice, Number, Setting, Switch

POLARITIES = {"normal": "NORM", "inverted": "INV"}
V_MAX = 10.0
"""Both families reach this into a high impedance, V."""


class Load(Setting[float]):
    """Load that levels are meant for, ohm; math.inf for a high impedance."""

    def _decode(self, answer: str) -> float:
        value = float(answer)
        return math.inf if value >= 9.9e37 else value

    def _encode(self, value: float) -> str:
        return "INF" if math.isinf(value) else f"{value:.9g}"


class _Pulser(Instrument):
    """What both families do."""

    width_min: ClassVar[float]
    count_max: ClassVar[int]
    period_min: ClassVar[float]
    v_step: ClassVar[float]
    """Smallest amplitude, V."""
    _mode: ClassVar[tuple[str, ...]]
    """Commands that put channel 1 into bursts of pulses on request."""

    high: Number
    low: Number
    width: Number
    period: Number
    count: Number
    edge: Number
    limit_high: Number
    limit_low: Number
    limited: Switch
    polarity = Choice("OUTP1:POL", POLARITIES)
    load = Load("OUTP1:LOAD")
    output = Switch("OUTP1")

    @property
    def v_max(self) -> float:
        """See PulseGenerator."""
        return V_MAX

    def prepare(self) -> None:
        """Defaults, pulses in bursts on request, levels meant for a high impedance."""
        with self.settings():
            self.send("*CLS", "*RST")
            self.load = math.inf
            self.send(*self._mode)

    def protect(self, v_low: float, v_high: float) -> None:
        """See PulseGenerator."""
        with self.settings():
            self.high = self.v_step
            self.low = 0.0
            self.limit_high = v_high
            self.limit_low = v_low
            self.limited = True

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """See PulseGenerator."""
        if not self.v_step <= abs(v) <= V_MAX:
            raise LimitError(f"pulse of {v:g} V is outside {self.v_step:g} .. {V_MAX:g} V")
        if not (self.width_min <= width and 1 <= count <= self.count_max):
            raise LimitError(
                f"{count} pulses of {width:g} s: width from {self.width_min:g} s, "
                f"count 1 .. {self.count_max}"
            )
        period = max(2 * width, self.period_min)
        with self.ending(self.off), self.running(count * period):
            with self.settings():
                self.polarity = "normal" if v > 0 else "inverted"
                self._set_levels(max(v, 0.0), min(v, 0.0))
                self._set_times(period, width)
                self.count = count
                self.output = True
                self.send("*TRG")
            if (answer := self.query("*OPC?").strip()) != "1":
                raise InstrumentError("*OPC?", answer)
            time.sleep(count * period)  # *OPC? need not wait for a burst

    def off(self) -> None:
        """Output off: the line floats."""
        self.output = False

    def _set_levels(self, high: float, low: float) -> None:
        # the one that moves away from the other goes first, so that they never cross
        if high > 0:
            self.high = high
            self.low = low
        else:
            self.low = low
            self.high = high

    def _set_times(self, period: float, width: float) -> None:
        # the shortest width first: neither order of the wanted values suits every change
        self.width = self.width_min
        self.period = period
        self.width = width


class Keysight81160A(_Pulser):
    """81160A, channel 1, as a PulseGenerator (user's guide 81160-91020)."""

    model = r"81160A"

    width_min: ClassVar[float] = 1.5e-9
    count_max: ClassVar[int] = 2_147_483_647
    period_min: ClassVar[float] = 100e-9
    v_step: ClassVar[float] = 0.1
    _mode: ClassVar[tuple[str, ...]] = ("FUNC1 PULS", "PULS:HOLD1 WIDT", "ARM:SOUR1 MAN")

    high = Number("VOLT1:HIGH", -V_MAX, V_MAX, "V", "high level")
    low = Number("VOLT1:LOW", -V_MAX, V_MAX, "V", "low level")
    width = Number("PULS:WIDT1", 1.5e-9, 1e6, "s", "pulse width at half amplitude")
    period = Number("PULS:PER1", 2e-9, 1e6, "s", "pulse period")
    edge = Number("PULS:TRAN1", 1e-9, 1e3, "s", "leading edge")
    count = Number("TRIG1:COUN", 1, 2_147_483_647, "pulses", "pulses of a burst")
    limit_high = Number("VOLT1:LIM:HIGH", -V_MAX, V_MAX, "V", "upper limit")
    limit_low = Number("VOLT1:LIM:LOW", -V_MAX, V_MAX, "V", "lower limit")
    limited = Switch("VOLT1:LIM:STAT", "limits in force")


class Keysight33500B(_Pulser):
    """33500B family, channel 1, as a PulseGenerator (user's guide 33500-90901)."""

    model = r"335\d\dB"

    width_min: ClassVar[float] = 16e-9
    count_max: ClassVar[int] = 1_000_000
    period_min: ClassVar[float] = 200e-9
    v_step: ClassVar[float] = 0.002
    _mode: ClassVar[tuple[str, ...]] = (
        "SOUR1:FUNC PULS",
        "SOUR1:FUNC:PULS:HOLD WIDT",
        "SOUR1:BURS:MODE TRIG",
        "SOUR1:BURS:STAT 1",
        "TRIG1:SOUR BUS",
    )

    high = Number("SOUR1:VOLT:HIGH", -V_MAX, V_MAX, "V", "high level")
    low = Number("SOUR1:VOLT:LOW", -V_MAX, V_MAX, "V", "low level")
    width = Number("SOUR1:FUNC:PULS:WIDT", 16e-9, 1e6, "s", "pulse width at half amplitude")
    period = Number("SOUR1:FUNC:PULS:PER", 33e-9, 1e6, "s", "pulse period")
    edge = Number("SOUR1:FUNC:PULS:TRAN", 8.4e-9, 1e-6, "s", "leading edge")
    count = Number("SOUR1:BURS:NCYC", 1, 100_000_000, "pulses", "pulses of a burst")
    limit_high = Number("SOUR1:VOLT:LIM:HIGH", -V_MAX, V_MAX, "V", "upper limit")
    limit_low = Number("SOUR1:VOLT:LIM:LOW", -V_MAX, V_MAX, "V", "lower limit")
    limited = Switch("SOUR1:VOLT:LIM:STAT", "limits in force")
