"""Keithley 4200A-SCS under KXCI, over Ethernet (4200A-KXCI-907-01): SMUs and a 4225-PMU.

Messages end with a NUL both ways; every one is answered, with data, ACK, or the error, which
:ERROR:LAST:GET repeats. SMU 1 is the port "smu", SMU 2 the port "bias", the others hang free; the
PMU has the port "pulse". Not: CVU, user libraries.
"""

from __future__ import annotations

from typing import ClassVar

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.keithley4200_pmu import Pmu
from cimlab.mock_hw.instruments.keithley4200_system import PAGES, SystemMode
from cimlab.mock_hw.instruments.kxci import (
    ACK,
    FAILED,
    I_MAX,
    INTEGRATION,
    NO_ERROR,
    V_MAX,
    KxciError,
)
from cimlab.mock_hw.instruments.smu import Smu

PORTS = ("smu", "bias", "smu3", "smu4")
DATA_READY, SYNTAX_ERROR = 1, 2


class Keithley4200:
    """See the module.

    Args:
        bench: Where its terminals go.
    """

    identity: ClassVar[str] = "KI4200A V1.13.0"
    end: ClassVar[bytes] = b"\0"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._smus = [Smu(bench, port) for port in PORTS]
        self._system = SystemMode(bench, self._smus)
        self._pmu = Pmu(bench)
        self._status = 0
        self._error = NO_ERROR
        self._seconds = INTEGRATION["2"]
        self._mode = ""

    def handle(self, message: bytes) -> bytes:
        """Carry out one message."""
        text = message.decode("latin-1").strip()
        try:
            answer = self._carry_out(text)
        except (KxciError, ValueError):
            self._status |= SYNTAX_ERROR
            answer = self._error = FAILED
        return answer.encode("latin-1") + b"\0"

    def _carry_out(self, text: str) -> str:
        if text in ("ID", "*IDN?"):
            return self.identity
        if text == "*OPT?":
            return ",".join([*(f"SMU{n}" for n in range(1, len(PORTS) + 1)), *self._pmu.names])
        if text == "SP":
            return str(self._status)
        if text == ":ERROR:LAST:GET":
            return self._error
        if text == ":ERROR:LAST:CLEAR":
            self._error = NO_ERROR
            return ACK
        if text in ("BC", "*RST"):
            return self._clear(text == "*RST")
        if text.upper().startswith(":PMU:"):
            return self._pmu.command(text)
        *modes, command = (part.strip() for part in text.split(";"))
        if modes not in ([], ["US"]) or command == "":
            raise KxciError
        if modes or command == "US":
            self._mode = "US"
        elif command[:2] in PAGES and command[2:3] in ("", " "):
            self._mode = "system"
        if command == "US":
            return ACK
        if self._mode == "US":
            return self._user(command)
        return self._page(command)

    def _page(self, command: str) -> str:
        """A command of the system mode, which must have been entered."""
        if not self._mode:
            raise KxciError
        answer = self._system.command(command)
        if command.startswith("ME"):
            self._status |= DATA_READY
        return answer

    def _clear(self, reset: bool) -> str:
        self._status, self._error = 0, NO_ERROR
        if reset:
            for smu in self._smus:
                self._put(smu, on=False)
            self._pmu.reset()
            self._system = SystemMode(self._bench, self._smus)
        return ACK

    def _user(self, command: str) -> str:
        """A command of the user mode."""
        verb, given = command[:2], [part.strip() for part in command[2:].split(",")]
        if verb == "IT":
            if given[0] not in INTEGRATION:
                raise KxciError
            self._seconds = INTEGRATION[given[0]]
            return ACK
        channel = int(given[0])
        if not 1 <= channel <= len(PORTS):
            raise KxciError
        smu = self._smus[channel - 1]
        if verb in ("TV", "TI"):
            return self._measure(smu, channel, verb[1])
        if verb in ("DV", "DI"):
            self._source(smu, verb[1], given[1:])
            return ACK
        raise KxciError

    def _source(self, smu: Smu, quantity: str, given: list[str]) -> None:
        """Range, level and compliance; without them the channel is disabled."""
        if not given:
            self._put(smu, on=False)
            return
        if len(given) != 3:
            raise KxciError
        _range, level, compliance = int(given[0]), float(given[1]), float(given[2])
        tops = (V_MAX, I_MAX) if quantity == "V" else (I_MAX, V_MAX)
        if not (abs(level) <= tops[0] and 0 < abs(compliance) <= tops[1]):
            raise KxciError
        smu.volts = quantity == "V"
        if smu.volts:
            smu.v, smu.i_limit = level, abs(compliance)
        else:
            smu.i, smu.v_limit = level, abs(compliance)
        self._put(smu, on=True)

    def _put(self, smu: Smu, on: bool) -> None:
        smu.on = on
        smu.apply()

    def _measure(self, smu: Smu, channel: int, quantity: str) -> str:
        """Status letter (N, or C in compliance), channel letter, quantity, value."""
        sample = smu.measure(self._seconds)
        self._status |= DATA_READY
        value = sample.v if quantity == "V" else sample.i
        return f"{'C' if sample.limited else 'N'}{'ABCD'[channel - 1]}{quantity}{value:+.5E}"
