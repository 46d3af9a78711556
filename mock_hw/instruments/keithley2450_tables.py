"""Keithley 2450: its settings with their ranges and defaults, and what its buffers hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.emulator import Setting, setting
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, Kind, Number, Value

QUANTITIES = ("voltage", "current", "resistance")
WORD = {"voltage": "VOLTage", "current": "CURRent", "resistance": "RESistance"}
SHORT = {"VOLT": "voltage", "CURR": "current", "RES": "resistance"}
UNIT = {"voltage": "Volt DC", "current": "Amp DC", "resistance": "Ohm"}
RANGES = {
    "voltage": (0.02, 200.0, 0.02),
    "current": (1e-8, 1.0, 1e-8),
    "resistance": (2.0, 200e6, 2e5),
}
LEVELS = {"voltage": 210.0, "current": 1.05}
ELEMENTS = {
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
ELEMENT = Choice(*ELEMENTS)
READ_BACK, LIMITED, ON = 8, 32, 128
"""Bits of the source status: read back, limited by the other quantity, output on (page 8-29)."""
BY_SHORT = {"".join(c for c in k if not c.islower()): v for k, v in ELEMENTS.items()}


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
            "source_status": str(ON + READ_BACK + LIMITED * self.limited),
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
    word, (low, high, first) = f"[:SENSe]:{WORD[quantity]}", RANGES[quantity]
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
    word, top = f"SOURce:{WORD[quantity]}", LEVELS[quantity]
    first = RANGES[quantity][2]
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
            f"OUTPut:{WORD[quantity]}:SMODe",
        ),
    ]


SETTINGS: tuple[Setting, ...] = (
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


def buffer_and_elements(given: Sequence[str]) -> tuple[str, list[str]]:
    """The optional buffer name and buffer elements of a query."""
    if not given:
        return "defbuffer1", ["reading"]
    names = [BY_SHORT[str(ELEMENT.parse(text))] for text in given[1:]]
    return scpi.unquoted(given[0]), names or ["reading"]
