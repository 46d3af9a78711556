"""Keysight B1500A, FLEX commands: its first SMU and its SPGU (programming guide B1500-90010).

The two are drivers of their own and may share one mainframe, so neither resets it. FLEX has no
list sweep; a sweep is sent as lines of spot measurements, whose data the mainframe keeps until
they are read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.roles import Samples

V_MAX, I_MAX = 100.0, 0.1
LINE = 256
"""Characters that the command input buffer takes."""
BUFFER = 30_000
"""Numbers that the output data buffer keeps."""
DWELL_MAX = 99.9999
PULSE_MAX = 40.0
WIDTH_MIN, EDGE, PERIOD_MIN, PERIOD_MAX = 50e-9, 30e-9, 200e-9, 10.0
COUNT_MAX = 1_000_000
LOAD = 1e6
"""What levels are meant for, ohm: the most that SER takes, as a cell is no 50 ohm load."""
LEVEL = 0.1
"""Longest spot measurement with its commands, s; a bound for waiting, not a time."""
PATIENCE = 10.0
"""Wait for the end of pulses beyond the time they take, s."""


class _Module(Instrument):
    """A module of the mainframe."""

    model = r"B1500A"
    error_query: ClassVar[str] = "ERRX?"
    kinds: ClassVar[tuple[str, ...]]
    """Models of the module."""

    def _slot(self) -> int:
        """Slot of the first module of these kinds; empties the error queue on the way."""
        self.query("ERR?")
        units = [unit.split(",")[0] for unit in self.query("UNT? 0").strip().split(";")]
        for slot, unit in enumerate(units, start=1):
            if unit in self.kinds:
                return slot
        raise ConfigError(f"this B1500A has no {' or '.join(self.kinds)}, but {', '.join(units)}")


class KeysightB1500(_Module):
    """The first SMU as a SourceMeter."""

    stop: ClassVar[tuple[str, ...]] = ("AB",)
    kinds: ClassVar[tuple[str, ...]] = ("B1510A", "B1511A", "B1511B", "B1517A")

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return V_MAX

    def prepare(self) -> None:
        """SMU off, no filter, no series resistor; data as 13 digits with their status."""
        self._channel, self._on = self._slot(), False
        n = self._channel
        self.send("FMT 11,0", "TSC 0", f"FL 0,{n}", f"SSR {n},0", f"CL {n}")

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        _check(np.array([v]), i_comp)
        with self.settings():
            self._connect()
            self.send(self._force(v, i_comp))
        self._v = v

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter; the voltage is the level, or unknown (NaN) in compliance."""
        with self.running(count * LEVEL):
            return self._samples(np.full(count, self._v), [[f"TI {self._channel},0"]] * count)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter."""
        _check(v, i_comp)
        if not 0 <= dwell <= DWELL_MAX:
            raise LimitError(f"dwell {dwell:g} s is outside 0 .. {DWELL_MAX} s")
        wait = [f"PA {dwell:.4f}"] if dwell >= 1e-4 else []
        points = [[self._force(x, i_comp), *wait, f"TI {self._channel},0"] for x in v]
        with self.ending(self.off), self.running(v.size * (dwell + LEVEL)):
            self._connect()
            return self._samples(v, points)

    def off(self) -> None:
        """Output relay open."""
        self._on = False
        self.send(f"CL {self._channel}")

    def _connect(self) -> None:
        """Close the output relay, which also sets 0 V, unless it is closed."""
        if not self._on:
            self.send(f"CN {self._channel}")
            self._on = True

    def _force(self, v: float, i_comp: float) -> str:
        return f"DV {self._channel},0,{v:.7g},{i_comp:.5g}"

    def _samples(self, v: NDArray[np.float64], points: Sequence[Sequence[str]]) -> Samples:
        """One measurement for each level: all commands, then all answers."""
        answers: list[str] = []
        for start in range(0, len(points), BUFFER):
            part = points[start : start + BUFFER]
            answers += [text.strip() for text in self.queries(_lines(part), len(part))]
        current, limited = np.empty(v.size), np.empty(v.size, np.bool_)
        for k, answer in enumerate(answers):
            # status letter, channel letter, quantity, value; T: another SMU is in compliance
            if answer[:1] not in ("N", "C", "T") or answer[2:3] != "I":
                raise InstrumentError("; ".join(points[k]), answer)
            current[k], limited[k] = float(answer[3:]), answer[0] == "C"
        return Samples(np.where(limited, np.nan, v), current, limited)


class KeysightB1500Spgu(_Module):
    """Channel 1 of the first SPGU as a PulseGenerator."""

    kinds: ClassVar[tuple[str, ...]] = ("B1525A",)

    width_min: ClassVar[float] = WIDTH_MIN
    count_max: ClassVar[int] = COUNT_MAX

    @property
    def v_max(self) -> float:
        """See PulseGenerator."""
        return PULSE_MAX

    def prepare(self) -> None:
        """Channel off; pulses from one source, levels meant for a high impedance."""
        self._bounds = -PULSE_MAX, PULSE_MAX
        self._channel = 100 * self._slot() + 1
        n = self._channel
        self.send(f"CL {n}", "SIM 0", f"SPM {n},1", f"ODSW {n},0", f"SER {n},{LOAD:.0f}")

    def protect(self, v_low: float, v_high: float) -> None:
        """See PulseGenerator; the SPGU has no limits of its own, so the driver refuses."""
        self._bounds = v_low, v_high

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """See PulseGenerator."""
        low, high = self._bounds
        if not low <= v <= high:
            raise LimitError(f"pulse of {v:g} V is outside {low:g} .. {high:g} V")
        period = max(2 * width, PERIOD_MIN)
        if not (width >= WIDTH_MIN and period <= PERIOD_MAX and 1 <= count <= COUNT_MAX):
            raise LimitError(
                f"{count} pulses of {width:g} s: width {WIDTH_MIN:g} .. {PERIOD_MAX / 2:g} s, "
                f"count 1 .. {COUNT_MAX}"
            )
        n = self._channel
        with self.ending(self.off):
            self.send(
                f"SPRM 1,{count}",
                f"SPPER {period:.9g}",
                f"SPT {n},1,0,{width:.9g},{EDGE:g},{EDGE:g}",
                f"SPV {n},1,0,{v:.6g}",
                f"CN {n}",
                f"SPUPD {n}",
                "SRP",
            )
            self._wait(count * period)

    def off(self) -> None:
        """Pulses stop, output switch open."""
        self.send("SPP", f"CL {self._channel}")

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
        end = time.monotonic() + PATIENCE
        while (answer := self.query("SPST?").strip()) != "0":
            if answer != "1" or time.monotonic() > end:
                raise InstrumentError("SPST?", answer)
            time.sleep(0.01)


def _check(v: NDArray[np.float64], i_comp: float) -> None:
    if v.ndim != 1 or not v.size or not np.abs(v).max() <= V_MAX:
        raise LimitError(f"levels must lie within {V_MAX:g} V, in one dimension")
    if not 0 < i_comp <= I_MAX:
        raise LimitError(f"compliance {i_comp:g} A is outside 0 .. {I_MAX:g} A")


def _lines(points: Sequence[Sequence[str]]) -> list[str]:
    """Commands on as few lines as the input buffer allows."""
    lines = [""]
    for text in (command for point in points for command in point):
        if len(lines[-1]) + len(text) + 1 > LINE - 2:
            lines.append("")
        lines[-1] += f";{text}" if lines[-1] else text
    return lines
