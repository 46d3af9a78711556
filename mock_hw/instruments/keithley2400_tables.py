"""Keithley 2400: its settings with their ranges and defaults, and the bits of its status."""

from __future__ import annotations

from cimlab.mock_hw.instruments.emulator import Setting, setting
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, Number
from cimlab.mock_hw.instruments.smu import LINE

NAN = 9.91e37
"""What is answered for a quantity that was not measured."""
WORD = {"voltage": "VOLTage", "current": "CURRent", "resistance": "RESistance"}
SHORT = {"VOLT": "voltage", "CURR": "current", "RES": "resistance"}
RANGES = {"voltage": (0.2, 200.0), "current": (1e-6, 1.0), "resistance": (20.0, 200e6)}
TOP = {"voltage": 210.0, "current": 1.05}
RESET = {"voltage": 21.0, "current": 1.05e-4, "resistance": 2.1e5}
AUTO_OHMS = {
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
ELEMENT = Choice("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
ORDER = ("VOLT", "CURR", "RES", "TIME", "STAT")
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
    word, (_, high) = f"[:SENSe]:{WORD[quantity]}", RANGES[quantity]
    low, first = (0.0 if quantity == "resistance" else -1.05 * high), RESET[quantity]
    settings = [
        setting(
            f"{quantity}.range", Number(low, 1.05 * high, first), first, f"{word}:RANGe[:UPPer]"
        ),
        setting(f"{quantity}.auto", Boolean(), True, f"{word}:RANGe:AUTO"),
    ]
    if quantity in TOP:
        top = TOP[quantity]
        kind = Number(-top, top, first)
        settings.append(
            setting(f"{quantity}.limit", kind, first, f"{word}[:DC]:PROTection[:LEVel]")
        )
    return settings


def _source(quantity: str) -> list[Setting]:
    word, top, high = f"SOURce:{WORD[quantity]}", TOP[quantity], RANGES[quantity][1]
    level = Number(-top, top, 0)
    amplitudes = (f"{word}[:LEVel][:IMMediate][:AMPLitude]", f"{word}[:LEVel]:TRIGgered")
    return [
        setting(f"source.{quantity}.level", level, 0.0, amplitudes[0]),
        setting(
            f"source.{quantity}.range",
            Number(-1.05 * high, 1.05 * high, RESET[quantity]),
            RESET[quantity],
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


SETTINGS: tuple[Setting, ...] = (
    *(s for q in WORD for s in _sense(q)),
    *(s for q in TOP for s in _source(q)),
    *_trigger(),
    setting("nplc", Number(0.01, 10, 1), 1.0, *(f"[:SENSe]:{w}:NPLCycles" for w in WORD.values())),
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


def function(text: str) -> str:
    """The quantity of a quoted function name such as "VOLT:DC"."""
    kind = Choice(*WORD.values(), *(f"{w}:DC" for w in WORD.values()), quoted=True)
    return SHORT[str(kind.parse(text)).removesuffix(":DC")]
