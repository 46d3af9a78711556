"""Keithley 2450 SourceMeter, SCPI command set (2450 reference manual, 2450-901-01).

Emulated: source and sense functions, ranges, limits with their trip flags, NPLC, output, reading
buffers, linear and list sweeps. Not: the trigger-model blocks, limit tests, contact check.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, Setting, command, setting
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, Kind, Number, ScpiError, Value
from cimlab.mock_hw.instruments.smu import LINE, Smu, clipped, decade, ohms

QUANTITIES = ("voltage", "current", "resistance")
_WORD = {"voltage": "VOLTage", "current": "CURRent", "resistance": "RESistance"}
_SHORT = {"VOLT": "voltage", "CURR": "current", "RES": "resistance"}
_UNIT = {"voltage": "Volt DC", "current": "Amp DC", "resistance": "Ohm"}
_RANGES = {
    "voltage": (0.02, 200.0, 0.02),
    "current": (1e-8, 1.0, 1e-8),
    "resistance": (2.0, 200e6, 2e5),
}
_LEVELS = {"voltage": 210.0, "current": 1.05}
_ELEMENTS = {
    "READing": "reading",
    "SOURce": "source",
    "RELative": "time",
    "STATus": "status",
    "SOURSTATus": "source_status",
    "UNIT": "unit",
    "SOURUNIT": "source_unit",
    "FORMatted": "formatted",
    "SOURFORMatted": "source_formatted",
    "SEConds": "seconds",
    "FRACtional": "fraction",
    "DATE": "date",
    "TIME": "clock",
    "TSTamp": "stamp",
}
_ELEMENT = Choice(*_ELEMENTS)
_BY_SHORT = {"".join(c for c in k if not c.islower()): v for k, v in _ELEMENTS.items()}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a reading buffer."""

    reading: float
    source: float
    time: float
    unit: str
    source_unit: str
    limited: bool

    def show(self, element: str) -> str:
        """One element, as FETCh? and TRACe:DATA? answer it."""
        seconds = int(self.time)
        texts = {
            "reading": f"{self.reading:.6E}",
            "source": f"{self.source:.6E}",
            "time": f"{self.time:.6f}",
            "status": "0",
            "source_status": "8" if self.limited else "0",
            "unit": self.unit,
            "source_unit": self.source_unit,
            "formatted": f"{self.reading:.6E} {self.unit}",
            "source_formatted": f"{self.source:.6E} {self.source_unit}",
            "seconds": str(seconds),
            "fraction": f"{self.time - seconds:.6f}",
            "date": "01/01/2024",
            "clock": f"00:00:{seconds % 60:02d}",
            "stamp": f"01/01/2024 00:00:{seconds % 60:02d}.000000000",
        }
        return texts[element]


def _sense(quantity: str) -> list[Setting]:
    """The settings of one measurement function."""
    word, (low, high, first) = f"[:SENSe]:{_WORD[quantity]}", _RANGES[quantity]
    if quantity != "resistance":
        word += "[:DC]"

    def one(key: str, kind: Kind, default: Value, tail: str, count: int = 1) -> Setting:
        return setting(f"{quantity}.{key}", kind, default, f"{word}{tail}", count=count)

    return [
        one("range", Number(0.0, 1.05 * high, first), first, ":RANGe[:UPPer]"),
        one("auto", Boolean(), True, ":RANGe:AUTO"),
        one("low", Number(low, high, low), low, ":RANGe:AUTO:LLIMit"),
        one("nplc", Number(0.01, 10, 1), 1.0, ":NPLCycles"),
        one("wires", Boolean(), False, ":RSENse"),
        one("zero", Boolean(), True, ":AZERo[:STATe]"),
        one("filter", Boolean(), False, ":AVERage[:STATe]"),
        one("filtered", Integer(1, 100, 10), 10, ":AVERage:COUNt"),
        one("filter_type", Choice("REPeat", "MOVing"), "REP", ":AVERage:TCONtrol"),
        one("user_delay", Number(0, 1e4, 0), 0.0, ":DELay:USER<n>", count=5),
    ]


def _source(quantity: str) -> list[Setting]:
    """The settings of one source function."""
    word, top = f"SOURce:{_WORD[quantity]}", _LEVELS[quantity]
    first = _RANGES[quantity][2]
    limit, limit_range, limit_default = {
        "voltage": (":ILIMit[:LEVel]", (1e-9, 1.05), 1.05e-4),
        "current": (":VLIMit[:LEVel]", (0.02, 210.0), 21.0),
    }[quantity]

    def one(key: str, kind: Kind, default: Value, tail: str, count: int = 1) -> Setting:
        return setting(f"source.{quantity}.{key}", kind, default, f"{word}{tail}", count=count)

    return [
        one("level", Number(-top, top, 0), 0.0, "[:LEVel][:IMMediate][:AMPLitude]"),
        one("range", Number(-top, top, first), first, ":RANGe"),
        one("auto", Boolean(), True, ":RANGe:AUTO"),
        one("limit", Number(*limit_range, limit_default), limit_default, limit),
        one("delay", Number(0, 1e4, 0), 0.0, ":DELay"),
        one("auto_delay", Boolean(), True, ":DELay:AUTO"),
        one("user_delay", Number(0, 1e4, 0), 0.0, ":DELay:USER<n>", count=5),
        one("read_back", Boolean(), True, ":READ:BACK"),
        one("high_c", Boolean(), False, ":HIGH:CAPacitance"),
        setting(
            f"off.{quantity}",
            Choice("NORMal", "ZERO", "HIMPedance", "GUARd"),
            "NORM",
            f"OUTPut:{_WORD[quantity]}:SMODe",
        ),
    ]


class Keithley2450(ScpiEmulator):
    """See the module."""

    identity: ClassVar[str] = "KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.12b"
    settings: ClassVar[tuple[Setting, ...]] = (
        *(s for q in QUANTITIES for s in _sense(q)),
        *(s for q in ("voltage", "current") for s in _source(q)),
        setting(
            "sense",
            Choice(
                "VOLTage",
                "CURRent",
                "RESistance",
                "VOLTage:DC",
                "CURRent:DC",
                quoted=True,
                answers={"VOLT": "VOLT:DC", "CURR": "CURR:DC"},
            ),
            "CURR",
            "[:SENSe]:FUNCtion[:ON]",
        ),
        setting("source", Choice("VOLTage", "CURRent"), "VOLT", "SOURce:FUNCtion[:MODE]"),
        setting("output", Boolean(), False, "OUTPut[:STATe]"),
        setting("count", Integer(1, 300000, 1), 1, "[:SENSe]:COUNt"),
        setting("terminals", Choice("FRONt", "REAR"), "FRON", "ROUTe:TERMinals"),
        setting("format", Choice("ASCii", "REAL", "SREal"), "ASC", "FORMat[:DATA]"),
        setting("precision", Integer(0, 16, 0), 0, "FORMat:ASCii:PRECision"),
    )

    def __init__(self, bench: Bench) -> None:
        self._smu = Smu(bench)
        super().__init__(bench)

    def reset(self) -> None:
        """*RST: also clears the buffers, the lists and the sweep."""
        super().reset()
        self._buffers: dict[str, list[Record]] = {"defbuffer1": [], "defbuffer2": []}
        self._sizes = {"defbuffer1": 100_000, "defbuffer2": 100_000}
        self._lists: dict[str, list[float]] = {"voltage": [], "current": []}
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
            self.put(key, decade(self.get(key), *_RANGES[root.rpartition(".")[2]][:2]))
        elif key.endswith(".delay"):
            self.put(f"{root}.auto_delay", False)
        elif key.endswith(".level") and self.get(f"{root}.auto"):
            ranges = _RANGES[root.rpartition(".")[2]]
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
        quantity = _SHORT[self.get("sense")]
        sample = self._smu.measure(self.get(f"{quantity}.nplc") / LINE)
        value = {"voltage": sample.v, "current": sample.i}.get(quantity)
        if value is None:
            value = ohms(sample)
        if self.get(f"{quantity}.auto"):
            self.put(f"{quantity}.range", decade(value, *_RANGES[quantity][:2]))
        value = clipped(value, self.get(f"{quantity}.range"))
        volts = self._smu.volts
        if source is None:
            source = sample.v if volts else sample.i
        record = Record(
            value,
            source,
            self.bench.clock.now() - self._start,
            _UNIT[quantity],
            "Volt DC" if volts else "Amp DC",
            sample.limited,
        )
        kept = self._buffer(buffer)
        kept.append(record)
        del kept[: -self._sizes[buffer]]
        return record

    def _buffer(self, name: str) -> list[Record]:
        if name not in self._buffers:
            raise ScpiError(-224, "Illegal parameter value: unknown reading buffer")
        return self._buffers[name]

    @command("*LANG?")
    def _language(self, given: Sequence[str]) -> str:
        return "SCPI"

    @command("*LANG")
    def _set_language(self, given: Sequence[str]) -> None:
        """Takes effect after a power cycle, which an emulator does not have."""

    @command("READ?", "MEASure[:DC]?")
    def _read(self, given: Sequence[str]) -> str:
        name, elements = _buffer_and_elements(given)
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
        name, elements = _buffer_and_elements(given)
        kept = self._buffer(name)
        if not kept:
            raise ScpiError(-230, "Data corrupt or stale")
        return ",".join(kept[-1].show(e) for e in elements)

    @command("TRACe:TRIGger")
    def _trigger(self, given: Sequence[str]) -> None:
        name, _ = _buffer_and_elements(given)
        for _ in range(self.get("count")):
            self._measure(name)

    @command("TRACe:MAKE")
    def _make(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 2, 3)
        name = scpi.unquoted(given[0])
        if name in self._buffers:
            raise ScpiError(-224, "Illegal parameter value: the buffer exists")
        self._buffers[name], self._sizes[name] = [], Integer(10, 6_875_000, 10).parse(given[1])

    @command("TRACe:DELete")
    def _delete(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        name = scpi.unquoted(given[0])
        if name.startswith("defbuffer") or name not in self._buffers:
            raise ScpiError(*scpi.ILLEGAL)
        del self._buffers[name], self._sizes[name]

    @command("TRACe:CLEar")
    def _clear_buffer(self, given: Sequence[str]) -> None:
        self._buffer(_buffer_and_elements(given)[0]).clear()

    @command("TRACe:POINts?")
    def _size(self, given: Sequence[str]) -> str:
        name = _buffer_and_elements(given)[0]
        self._buffer(name)
        return str(self._sizes[name])

    @command("TRACe:POINts")
    def _set_size(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 2)
        name = _buffer_and_elements(given[1:])[0]
        self._buffer(name).clear()
        self._sizes[name] = Integer(1, 6_875_000, 10).parse(given[0])

    @command("TRACe:ACTual?")
    def _filled(self, given: Sequence[str]) -> str:
        return str(len(self._buffer(_buffer_and_elements(given)[0])))

    @command("TRACe:DATA?")
    def _data(self, given: Sequence[str]) -> str:
        scpi.arguments(given, 2, 99)
        name, elements = _buffer_and_elements(given[2:])
        kept = self._buffer(name)
        first, last = (round(scpi.number(text)) for text in given[:2])
        if not 1 <= first <= last <= len(kept):
            raise ScpiError(*scpi.OUT_OF_RANGE)
        return ",".join(r.show(e) for r in kept[first - 1 : last] for e in elements)

    @command("TRACe:STATistics:AVERage?")
    def _average(self, given: Sequence[str]) -> str:
        return f"{statistics.fmean(self._readings(given)):.6E}"

    @command("TRACe:STATistics:STDDev?")
    def _deviation(self, given: Sequence[str]) -> str:
        return f"{statistics.stdev(self._readings(given)):.6E}"

    @command("TRACe:STATistics:MAXimum?")
    def _maximum(self, given: Sequence[str]) -> str:
        return f"{max(self._readings(given)):.6E}"

    @command("TRACe:STATistics:MINimum?")
    def _minimum(self, given: Sequence[str]) -> str:
        return f"{min(self._readings(given)):.6E}"

    def _readings(self, given: Sequence[str]) -> list[float]:
        kept = self._buffer(_buffer_and_elements(given)[0])
        if len(kept) < 2:
            raise ScpiError(-230, "Data corrupt or stale")
        return [record.reading for record in kept]

    @command("SOURce:VOLTage:ILIMit[:LEVel]:TRIPped?", "SOURce:CURRent:VLIMit[:LEVel]:TRIPped?")
    def _tripped(self, given: Sequence[str]) -> str:
        return "1" if self._smu.limited else "0"

    @command("SOURce:LIST:VOLTage", "SOURce:LIST:CURRent")
    def _list(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 100)
        self._lists[self._quantity].clear()
        self._append(given)

    @command("SOURce:LIST:VOLTage:APPend", "SOURce:LIST:CURRent:APPend")
    def _append(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 100)
        top = _LEVELS[self._quantity]
        kind = Number(-top, top, 0)
        self._lists[self._quantity] += [kind.parse(text) for text in given]

    @command("SOURce:LIST:VOLTage:POINts?", "SOURce:LIST:CURRent:POINts?")
    def _list_size(self, given: Sequence[str]) -> str:
        return str(len(self._lists[self._quantity]))

    @property
    def _quantity(self) -> str:
        return _SHORT[self.get("source")]

    @command("SOURce:SWEep:VOLTage:LINear", "SOURce:SWEep:CURRent:LINear")
    def _linear(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 3, 9)
        texts = (*given, *("0", "1", "AUTO", "ON", "OFF", "'defbuffer1'")[len(given) - 3 :])
        top = _LEVELS[self._quantity]
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

    @command("SYSTem:LFRequency?")
    def _line(self, given: Sequence[str]) -> str:
        return f"{LINE:.0f}"

    @command("SYSTem:CLEar", "STATus:CLEar")
    def _clear_log(self, given: Sequence[str]) -> None:
        self.status.clear()

    def show_error(self, code: int, text: str) -> str:
        """Keithley adds the event's type and time."""
        return f'{code},"{text};{1 if code else 0};2024/01/01 00:00:00.000"'


def _buffer_and_elements(given: Sequence[str]) -> tuple[str, list[str]]:
    """The optional buffer name and buffer elements of a query."""
    if not given:
        return "defbuffer1", ["reading"]
    names = [_BY_SHORT[str(_ELEMENT.parse(text))] for text in given[1:]]
    return scpi.unquoted(given[0]), names or ["reading"]
