"""Keithley 2450 SourceMeter, SCPI command set (2450 reference manual, 2450-901-01).

Emulated: source and sense functions, ranges, limits with their trip flags, NPLC, output, reading
buffers, linear and list sweeps. Not: the trigger-model blocks, limit tests, contact check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import Setting, command
from cimlab.mock_hw.instruments.keithley2450_memory import Memory
from cimlab.mock_hw.instruments.keithley2450_tables import (
    LEVELS,
    RANGES,
    SETTINGS,
    SHORT,
    UNIT,
    Record,
    buffer_and_elements,
)
from cimlab.mock_hw.instruments.scpi import Boolean, Integer, Number, ScpiError, Value
from cimlab.mock_hw.instruments.smu import LINE, Smu, clipped, decade, ohms


class Keithley2450(Memory):
    """See the module."""

    identity: ClassVar[str] = "KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.12b"
    settings: ClassVar[tuple[Setting, ...]] = SETTINGS

    def __init__(self, bench: Bench, port: str = "smu") -> None:
        self._smu = Smu(bench, port)
        super().__init__(bench)

    def reset(self) -> None:
        """*RST: also clears the buffers, the lists and the sweep."""
        super().reset()
        self._sweep: tuple[str, list[float], float, bool, str] | None = None
        self._start = self.bench.clock.now()
        self._apply()

    def check(self, key: str, n: int, value: Value) -> None:
        """A level must fit its range, unless the range follows it."""
        root = key.removesuffix(".level")
        fixed = root != key and not self.get(f"{root}.auto")
        if fixed and abs(float(value)) > 1.05 * self.get(f"{root}.range"):
            raise ScpiError(*scpi.OUT_OF_RANGE)

    def changed(self, key: str, n: int) -> None:
        """Ranges that are set end autoranging; levels and limits act at once."""
        root = key.rpartition(".")[0]
        if key == "sense":
            self.put("sense", str(self.get("sense")).removesuffix(":DC"))
        elif key.endswith(".range"):
            self.put(f"{root}.auto", False)
            self.put(key, decade(self.get(key), *RANGES[root.rpartition(".")[2]][:2]))
        elif key.endswith(".delay"):
            self.put(f"{root}.auto_delay", False)
        elif key.endswith(".level") and self.get(f"{root}.auto"):
            ranges = RANGES[root.rpartition(".")[2]]
            self.put(f"{root}.range", decade(self.get(key), *ranges[:2]))
        if key in ("output", "source") or key.startswith("source."):
            if key == "source":
                self.put("output", False)
            self._apply()

    def _apply(self) -> None:
        smu = self._smu
        smu.volts = self.get("source") == "VOLT"
        smu.v, smu.i = self.get("source.voltage.level"), self.get("source.current.level")
        smu.i_limit = self.get("source.voltage.limit")
        smu.v_limit = self.get("source.current.limit")
        smu.on = self.get("output")
        smu.apply()

    def _measure(self, buffer: str, source: float | None = None) -> Record:
        """One reading with the function in force, stored."""
        quantity = SHORT[self.get("sense")]
        sample = self._smu.measure(self.get(f"{quantity}.nplc") / LINE)
        value = {"voltage": sample.v, "current": sample.i}.get(quantity)
        if value is None:
            value = ohms(sample)
        if self.get(f"{quantity}.auto"):
            self.put(f"{quantity}.range", decade(value, *RANGES[quantity][:2]))
        value = clipped(value, self.get(f"{quantity}.range"))
        volts = self._smu.volts
        if source is None:
            source = sample.v if volts else sample.i
        record = Record(
            value,
            source,
            self.bench.clock.now() - self._start,
            UNIT[quantity],
            "Volt DC" if volts else "Amp DC",
            sample.limited,
        )
        kept = self._buffer(buffer)
        kept.append(record)
        del kept[: -self._sizes[buffer]]
        return record

    @command("*LANG?")
    def _language(self, given: Sequence[str]) -> str:
        return "SCPI"

    @command("*LANG")
    def _set_language(self, given: Sequence[str]) -> None:
        """Takes effect after a power cycle, which an emulator does not have."""

    @command("READ?", "MEASure[:DC]?")
    def _read(self, given: Sequence[str]) -> str:
        name, elements = buffer_and_elements(given)
        for _ in range(self.get("count")):
            record = self._measure(name)
        return ",".join(record.show(e) for e in elements)

    @command("MEASure:VOLTage[:DC]?")
    def _measure_voltage(self, given: Sequence[str]) -> str:
        self.put("sense", "VOLT")
        return self._read(given)

    @command("MEASure:CURRent[:DC]?")
    def _measure_current(self, given: Sequence[str]) -> str:
        self.put("sense", "CURR")
        return self._read(given)

    @command("MEASure:RESistance?")
    def _measure_resistance(self, given: Sequence[str]) -> str:
        self.put("sense", "RES")
        return self._read(given)

    @command("FETCh?")
    def _fetch(self, given: Sequence[str]) -> str:
        name, elements = buffer_and_elements(given)
        kept = self._buffer(name)
        if not kept:
            raise ScpiError(-230, "Data corrupt or stale")
        return ",".join(kept[-1].show(e) for e in elements)

    @command("TRACe:TRIGger")
    def _trigger(self, given: Sequence[str]) -> None:
        name, _ = buffer_and_elements(given)
        for _ in range(self.get("count")):
            self._measure(name)

    @command("SOURce:VOLTage:ILIMit[:LEVel]:TRIPped?", "SOURce:CURRent:VLIMit[:LEVel]:TRIPped?")
    def _tripped(self, given: Sequence[str]) -> str:
        return "1" if self._smu.limited else "0"

    @command("SOURce:SWEep:VOLTage:LINear", "SOURce:SWEep:CURRent:LINear")
    def _linear(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 3, 9)
        texts = (*given, *("0", "1", "AUTO", "ON", "OFF", "'defbuffer1'")[len(given) - 3 :])
        top = LEVELS[self._quantity]
        level = Number(-top, top, 0)
        points = np.linspace(
            level.parse(texts[0]), level.parse(texts[1]), Integer(2, 10**6, 2).parse(texts[2])
        ).tolist()
        if Boolean().parse(texts[7]):
            points += points[-2::-1]
        self._plan(points, texts[3], texts[4], texts[6], texts[8])

    @command("SOURce:SWEep:VOLTage:LIST", "SOURce:SWEep:CURRent:LIST")
    def _listed(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 0, 5)
        texts = (*given, *("1", "0", "1", "ON", "'defbuffer1'")[len(given) :])
        points = self._lists[self._quantity]
        start = Integer(1, max(len(points), 1), 1).parse(texts[0])
        self._plan(points[start - 1 :], texts[1], texts[2], texts[3], texts[4])

    def _plan(self, points: list[float], delay: str, count: str, abort: str, buffer: str) -> None:
        if not points:
            raise ScpiError(*scpi.CONFLICT)
        name = scpi.unquoted(buffer)
        self._buffer(name).clear()
        seconds = 0.0 if delay == "-1" else Number(0, 1e4, 0).parse(delay)
        points = points * Integer(1, 10**6, 1).parse(count)
        self._sweep = (self._quantity, points, seconds, Boolean().parse(abort), name)

    @command("INITiate[:IMMediate]")
    def _initiate(self, given: Sequence[str]) -> None:
        """Run the sweep that was set up; it turns the output on and off by itself."""
        if self._sweep is None:
            self._measure("defbuffer1")
            return
        quantity, points, delay, abort, name = self._sweep
        self.put("output", True)
        for level in points:
            self.put(f"source.{quantity}.level", level)
            self._apply()
            self.bench.clock.sleep(delay)
            record = self._measure(name)
            if abort and record.limited:
                break
        self.put("output", False)
        self._apply()

    @command("ABORt", "TRIGger:PAUSe", "SYSTem:BEEPer", "DISPlay:SCReen")
    def _nothing(self, given: Sequence[str]) -> None:
        """Nothing is going on when a command is read; nobody hears or sees the rest."""

    @command("TRIGger:STATe?")
    def _state(self, given: Sequence[str]) -> str:
        """Nothing is going on when a command is read; the last number is that of a block."""
        return "EMPTY;EMPTY;0" if self._sweep is None else "IDLE;IDLE;6"

    @command("SYSTem:LFRequency?")
    def _line(self, given: Sequence[str]) -> str:
        return f"{LINE:.0f}"

    @command("SYSTem:CLEar", "STATus:CLEar")
    def _clear_log(self, given: Sequence[str]) -> None:
        self.status.clear()

    def show_error(self, code: int, text: str) -> str:
        """Keithley adds the event's type and time."""
        return f'{code},"{text};{1 if code else 0};2024/01/01 00:00:00.000"'
