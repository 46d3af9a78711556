"""System mode of the SMUs of a 4200A-SCS: define channels, set sources up, measure, read back.

Emulated: channels as voltage or current source, VAR1 as linear, logarithmic or list sweep,
constants, hold and delay, ME1, RD and DO. Not: VAR2, VAR1', time domain, append and repeat, the
voltmeters and voltage sources; what a graph looks like is taken and ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.kxci import (
    ACK,
    I_MAX,
    INTEGRATION,
    V_MAX,
    KxciError,
    number,
    split,
    whole,
)
from cimlab.mock_hw.instruments.smu import Smu

PAGES = ("DE", "SS", "SM", "MD")
POINTS_MAX = 4096
SWEEP, CONSTANT = 1, 3
VOLTAGE, CURRENT = 1, 2
GRAPHICS = ("DM", "LI", "XN", "XT", "YA", "YB", "RS", "RG", "ST")
"""Taken and ignored: what is shown, and ranges, which are automatic here."""


@dataclass(slots=True)
class Channel:
    """What CH defines: names of voltage and current, source mode, source function."""

    voltage: str
    current: str
    mode: int
    function: int


@dataclass(slots=True)
class SystemMode:
    """See the module.

    Attributes:
        bench: Keeps the time.
        smus: Of the mainframe.
        page: Page that is open, or nothing.
        channels: By number.
        levels: Of VAR1, and its compliance.
        constants: Level and compliance by channel.
        readings: Value with its status letter, by name.
    """

    bench: Bench
    smus: Sequence[Smu]
    page: str = ""
    channels: dict[int, Channel] = field(default_factory=dict)
    levels: list[float] = field(default_factory=list)
    limit: float = 0.0
    constants: dict[int, tuple[float, float]] = field(default_factory=dict)
    hold: float = 0.0
    delay: float = 0.0
    seconds: float = INTEGRATION["2"]
    readings: dict[str, list[tuple[str, float]]] = field(default_factory=dict)

    def command(self, text: str) -> str:
        """Carry out a page or a command on the page that is open."""
        if text[:2] in PAGES and text[2:3] in ("", " "):
            self.page, text = text[:2], text[2:].strip()
            if not text:
                return ACK
        name, n, given = split(text)
        if name in ("HT", "DT", "IT"):
            self._time(name, text)
        elif name == "CH":
            self._define(n, given)
        elif name in ("VR", "IR", "VL", "IL"):
            self._sweep(name, n, given)
        elif name in ("VC", "IC"):
            tops = (V_MAX, I_MAX) if name == "VC" else (I_MAX, V_MAX)
            self.constants[self._channel(n)] = (
                number(given, 0, -tops[0], tops[0]),
                number(given, 1, 0, tops[1]),
            )
        elif name == "ME":
            if n == 1:
                self._measure()
            elif n not in (2, 3, 4):
                raise KxciError
        elif name in ("RD", "DO"):
            return self._read(name, given)
        elif name not in GRAPHICS:
            raise KxciError
        return ACK

    def _channel(self, n: int | None) -> int:
        if n is None or not 1 <= n <= len(self.smus):
            raise KxciError
        return n

    def _time(self, name: str, text: str) -> None:
        if name == "IT":
            code = text[2:].strip()
            if code not in INTEGRATION:
                raise KxciError
            self.seconds = INTEGRATION[code]
        elif name == "HT":
            self.hold = number([text[2:]], 0, 0, 655.3)
        else:
            self.delay = number([text[2:]], 0, 0, 6.553)

    def _define(self, n: int | None, given: Sequence[str]) -> None:
        channel = self._channel(n)
        if not given:
            self.channels.pop(channel, None)
            return
        if len(given) != 4:
            raise KxciError
        mode, function = whole(given, 2, 1, 3), whole(given, 3, 1, 4)
        if mode not in (VOLTAGE, CURRENT) or function not in (SWEEP, CONSTANT):
            raise KxciError
        self.channels[channel] = Channel(given[0], given[1], mode, function)

    def _sweep(self, name: str, n: int | None, given: Sequence[str]) -> None:
        top, limit = (V_MAX, I_MAX) if name[0] == "V" else (I_MAX, V_MAX)
        if name[1] == "L":
            self._channel(n)
            whole(given, 0, 1, 1)
            self.limit = number(given, 1, 0, limit)
            self.levels = [number(given, k, -top, top) for k in range(2, len(given))]
        else:
            start, stop = (number(given, k, -top, top) for k in (0, 1))
            k = 3 if n == 1 else 2
            self.limit = number(given, k, 0, limit) if len(given) > k else limit
            if n == 1:
                step = number(given, 2)
                if step == 0:
                    raise KxciError
                points = round(abs((stop - start) / step)) + 1
                self.levels = np.linspace(start, stop, points).tolist()
            elif n in (2, 3, 4) and start * stop > 0:
                decade = {2: 10, 3: 25, 4: 50}[n]
                points = round(abs(np.log10(stop / start)) * decade) + 1
                self.levels = np.geomspace(start, stop, points).tolist()
            else:
                raise KxciError
        if not 1 <= len(self.levels) <= POINTS_MAX or self.limit == 0:
            raise KxciError

    def _measure(self) -> None:
        """ME1: one sweep of VAR1, everything measured at each of its steps."""
        swept = [n for n, c in self.channels.items() if c.function == SWEEP]
        if len(swept) > 1 or (swept and not self.levels):
            raise KxciError
        self.readings = {
            name: [] for c in self.channels.values() for name in (c.voltage, c.current)
        }
        for n, channel in self.channels.items():
            if channel.function == CONSTANT:
                if n not in self.constants:
                    raise KxciError
                self._force(n, *self.constants[n])
        self.bench.clock.sleep(self.hold)
        for level in self.levels if swept else [0.0]:
            for n in swept:
                self._force(n, level, self.limit)
            self.bench.clock.sleep(self.delay)
            for n, channel in self.channels.items():
                sample = self.smus[n - 1].measure(self.seconds)
                letter = "C" if sample.limited else "N"
                self.readings[channel.voltage].append((letter, sample.v))
                self.readings[channel.current].append((letter, sample.i))
        for n in self.channels:
            self.smus[n - 1].on = False
            self.smus[n - 1].apply()

    def _force(self, n: int, level: float, limit: float) -> None:
        smu, channel = self.smus[n - 1], self.channels[n]
        smu.volts, smu.on = channel.mode == VOLTAGE, True
        if smu.volts:
            smu.v, smu.i_limit = level, limit
        else:
            smu.i, smu.v_limit = level, limit
        smu.apply()

    def _read(self, name: str, given: Sequence[str]) -> str:
        """RD: one value, 0 behind the last; DO: all of them with their status letters."""
        if not given or given[0] not in self.readings:
            raise KxciError
        readings = self.readings[given[0]]
        if name == "DO":
            return ",".join(f"{letter}{value:+.5E}" for letter, value in readings)
        k = whole(given, 1, 1, POINTS_MAX + 1)
        return f"{readings[k - 1][1]:+.5E}" if k <= len(readings) else "0"
