"""What pulse generators do, whatever their commands are called.

Levels are kept as open-circuit volts of a source of 50 ohm; what is set and answered is what
would stand across the load that the user told (50 ohm after *RST): so a cell, which is no 50 ohm
load, gets twice the level that was asked for unless the load is set to INFinity. Channel 1 is the
port "pulse", channel 2 the port "bias".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, command
from cimlab.mock_hw.instruments.scpi import ScpiError, Value

PORTS = ("pulse", "bias")
OHM = 50.0
FREE_RUNNING = 100
"""Pulses a device feels when the output comes on without burst: a lot, as on a real bench."""


class PulseGenerator(ScpiEmulator):
    """What both families do; `settings` and the limits below are the models'."""

    v_peak: ClassVar[float] = 10.0
    """Largest open-circuit level, V."""
    v_step: ClassVar[float] = 0.002
    """Smallest open-circuit amplitude, V."""

    def reset(self) -> None:
        """*RST: outputs off."""
        super().reset()
        for n in (1, 2):
            self._drive(n)

    def check(self, key: str, n: int, value: Value) -> None:
        """Levels must lie within what the output can do, and within the limits in force."""
        if key == "output" and value:
            self._check_timing(n)
        if key not in ("high", "low"):
            return
        level = float(value)
        if abs(level / self._share(n)) > self.v_peak * 1.000001:
            raise ScpiError(*scpi.OUT_OF_RANGE)
        bounds = self.get("limit.low", n), self.get("limit.high", n)
        if self.get("limit", n) and not bounds[0] <= level <= bounds[1]:
            raise ScpiError(-222, "Data out of range; value clipped by voltage limits")

    def changed(self, key: str, n: int) -> None:
        """Keep the coupled settings together, then act."""
        if key in ("high", "low", "amplitude", "offset"):
            self._couple_levels(key, n)
        elif key == "load":
            self._rescale(n)
        elif key in ("frequency", "period", "width", "duty", "hold"):
            self._couple_times(key, n)
        elif key == "cycles":
            self.put("burst", self.get("cycles", n) > 1 or self.get("burst", n), n)
        self._drive(n, came_on=key == "output" and self.get("output", n))

    def _share(self, n: int) -> float:
        """Part of the open-circuit voltage across the load that the user told."""
        load = self.get("load", n)
        return 1.0 if math.isinf(load) else load / (load + OHM)

    def _couple_levels(self, key: str, n: int) -> None:
        high, low = self.get("high", n), self.get("low", n)
        step = self.v_step * self._share(n)
        if key == "high":
            low = min(low, high - step)
        elif key == "low":
            high = max(high, low + step)
        else:
            amplitude, offset = self.get("amplitude", n), self.get("offset", n)
            top = self.v_peak * self._share(n)
            if key == "offset" and self.get("function", n) == "DC":  # nothing else is there
                amplitude = min(amplitude, 2 * max(top - abs(offset), 0.0))
            room = max(top - amplitude / 2, 0.0)
            if abs(offset) > room * 1.000001 or amplitude > 2.000001 * top:
                self.status.error(-221, "Settings conflict; offset changed due to amplitude")
                amplitude = min(amplitude, 2 * top)
                offset = min(max(offset, -room), room)
            high, low = offset + amplitude / 2, offset - amplitude / 2
        for name, value in (
            ("high", high),
            ("low", low),
            ("amplitude", high - low),
            ("offset", (high + low) / 2),
        ):
            self.put(name, value, n)

    def _rescale(self, n: int) -> None:
        """Another load: the same open-circuit levels look different."""
        factor = self._share(n) / self.get("share", n)
        self.put("share", self._share(n), n)
        for name in ("high", "low", "amplitude", "offset", "limit.high", "limit.low"):
            self.put(name, self.get(name, n) * factor, n)

    def _couple_times(self, key: str, n: int) -> None:
        if key == "frequency":
            self.put("period", 1 / self.get("frequency", n), n)
        period = self.get("period", n)
        self.put("frequency", 1 / period, n)
        if key == "duty" or (key != "width" and self.get("hold", n) == "DCYC"):
            self.put("width", period * self.get("duty", n) / 100, n)
        self.put("duty", 100 * self.get("width", n) / period, n)

    def _check_timing(self, n: int) -> None:
        edges = 0.5 * (self.get("lead", n) + self.get("trail", n))
        if self.get("function", n) == "PULS" and (
            self.get("width", n) + edges > self.get("period", n) * 1.000001
        ):
            raise ScpiError(-221, "Settings conflict; pulse width does not fit the period")

    def _levels(self, n: int) -> tuple[float, float]:
        """Open-circuit volts between pulses and within one."""
        high, low = self.get("high", n) / self._share(n), self.get("low", n) / self._share(n)
        return (low, high) if self.get("polarity", n) == "NORM" else (high, low)

    def _drive(self, n: int, came_on: bool = False) -> None:
        """What the output does now."""
        port = PORTS[n - 1]
        if not self.get("output", n):
            self.bench.hold(port, None)
        elif self.get("function", n) == "DC":
            self.bench.hold(port, self.get("offset", n) / self._share(n))
        else:
            self.bench.hold(port, self._levels(n)[0])
            if came_on and not self.get("burst", n) and self._waits_for(n) == "IMM":
                self._fire(n, FREE_RUNNING)

    def _waits_for(self, n: int) -> str:
        return str(self.get("trigger", n))

    def _fire(self, n: int, count: int) -> None:
        """So many pulses on the device."""
        if not (self.get("output", n) and self.get("function", n) == "PULS"):
            return
        self._check_timing(n)
        base, peak = self._levels(n)
        width, period = self.get("width", n), self.get("period", n)
        if base:
            self.bench.pulse(PORTS[n - 1], base, OHM, max(period - width, 1e-12), count)
        self.bench.pulse(PORTS[n - 1], peak, OHM, width, count)

    def _trigger(self, n: int) -> None:
        if self._waits_for(n) not in ("BUS", "MAN"):
            raise ScpiError(-211, "Trigger ignored")
        self._fire(n, self.get("cycles", n) if self.get("burst", n) else 1)

    @command("*TRG")
    def _trigger_all(self, given: Sequence[str]) -> None:
        waiting = [n for n in (1, 2) if self._waits_for(n) in ("BUS", "MAN")]
        if not waiting:
            raise ScpiError(-211, "Trigger ignored")
        for n in waiting:
            self._trigger(n)

    def _apply(self, function: str, n: int, given: Sequence[str]) -> None:
        """APPLy: function, then frequency, amplitude and offset; the output comes on."""
        scpi.arguments(given, 0, 3)
        self.put("function", function, n)
        keys = ("frequency", "amplitude", "offset")
        for key, text in zip(keys, given, strict=False):
            if text.upper() not in ("DEF", "DEFAULT"):
                self.put(key, scpi.number(text), n)
                self.changed(key, n)
        self.put("output", True, n)
        self.changed("output", n)

    @command("SYSTem:BEEPer[:IMMediate]", "ABORt", "PHASe:SYNChronize", "DISPlay:TEXT:CLEar")
    def _nothing(self, given: Sequence[str]) -> None:
        """Nobody hears or sees it."""
