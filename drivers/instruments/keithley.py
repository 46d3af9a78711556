"""Keithley SourceMeters that speak SCPI: 2450 and 2400."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.roles import Samples
from cimlab.drivers.instruments.settings import Choice, Number, Switch
from cimlab.drivers.instruments.timing import longest

LIST_MAX = 100
"""Values a list command takes; longer lists are appended."""
DWELL_MAX = 999.9999
POLL_FIRST, POLL_LAST = 0.01, 0.5
"""Between two looks at whether a sweep is over, s; each wait is twice the one before."""
FUNCTIONS = {"voltage": "VOLT", "current": "CURR"}
STATE = "TRIG:STAT?"
GOING_ON = ("RUNNING", "WAITING", "BUILDING", "ABORTING")
"""States of the 2450's trigger model before it is idle, aborted or failed."""
PATIENCE = 10.0
"""Wait for the end of a sweep beyond the longest it may take, s."""
COMPLIANCE = 1 << 3
"""Bit of the 2400's status element: the source was in compliance."""
LIMITED = 1 << 5
"""Bit of the 2450's source status: the limit was in force (page 8-29 of its manual)."""


class _SourceMeter(Instrument):
    """What both families share."""

    stop: ClassVar[tuple[str, ...]] = ("ABOR",)

    nplc = Number("SENS:CURR:NPLC", 0.01, 10, "power line cycles", "integration time")

    def _seconds(self, readings: int, dwell: float = 0.0) -> float:
        """The longest that so many readings may take."""
        return longest(readings, dwell, lambda: self.nplc)


class Keithley2450(_SourceMeter):
    """2450 with its SCPI command set, as a SourceMeter (reference manual 2450-901-01)."""

    model = r"MODEL 2450\b"

    source_function = Choice("SOUR:FUNC", FUNCTIONS)
    sense_function = Choice(
        "SENS:FUNC",
        {"voltage": '"VOLT:DC"', "current": '"CURR:DC"', "resistance": '"RES"'},
    )
    voltage = Number("SOUR:VOLT", -210, 210, "V", "level")
    voltage_range = Number("SOUR:VOLT:RANG", 0.02, 200, "V", "source range")
    current_limit = Number("SOUR:VOLT:ILIM", 1e-9, 1.05, "A", "compliance")
    current_range = Number("SENS:CURR:RANG", 1e-8, 1, "A", "measuring range")
    current_autorange = Switch("SENS:CURR:RANG:AUTO", "measuring range by itself")
    off_state = Choice(
        "OUTP:VOLT:SMOD",
        {"normal": "NORM", "zero": "ZERO", "high-impedance": "HIMP", "guard": "GUAR"},
    )
    output = Switch("OUTP", "output")

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return 210.0

    @property
    def tripped(self) -> bool:
        """Whether the current limit is in force now."""
        return self.query("SOUR:VOLT:ILIM:TRIP?").strip() == "1"

    def prepare(self) -> None:
        """Defaults, voltage sourced, current measured; off means disconnected."""
        language = self.query("*LANG?").strip()
        if language != "SCPI":
            raise ConfigError(f"this 2450 speaks {language}; choose SCPI in its settings menu")
        with self.settings():
            self.send("*CLS", "*RST")
            self.source_function = "voltage"
            self.sense_function = "current"
            self.off_state = "high-impedance"

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        with self.settings():
            self.current_limit = i_comp
            self.voltage = v
            self.output = True

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter: one trigger and one read-back, however many."""
        with self.running(self._seconds(count)):
            self.send("TRAC:CLE 'defbuffer1'", f"SENS:COUN {count}", "TRAC:TRIG 'defbuffer1'")
            return self._fetch(count)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter; the device stays at each level until it has been measured too."""
        _check_sweep(v, 210.0, dwell)
        seconds = self._seconds(v.size, dwell)
        with self.ending(self.off), self.running():
            with self.settings():
                self.current_limit = i_comp
                self.send(
                    *_list_commands("SOUR:LIST:VOLT", v),
                    "SENS:COUN 1",
                    f"SOUR:SWE:VOLT:LIST 1, {dwell:.9g}, 1, OFF, 'defbuffer1'",
                    "INIT",
                )
                self._wait(seconds)
            return self._fetch(v.size)

    def _wait(self, seconds: float) -> None:
        """Ask until the sweep is over: after *WAI the instrument would not hear ABORt either."""
        end, pause = time.monotonic() + seconds + PATIENCE, POLL_FIRST
        while (answer := self.query(STATE)).startswith(GOING_ON):
            if time.monotonic() > end:
                raise InstrumentError(STATE, f"{answer.strip()} after {seconds:.0f} s and more")
            time.sleep(pause)
            pause = min(2 * pause, POLL_LAST)

    def off(self) -> None:
        """Output off."""
        self.output = False

    def _fetch(self, count: int) -> Samples:
        """Read buffered currents with their source values."""
        query = f"TRAC:DATA? 1, {count}, 'defbuffer1', SOUR, READ, SOURSTAT"
        table = self.table(query, count, 3)
        return Samples(table[:, 0], table[:, 1], table[:, 2].astype(int) & LIMITED != 0)


class Keithley2400(_SourceMeter):
    """2400 family as a SourceMeter (user's manual 2400S-900-01)."""

    model = r"MODEL 24[0-4]0\b"

    source_function = Choice("SOUR:FUNC", FUNCTIONS)
    voltage = Number("SOUR:VOLT", -210, 210, "V", "level")
    voltage_mode = Choice("SOUR:VOLT:MODE", {"fixed": "FIX", "list": "LIST", "sweep": "SWE"})
    compliance = Number("SENS:CURR:PROT", 1e-9, 1.05, "A", "current compliance")
    current_range = Number("SENS:CURR:RANG", 0, 1.05, "A", "measuring range")
    current_autorange = Switch("SENS:CURR:RANG:AUTO", "measuring range by itself")
    delay = Number("SOUR:DEL", 0, DWELL_MAX, "s", "wait between sourcing and measuring")
    trigger_count = Number("TRIG:COUN", 1, 2500, "", "cycles of one trigger")
    off_state = Choice(
        "OUTP:SMOD",
        {"normal": "NORM", "zero": "ZERO", "high-impedance": "HIMP", "guard": "GUAR"},
    )
    output = Switch("OUTP", "output")

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return 210.0

    @property
    def tripped(self) -> bool:
        """Whether the compliance is in force now."""
        return self.query("SENS:CURR:PROT:TRIP?").strip() == "1"

    def prepare(self) -> None:
        """Defaults, voltage sourced, voltage and current measured; off means disconnected."""
        with self.settings():
            self.send("*CLS", "*RST")
            self.source_function = "voltage"
            self.send("SENS:FUNC 'VOLT','CURR'", "FORM:ELEM VOLT,CURR,STAT")
            self.off_state = "high-impedance"

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        with self.settings():
            self.compliance = i_comp
            self.voltage = v
            self.output = True

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter."""
        self.trigger_count = count
        with self.running(self._seconds(count)):
            return self._read(count)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter; at most 2500 points."""
        _check_sweep(v, 210.0, dwell)
        seconds = self._seconds(v.size, dwell)
        with self.ending(self._idle), self.running(seconds):
            with self.settings():
                self.compliance = i_comp
                self.delay = dwell
                self.trigger_count = v.size
                self.send(*_list_commands("SOUR:LIST:VOLT", v))
                self.voltage_mode = "list"
                self.output = True
            return self._read(v.size)

    def _idle(self) -> None:
        """After a sweep: off, and sourcing one level again."""
        with self.settings():
            self.off()
            self.voltage_mode = "fixed"
            self.send("SOUR:DEL:AUTO 1")

    def off(self) -> None:
        """Output off."""
        self.output = False

    def _read(self, count: int) -> Samples:
        table = self.table("READ?", count, 3)
        return Samples(table[:, 0], table[:, 1], table[:, 2].astype(int) & COMPLIANCE != 0)


def _check_sweep(v: NDArray[np.float64], v_max: float, dwell: float) -> None:
    if v.ndim != 1 or not 1 <= v.size <= 2500:
        raise LimitError(f"a sweep has 1 to 2500 levels in one dimension, not shape {v.shape}")
    if not np.abs(v).max() <= v_max:
        raise LimitError(f"sweep levels must lie within {v_max:g} V")
    if not 0 <= dwell <= DWELL_MAX:
        raise LimitError(f"dwell {dwell:g} s is outside 0 .. {DWELL_MAX} s")


def _list_commands(command: str, values: NDArray[np.float64]) -> list[str]:
    """Commands that upload a list of any length."""
    commands = []
    for start in range(0, values.size, LIST_MAX):
        tail = ":APP" if start else ""
        texts = ",".join(f"{value:.7g}" for value in values[start : start + LIST_MAX])
        commands.append(f"{command}{tail} {texts}")
    return commands
