"""The pulse generators Keysight 81160A and 33500B (81160-91020; 33500-90901).

Emulated: functions (pulses and DC act on the device), levels and their coupling, load, limits,
period, width, duty, edges, polarity, burst, trigger, output, APPLy, names of uploaded waveforms.
Not: modulation, sweeps, the waveforms themselves, patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.emulator import Setting, command, setting
from cimlab.mock_hw.instruments.keysight_pulsers_tables import Roots, common, pulse_headers
from cimlab.mock_hw.instruments.pulser import PulseGenerator
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, Number, ScpiError

ROOTS_81160A: Roots = (("[:SOURce]:PULSe", "<n>"), ("[:SOURce]:FUNCtion<n>:PULSe", ""))


class Keysight81160A(PulseGenerator):
    """81160A, two channels."""

    identity: ClassVar[str] = "Agilent Technologies,81160A,DE50C00123,1.0.3.0-2.6"
    settings: ClassVar[tuple[Setting, ...]] = (
        *common("[:SOURce]", "<n>", ROOTS_81160A, 5.0),
        setting(
            "function",
            Choice("SINusoid", "SQUare", "RAMP", "PULSe", "NOISe", "DC", "USER"),
            "SIN",
            "[:SOURce]:FUNCtion<n>[:SHAPe]",
            count=2,
        ),
        setting("frequency", Number(1e-6, 500e6, 1e3), 1e3, "[:SOURce]:FREQuency<n>", count=2),
        setting(
            "period", Number(2e-9, 1e6, 1e-3), 1e-3, *pulse_headers(ROOTS_81160A, "PERiod"), count=2
        ),
        setting(
            "width", Number(1.5e-9, 1e6, 1e-4), 1e-4, *pulse_headers(ROOTS_81160A, "WIDTh"), count=2
        ),
        setting(
            "lead",
            Number(1e-9, 1e3, 2.5e-9),
            2.5e-9,
            "[:SOURce]:PULSe:TRANsition<n>[:LEADing]",
            "[:SOURce]:FUNCtion<n>:PULSe:TRANsition[:LEADing]",
            count=2,
        ),
        setting(
            "trail",
            Number(1e-9, 1e3, 2.5e-9),
            2.5e-9,
            "[:SOURce]:PULSe:TRANsition<n>:TRAiling",
            count=2,
        ),
        setting("delay", Number(0, 1e3, 0), 0.0, "[:SOURce]:PULSe:DELay<n>", count=2),
        setting(
            "trigger",
            Choice("IMMediate", "INT2", "EXTernal", "MANual"),
            "IMM",
            "ARM:SOURce<n>",
            count=2,
        ),
        setting(
            "cycles",
            Integer(1, 2_147_483_647, 1),
            1,
            "TRIGger<n>:COUNt",
            "[:SOURce]:BURSt<n>:NCYCles",
            count=2,
        ),
        setting("coupled", Boolean(), False, "TRACk:CHANnel<n>", count=2),
        setting("source_impedance", Number(5, 50, 50), 50.0, "OUTPut<n>:IMPedance", count=2),
        setting("complement", Boolean(), False, "OUTPut<n>:COMPlement", count=2),
    )
    v_step: ClassVar[float] = 0.1

    @command("TRIGger<n>", "ARM<n>")
    def _trigger_one(self, n: int, given: Sequence[str]) -> None:
        if n not in (1, 2):
            raise ScpiError(*scpi.SUFFIX)
        self._trigger(n)

    @command("APPLy<n>:PULSe")
    def _applypulse_headers(self, n: int, given: Sequence[str]) -> None:
        self._apply("PULS", n, given)

    @command("APPLy<n>:SQUare")
    def _apply_square(self, n: int, given: Sequence[str]) -> None:
        self._apply("SQU", n, given)

    @command("APPLy<n>:SINusoid")
    def _apply_sine(self, n: int, given: Sequence[str]) -> None:
        self._apply("SIN", n, given)

    @command("APPLy<n>:NOISe")
    def _apply_noise(self, n: int, given: Sequence[str]) -> None:
        self._apply("NOIS", n, given)

    @command("APPLy<n>:USER")
    def _apply_user(self, n: int, given: Sequence[str]) -> None:
        self._apply("USER", n, given)

    @command("APPLy<n>:DC")
    def _apply_dc(self, n: int, given: Sequence[str]) -> None:
        self._apply("DC", n, given)


BUILT_IN = "INT:\\BUILTIN\\EXP_RISE.ARB"


class Keysight33522B(PulseGenerator):
    """33522B of the 33500B family, two channels."""

    identity: ClassVar[str] = "Agilent Technologies,33522B,MY52800123,4.00-1.19-2.00-52-00"
    settings: ClassVar[tuple[Setting, ...]] = (
        *common("[:SOURce<n>]", "", (("[:SOURce<n>]:FUNCtion:PULSe", ""),), 5.0),
        setting(
            "function",
            Choice("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC"),
            "SIN",
            "[:SOURce<n>]:FUNCtion",
            count=2,
        ),
        setting("frequency", Number(1e-6, 30e6, 1e3), 1e3, "[:SOURce<n>]:FREQuency", count=2),
        setting(
            "frequency.mode",
            Choice("CW", "LIST", "SWEep", "FIXed"),
            "CW",
            "[:SOURce<n>]:FREQuency:MODE",
            count=2,
        ),
        setting(
            "period",
            Number(33e-9, 1e6, 1e-3),
            1e-3,
            "[:SOURce<n>]:FUNCtion:PULSe:PERiod",
            count=2,
        ),
        setting(
            "width",
            Number(16e-9, 1e6, 1e-4),
            1e-4,
            "[:SOURce<n>]:FUNCtion:PULSe:WIDTh",
            count=2,
        ),
        setting(
            "lead",
            Number(8.4e-9, 1e-6, 10e-9),
            10e-9,
            "[:SOURce<n>]:FUNCtion:PULSe:TRANsition[:LEADing]",
            count=2,
        ),
        setting(
            "trail",
            Number(8.4e-9, 1e-6, 10e-9),
            10e-9,
            "[:SOURce<n>]:FUNCtion:PULSe:TRANsition:TRAiling",
            count=2,
        ),
        setting(
            "trigger",
            Choice("IMMediate", "EXTernal", "TIMer", "BUS"),
            "IMM",
            "TRIGger<n>:SOURce",
            count=2,
        ),
        setting("slope", Choice("POSitive", "NEGative"), "POS", "TRIGger<n>:SLOPe", count=2),
        setting("count", Integer(1, 1_000_000, 1), 1, "TRIGger<n>:COUNt", count=2),
        setting("delay", Number(0, 1000, 0), 0.0, "TRIGger<n>:DELay", count=2),
        setting("timer", Number(1e-6, 8000, 1), 1.0, "TRIGger<n>:TIMer", count=2),
        setting(
            "cycles",
            Integer(1, 100_000_000, 1, "+.6E"),
            1,
            "[:SOURce<n>]:BURSt:NCYCles",
            count=2,
        ),
        setting(
            "gate",
            Choice("NORMal", "INVerted"),
            "NORM",
            "[:SOURce<n>]:BURSt:GATE:POLarity",
            count=2,
        ),
        setting(
            "arb.rate",
            Number(1e-6, 160e6, 40e3),
            40e3,
            "[:SOURce<n>]:FUNCtion:ARBitrary:SRATe",
            count=2,
        ),
        setting(
            "arb.filter",
            Choice("NORMal", "STEP", "OFF"),
            "STEP",
            "[:SOURce<n>]:FUNCtion:ARBitrary:FILTer",
            count=2,
        ),
        setting(
            "arb.advance",
            Choice("TRIGger", "SRATe"),
            "SRAT",
            "[:SOURce<n>]:FUNCtion:ARBitrary:ADVance",
            count=2,
        ),
        setting("sync", Boolean(), True, "OUTPut:SYNC[:STATe]"),
        setting("sync.source", Choice("CH1", "CH2"), "CH1", "OUTPut:SYNC:SOURce"),
        setting("trigger.out", Boolean(), False, "OUTPut:TRIGger"),
    )

    def changed(self, key: str, n: int) -> None:
        """The cycles of a burst do not switch it on here."""
        if key == "cycles":
            self._drive(n)
        else:
            super().changed(key, n)

    def reset(self) -> None:
        """*RST: volatile waveforms are gone too."""
        self._waveforms: list[set[str]] = [set(), set()]
        self._waveform = [BUILT_IN, BUILT_IN]
        super().reset()

    @command("[:SOURce<n>]:DATA:ARBitrary", "[:SOURce<n>]:DATA:ARBitrary:DAC")
    def _upload(self, n: int, given: Sequence[str]) -> None:
        scpi.arguments(given, 9, 1_000_001)
        for text in given[1:]:
            scpi.number(text)
        self._waveforms[n - 1].add(given[0].strip("\"'").upper())

    @command("[:SOURce<n>]:DATA:VOLatile:CLEar")
    def _forget(self, n: int, given: Sequence[str]) -> None:
        self._waveforms[n - 1], self._waveform[n - 1] = set(), BUILT_IN

    @command("[:SOURce<n>]:FUNCtion:ARBitrary")
    def _set_waveform(self, n: int, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        name = given[0].strip("\"'").upper()
        if name not in self._waveforms[n - 1] | {BUILT_IN}:
            raise ScpiError(-256, "File name not found")
        self._waveform[n - 1] = name

    @command("[:SOURce<n>]:FUNCtion:ARBitrary?")
    def _get_waveform(self, n: int, given: Sequence[str]) -> str:
        return f'"{self._waveform[n - 1]}"'

    @command("[:SOURce<n>]:FUNCtion:PULSe:TRANsition:BOTH")
    def _edges(self, n: int, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        value = Number(8.4e-9, 1e-6, 10e-9).parse(given[0])
        self.put("lead", value, n)
        self.put("trail", value, n)

    @command("TRIGger<n>[:IMMediate]")
    def _trigger_one(self, n: int, given: Sequence[str]) -> None:
        if n not in (1, 2):
            raise ScpiError(*scpi.SUFFIX)
        self._trigger(n)

    @command("[:SOURce<n>]:APPLy:PULSe")
    def _applypulse_headers(self, n: int, given: Sequence[str]) -> None:
        self._apply("PULS", n, given)

    @command("[:SOURce<n>]:APPLy:SQUare")
    def _apply_square(self, n: int, given: Sequence[str]) -> None:
        self._apply("SQU", n, given)

    @command("[:SOURce<n>]:APPLy:SINusoid")
    def _apply_sine(self, n: int, given: Sequence[str]) -> None:
        self._apply("SIN", n, given)

    @command("[:SOURce<n>]:APPLy:DC")
    def _apply_dc(self, n: int, given: Sequence[str]) -> None:
        self._apply("DC", n, given)
