"""Keithley 2400 SourceMeter (2400 series user's manual, 2400S-900-01).

Emulated: source and sense functions with concurrent measuring, ranges, compliance with its trip
flags and status bit, NPLC, output, data elements, fixed, linear and list sweeps, trace buffer and
its statistics. Not: source memory sweeps, limit tests, math expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench, Sample
from cimlab.mock_hw.instruments.emulator import Setting, command, enable
from cimlab.mock_hw.instruments.keithley2400_memory import Memory
from cimlab.mock_hw.instruments.keithley2400_tables import (
    AUTO_OHMS,
    COMPLIANCE,
    ELEMENT,
    I_MEASURED,
    I_SOURCE,
    NAN,
    ORDER,
    OVERFLOWN,
    R_MEASURED,
    RANGES,
    SETTINGS,
    SHORT,
    V_MEASURED,
    V_SOURCE,
    WORD,
    Row,
    function,
)
from cimlab.mock_hw.instruments.scpi import ScpiError, Value
from cimlab.mock_hw.instruments.smu import LINE, Smu, clipped, decade, ohms


class Keithley2400(Memory):
    """See the module."""

    identity: ClassVar[str] = (
        "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C33   Mar 31 2015 09:32:39/A02  /K/J"
    )
    settings: ClassVar[tuple[Setting, ...]] = SETTINGS

    def __init__(self, bench: Bench, port: str = "smu") -> None:
        self._smu = Smu(bench, port)
        super().__init__(bench)

    def reset(self) -> None:
        """*RST: 0 V, output off, current measured."""
        super().reset()
        self._functions = {"current"}
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
            low, high = RANGES[root.rpartition(".")[2]]
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
        for ohm, test in AUTO_OHMS.items():
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
            RANGES[quantity][1] if self.get(f"{quantity}.auto") else self.get(f"{quantity}.range")
        )
        return clipped(value, full / (1.0 if self.get(f"{quantity}.auto") else 1.05))

    def _run(self) -> None:
        """From idle through the trigger model and back: arm count x trigger count cycles."""
        if not self.get("output") and not self.get("clear"):
            raise ScpiError(803, "Not permitted with OUTPUT off")
        self.put("output", True)
        self._rows = []
        quantity = SHORT.get(self.get("source"), "voltage")
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
        names = [function(text) for text in given]
        self._functions = self._functions | set(names) if self.get("concurrent") else {names[-1]}
        if not self.get("concurrent") and len(names) > 1:
            raise ScpiError(*scpi.CONFLICT)

    @command("[:SENSe]:FUNCtion[:ON]?")
    def _get_functions(self, given: Sequence[str]) -> str:
        words = [("VOLT:DC", "voltage"), ("CURR:DC", "current"), ("RES", "resistance")]
        return ",".join(f'"{word}"' for word, name in words if name in self._functions)

    @command("[:SENSe]:FUNCtion:OFF")
    def _drop_functions(self, given: Sequence[str]) -> None:
        self._functions -= {function(text) for text in given}

    @command("[:SENSe]:FUNCtion[:ON]:ALL")
    def _all_functions(self, given: Sequence[str]) -> None:
        self._functions = set(WORD)

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
        self._elements = [str(ELEMENT.parse(text)) for text in given]

    @command("FORMat:ELEMents[:SENSe]?")
    def _get_elements(self, given: Sequence[str]) -> str:
        return ",".join(name for name in ORDER if name in self._elements)

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
