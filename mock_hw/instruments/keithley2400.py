"""Keithley 2400 SourceMeter (2400 series user's manual, 2400S-900-01).

Emulated: source and sense functions with concurrent measuring, ranges, compliance with its trip
flags and status bit, NPLC, output, data elements, fixed, linear and list sweeps, trace buffer and
its statistics. Not: source memory sweeps, limit tests, math expressions.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench, Sample
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, Setting, command, enable, setting
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, Number, ScpiError, Value
from cimlab.mock_hw.instruments.smu import LINE, Smu, clipped, decade, ohms
from cimlab.mock_hw.instruments.status import Register

NAN = 9.91e37
"""What is answered for a quantity that was not measured."""
_WORD = {"voltage": "VOLTage", "current": "CURRent", "resistance": "RESistance"}
_SHORT = {"VOLT": "voltage", "CURR": "current", "RES": "resistance"}
_RANGES = {"voltage": (0.2, 200.0), "current": (1e-6, 1.0), "resistance": (20.0, 200e6)}
_TOP = {"voltage": 210.0, "current": 1.05}
_RESET = {"voltage": 21.0, "current": 1.05e-4, "resistance": 2.1e5}
_AUTO_OHMS = {
    20.0: 0.1,
    200.0: 0.01,
    2e3: 1e-3,
    2e4: 1e-4,
    2e5: 1e-5,
    2e6: 1e-6,
    2e7: 1e-6,
    2e8: 1e-7,
}
"""Test current of each range in automatic resistance mode, A."""
_ELEMENT = Choice("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
_ORDER = ("VOLT", "CURR", "RES", "TIME", "STAT")
OVERFLOWN, COMPLIANCE, V_MEASURED, I_MEASURED, R_MEASURED, V_SOURCE, I_SOURCE = (
    1 << 0,
    1 << 3,
    1 << 11,
    1 << 12,
    1 << 13,
    1 << 14,
    1 << 15,
)
BUFFER_FULL = 512
Row = tuple[float, float, float, float, float]


def _sense(quantity: str) -> list[Setting]:
    word, (_, high) = f"[:SENSe]:{_WORD[quantity]}", _RANGES[quantity]
    low, first = (0.0 if quantity == "resistance" else -1.05 * high), _RESET[quantity]
    settings = [
        setting(
            f"{quantity}.range", Number(low, 1.05 * high, first), first, f"{word}:RANGe[:UPPer]"
        ),
        setting(f"{quantity}.auto", Boolean(), True, f"{word}:RANGe:AUTO"),
    ]
    if quantity in _TOP:
        top = _TOP[quantity]
        kind = Number(-top, top, first)
        settings.append(
            setting(f"{quantity}.limit", kind, first, f"{word}[:DC]:PROTection[:LEVel]")
        )
    return settings


def _source(quantity: str) -> list[Setting]:
    word, top, high = f"SOURce:{_WORD[quantity]}", _TOP[quantity], _RANGES[quantity][1]
    level = Number(-top, top, 0)
    amplitudes = (f"{word}[:LEVel][:IMMediate][:AMPLitude]", f"{word}[:LEVel]:TRIGgered")
    return [
        setting(f"source.{quantity}.level", level, 0.0, amplitudes[0]),
        setting(
            f"source.{quantity}.range",
            Number(-1.05 * high, 1.05 * high, _RESET[quantity]),
            _RESET[quantity],
            f"{word}:RANGe",
        ),
        setting(f"source.{quantity}.auto", Boolean(), True, f"{word}:RANGe:AUTO"),
        setting(f"source.{quantity}.mode", Choice("FIXed", "LIST", "SWEep"), "FIX", f"{word}:MODE"),
        setting(f"source.{quantity}.start", level, 0.0, f"{word}:STARt"),
        setting(f"source.{quantity}.stop", level, 0.0, f"{word}:STOP"),
        setting(f"source.{quantity}.step", level, 0.0, f"{word}:STEP"),
    ]


def _trigger() -> list[Setting]:
    count = Integer(1, 2500, 1)
    lines = Integer(1, 4, 1)
    return [
        setting("count", count, 1, "TRIGger[:SEQuence]:COUNt"),
        setting("arm.count", count, 1, "ARM[:SEQuence][:LAYer]:COUNt"),
        setting("trigger.delay", Number(0, 999.9999, 0), 0.0, "TRIGger:DELay"),
        setting("trigger.source", Choice("IMMediate", "TLINk"), "IMM", "TRIGger:SOURce"),
        setting(
            "trigger.output", Choice("SOURce", "DELay", "SENSe", "NONE"), "NONE", "TRIGger:OUTPut"
        ),
        setting("trigger.in", lines, 1, "TRIGger:ILINe"),
        setting("trigger.out", lines, 2, "TRIGger:OLINe"),
        setting("arm.timer", Number(0.001, 99999.99, 0.1), 0.1, "ARM:TIMer"),
        setting(
            "arm.source",
            Choice("IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest", "BSTest"),
            "IMM",
            "ARM:SOURce",
        ),
        setting("arm.output", Choice("TENTer", "TEXit", "NONE"), "NONE", "ARM:OUTPut"),
        setting("arm.in", lines, 1, "ARM:ILINe"),
        setting("arm.out", lines, 2, "ARM:OLINe"),
    ]


class Keithley2400(ScpiEmulator):
    """See the module."""

    identity: ClassVar[str] = (
        "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C33   Mar 31 2015 09:32:39/A02  /K/J"
    )
    settings: ClassVar[tuple[Setting, ...]] = (
        *(s for q in _WORD for s in _sense(q)),
        *(s for q in _TOP for s in _source(q)),
        *_trigger(),
        setting(
            "nplc", Number(0.01, 10, 1), 1.0, *(f"[:SENSe]:{w}:NPLCycles" for w in _WORD.values())
        ),
        setting("concurrent", Boolean(), True, "[:SENSe]:FUNCtion:CONCurrent"),
        setting("ohms", Choice("AUTO", "MANual"), "AUTO", "[:SENSe]:RESistance:MODE"),
        setting("filter", Boolean(), False, "[:SENSe]:AVERage[:STATe]"),
        setting("filtered", Integer(1, 100, 10), 10, "[:SENSe]:AVERage:COUNt"),
        setting("filter_type", Choice("REPeat", "MOVing"), "REP", "[:SENSe]:AVERage:TCONtrol"),
        setting("source", Choice("VOLTage", "CURRent", "MEMory"), "VOLT", "SOURce:FUNCtion[:MODE]"),
        setting("delay", Number(0, 999.9999, 0.001), 0.001, "SOURce:DELay"),
        setting("auto_delay", Boolean(), True, "SOURce:DELay:AUTO"),
        setting("clear", Boolean(), False, "SOURce:CLEar:AUTO"),
        setting("points", Integer(1, 2500, 2500), 2500, "SOURce:SWEep:POINts"),
        setting("spacing", Choice("LINear", "LOGarithmic"), "LIN", "SOURce:SWEep:SPACing"),
        setting("output", Boolean(), False, "OUTPut[:STATe]"),
        setting("off", Choice("NORMal", "ZERO", "HIMPedance", "GUARd"), "NORM", "OUTPut:SMODe"),
        setting("terminals", Choice("FRONt", "REAR"), "FRON", "ROUTe:TERMinals"),
        setting("wires", Boolean(), False, "SYSTem:RSENse"),
        setting("zero", Choice("0", "1", "ONCE", "ON", "OFF"), "1", "SYSTem:AZERo[:STATe]"),
        setting("line", Integer(50, 60, 50), int(LINE), "SYSTem:LFRequency"),
        setting("auto_line", Boolean(), True, "SYSTem:LFRequency:AUTO"),
        setting("display", Boolean(), True, "DISPlay:ENABle"),
        setting("size", Integer(1, 2500, 100), 100, "TRACe:POINts"),
        setting("feed", Choice("SENSe", "SENSe1", "CALCulate", "CALCulate2"), "SENS", "TRACe:FEED"),
        setting("store", Choice("NEXT", "NEVer"), "NEV", "TRACe:FEED:CONTrol"),
        setting("format", Choice("ASCii", "REAL", "SREal"), "ASC", "FORMat[:DATA]"),
        setting(
            "statistic",
            Choice("MEAN", "SDEViation", "MAXimum", "MINimum", "PKPK"),
            "MEAN",
            "CALCulate3:FORMat",
        ),
    )

    def __init__(self, bench: Bench) -> None:
        self._smu = Smu(bench)
        self._measurement = Register()
        super().__init__(bench)
        self.status.registers[0] = self._measurement

    def reset(self) -> None:
        """*RST: 0 V, output off, current measured; *RST keeps the trace buffer."""
        super().reset()
        self._functions = {"current"}
        self._elements = list(_ORDER)
        self._lists: dict[str, list[float]] = {"voltage": [0.0], "current": [0.0]}
        self._rows: list[Row] = []
        self._trace: list[Row] = []
        self._start = self.bench.clock.now()
        self._apply()

    def check(self, key: str, n: int, value: Value) -> None:
        """Counts together may not exceed the memory."""
        other = {"count": "arm.count", "arm.count": "count"}.get(key)
        if other and int(value) * self.get(other) > 2500:
            raise ScpiError(*scpi.CONFLICT)

    def changed(self, key: str, n: int) -> None:
        """Ranges that are set end autoranging; levels and compliances act at once."""
        root = key.rpartition(".")[0]
        if key.endswith(".range"):
            low, high = _RANGES[root.rpartition(".")[2]]
            self.put(f"{root}.auto", False)
            self.put(key, 1.05 * decade(self.get(key), low, high))
        elif key.endswith(".limit"):
            self.put(key, abs(self.get(key)))
        elif key == "delay":
            self.put("auto_delay", False)
        elif key == "zero" and self.get("zero") in ("ON", "OFF"):
            self.put("zero", "1" if self.get("zero") == "ON" else "0")
        elif key == "source":
            self.put("output", False)
        if key in ("output", "source") or key.endswith((".limit", ".level")):
            self._apply()

    def _apply(self) -> None:
        smu = self._smu
        smu.volts = self.get("source") == "VOLT"
        smu.v, smu.i = self.get("source.voltage.level"), self.get("source.current.level")
        smu.v_limit, smu.i_limit = self.get("voltage.limit"), self.get("current.limit")
        smu.on = self.get("output")
        smu.apply()

    def _take(self) -> Row:
        """One source-measure cycle as (V, A, ohm, s, status)."""
        sample = self._measure()
        volts = self._smu.volts
        status = (V_SOURCE if volts else I_SOURCE) | (COMPLIANCE if sample.limited else 0)
        v = self.get("source.voltage.level") if volts else NAN
        i = NAN if volts else self.get("source.current.level")
        r = NAN
        if "voltage" in self._functions:
            v, status = self._reading("voltage", sample.v), status | V_MEASURED
        if "current" in self._functions:
            i, status = self._reading("current", sample.i), status | I_MEASURED
        if "resistance" in self._functions:
            r, status = self._reading("resistance", ohms(sample)), status | R_MEASURED
        if any(abs(x) >= 9.9e37 and x != NAN for x in (v, i, r)):
            status |= OVERFLOWN
        return v, i, r, self.bench.clock.now() - self._start, float(status)

    def _measure(self) -> Sample:
        """Measure with the source as set, or with the test current of automatic ohms."""
        seconds, smu = self.get("nplc") / LINE, self._smu
        self.bench.clock.sleep(self.get("trigger.delay") + self.get("delay"))
        if "resistance" not in self._functions or self.get("ohms") == "MAN":
            return smu.measure(seconds)
        top = self.get("resistance.range") / 1.05
        smu.volts, smu.v_limit, sample = False, 21.0, Sample(0.0, 0.0, False)
        for ohm, test in _AUTO_OHMS.items():
            if self.get("resistance.auto") or ohm > 0.99 * top:
                smu.i = test
                sample = smu.measure(seconds)
                if not sample.limited and ohms(sample) <= 1.05 * ohm:
                    break
                if not self.get("resistance.auto"):
                    break
        return sample

    def _reading(self, quantity: str, value: float) -> float:
        full = (
            _RANGES[quantity][1] if self.get(f"{quantity}.auto") else self.get(f"{quantity}.range")
        )
        return clipped(value, full / (1.0 if self.get(f"{quantity}.auto") else 1.05))

    def _run(self) -> None:
        """From idle through the trigger model and back: arm count x trigger count cycles."""
        if not self.get("output") and not self.get("clear"):
            raise ScpiError(803, "Not permitted with OUTPUT off")
        self.put("output", True)
        self._rows = []
        quantity = _SHORT.get(self.get("source"), "voltage")
        levels = self._levels(quantity)
        for k in range(self.get("count") * self.get("arm.count")):
            if levels:
                self.put(f"source.{quantity}.level", levels[k % len(levels)])
                self._apply()
            self._rows.append(self._take())
        if self.get("clear"):
            self.put("output", False)
        self._apply()
        self._store()

    def _levels(self, quantity: str) -> list[float]:
        """What a sweep sources one after another; empty when the level is fixed."""
        mode = self.get(f"source.{quantity}.mode")
        if mode == "LIST":
            return self._lists[quantity]
        if mode == "FIX":
            return []
        start, stop = (self.get(f"source.{quantity}.{end}") for end in ("start", "stop"))
        step, points = self.get(f"source.{quantity}.step"), self.get("points")
        if self.get("spacing") == "LOG":
            sweep: list[float] = np.geomspace(start, stop, points).tolist()
            return sweep
        if step:
            points = round(abs((stop - start) / step)) + 1
        sweep = np.linspace(start, stop, points).tolist()
        return sweep

    def _store(self) -> None:
        if self.get("store") == "NEXT":
            room = self.get("size") - len(self._trace)
            self._trace += self._rows[:room]
            if len(self._trace) >= self.get("size"):
                self.put("store", "NEV")
                self._measurement.set(BUFFER_FULL)

    def _show(self, rows: Sequence[Row]) -> str:
        if not rows:
            raise ScpiError(-230, "Data corrupt or stale")
        kept = [k for k, name in enumerate(_ORDER) if name in self._elements]
        return ",".join(f"{row[k]:+.6E}" for row in rows for k in kept)

    @command("READ?")
    def _read(self, given: Sequence[str]) -> str:
        self._run()
        return self._show(self._rows)

    @command("FETCh?", "[:SENSe]:DATA[:LATest]?")
    def _fetch(self, given: Sequence[str]) -> str:
        return self._show(self._rows)

    @command("INITiate[:IMMediate]")
    def _initiate(self, given: Sequence[str]) -> None:
        self._run()

    @command("MEASure?")
    def _measure_as_set(self, given: Sequence[str]) -> str:
        return self._read(given)

    @command("MEASure:VOLTage[:DC]?")
    def _measure_voltage(self, given: Sequence[str]) -> str:
        return self._one_shot("voltage")

    @command("MEASure:CURRent[:DC]?")
    def _measure_current(self, given: Sequence[str]) -> str:
        return self._one_shot("current")

    @command("MEASure:RESistance?")
    def _measure_resistance(self, given: Sequence[str]) -> str:
        return self._one_shot("resistance")

    @command("CONFigure:VOLTage[:DC]")
    def _configure_voltage(self, given: Sequence[str]) -> None:
        self._configure("voltage")

    @command("CONFigure:CURRent[:DC]")
    def _configure_current(self, given: Sequence[str]) -> None:
        self._configure("current")

    @command("CONFigure:RESistance")
    def _configure_resistance(self, given: Sequence[str]) -> None:
        self._configure("resistance")

    def _configure(self, quantity: str) -> None:
        """One-shot measuring of one quantity, autoranged; the output comes on."""
        self._functions = {quantity}
        self.put(f"{quantity}.auto", True)
        self.put("count", 1)
        self.put("arm.count", 1)
        if not self.get("output"):
            self.put("output", True)
            self._apply()

    def _one_shot(self, quantity: str) -> str:
        self._configure(quantity)
        return self._read(())

    @command("[:SENSe]:FUNCtion[:ON]")
    def _set_functions(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 3)
        names = [_function(text) for text in given]
        self._functions = self._functions | set(names) if self.get("concurrent") else {names[-1]}
        if not self.get("concurrent") and len(names) > 1:
            raise ScpiError(*scpi.CONFLICT)

    @command("[:SENSe]:FUNCtion[:ON]?")
    def _get_functions(self, given: Sequence[str]) -> str:
        words = [("VOLT:DC", "voltage"), ("CURR:DC", "current"), ("RES", "resistance")]
        return ",".join(f'"{word}"' for word, name in words if name in self._functions)

    @command("[:SENSe]:FUNCtion:OFF")
    def _drop_functions(self, given: Sequence[str]) -> None:
        self._functions -= {_function(text) for text in given}

    @command("[:SENSe]:FUNCtion[:ON]:ALL")
    def _all_functions(self, given: Sequence[str]) -> None:
        self._functions = set(_WORD)

    @command("[:SENSe]:FUNCtion:OFF:ALL")
    def _no_functions(self, given: Sequence[str]) -> None:
        self._functions = set()

    @command(
        "[:SENSe]:CURRent[:DC]:PROTection:TRIPped?", "[:SENSe]:VOLTage[:DC]:PROTection:TRIPped?"
    )
    def _tripped(self, given: Sequence[str]) -> str:
        return "1" if self._smu.limited else "0"

    @command("FORMat:ELEMents[:SENSe]")
    def _set_elements(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 5)
        self._elements = [str(_ELEMENT.parse(text)) for text in given]

    @command("FORMat:ELEMents[:SENSe]?")
    def _get_elements(self, given: Sequence[str]) -> str:
        return ",".join(name for name in _ORDER if name in self._elements)

    @command("SOURce:LIST:VOLTage")
    def _volt_list(self, given: Sequence[str]) -> None:
        self._set_list("voltage", given, [])

    @command("SOURce:LIST:VOLTage:APPend")
    def _more_volts(self, given: Sequence[str]) -> None:
        self._set_list("voltage", given, self._lists["voltage"])

    @command("SOURce:LIST:CURRent")
    def _current_list(self, given: Sequence[str]) -> None:
        self._set_list("current", given, [])

    @command("SOURce:LIST:CURRent:APPend")
    def _more_currents(self, given: Sequence[str]) -> None:
        self._set_list("current", given, self._lists["current"])

    def _set_list(self, quantity: str, given: Sequence[str], before: list[float]) -> None:
        scpi.arguments(given, 1, 100)
        kind = Number(-_TOP[quantity], _TOP[quantity], 0)
        levels = before + [kind.parse(text) for text in given]
        if len(levels) > 2500:
            raise ScpiError(*scpi.TOO_MANY)
        self._lists[quantity] = levels

    @command("SOURce:LIST:VOLTage:POINts?")
    def _list_size(self, given: Sequence[str]) -> str:
        return str(len(self._lists["voltage"]))

    @command("TRACe:DATA?")
    def _data(self, given: Sequence[str]) -> str:
        return self._show(self._trace)

    @command("TRACe:POINts:ACTual?")
    def _filled(self, given: Sequence[str]) -> str:
        return str(len(self._trace))

    @command("TRACe:CLEar")
    def _clear_trace(self, given: Sequence[str]) -> None:
        self._trace = []
        self._measurement.set(0)

    @command("CALCulate3:DATA?")
    def _statistics(self, given: Sequence[str]) -> str:
        if len(self._trace) < 2:
            raise ScpiError(-230, "Data corrupt or stale")
        folds: dict[str, Callable[[list[float]], float]] = {
            "MEAN": statistics.fmean,
            "SDEV": statistics.stdev,
            "MAX": max,
            "MIN": min,
            "PKPK": lambda x: max(x) - min(x),
        }
        fold = folds[self.get("statistic")]
        kept = [k for k, name in enumerate(_ORDER[:3]) if name in self._elements]
        return ",".join(f"{fold([row[k] for row in self._trace]):+.6E}" for k in kept)

    @command("STATus:MEASurement[:EVENt]?")
    def _measured(self, given: Sequence[str]) -> str:
        return str(self._measurement.read_event())

    @command("STATus:MEASurement:ENABle")
    def _enable_measured(self, given: Sequence[str]) -> None:
        enable(self._measurement, given)

    @command("SYSTem:CLEar")
    def _clear_errors(self, given: Sequence[str]) -> None:
        self.status.errors.clear()

    @command(
        "*TRG",
        "ABORt",
        "TRIGger:CLEar",
        "SYSTem:BEEPer[:IMMediate]",
        "SYSTem:TIME:RESet",
        "SYSTem:LOCal",
    )
    def _nothing(self, given: Sequence[str]) -> None:
        """Nothing is going on when a command is read; nobody hears the rest."""


def _function(text: str) -> str:
    """The quantity of a quoted function name such as "VOLT:DC"."""
    kind = Choice(*_WORD.values(), *(f"{w}:DC" for w in _WORD.values()), quoted=True)
    return _SHORT[str(kind.parse(text)).removesuffix(":DC")]
