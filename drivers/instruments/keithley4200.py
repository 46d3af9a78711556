"""Keithley 4200A-SCS under KXCI: SMU 1 (manual 4200A-KXCI-907-01).

KXCI answers every message, ends it with a NUL, and listens at TCP port 1225. What is not data is
ACK or an error, which :ERROR:LAST:GET repeats with its number. Single measurements are made in
user mode, sweeps in system mode: a list up, one column of readings down.
"""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import InstrumentError, LimitError
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.roles import Samples

V_MAX, I_MAX = 210.0, 0.105
POINTS_MAX = 4096
DWELL_MAX = 6.553
INTEGRATIONS = {"short": 1, "medium": 2, "long": 3}
LETTERS = "NCT"
"""Normal, in compliance, another channel in compliance."""
POLL = 0.01
LEVEL, PATIENCE = 1.0, 60.0
"""Longest measurement of one level, and wait beyond the longest sweep, s."""


class Kxci(Instrument):
    """A part of a 4200A-SCS."""

    model = r"KI4200"
    end: ClassVar[str] = "\0"
    identify: ClassVar[str] = "ID"
    error_query: ClassVar[str] = ":ERROR:LAST:GET"

    def send(self, *messages: str) -> None:
        """Send settings; each must be acknowledged.

        Raises:
            InstrumentError: One was not.
        """
        for message in messages:
            answer = self.query(message).strip()
            if answer != "ACK":
                raise InstrumentError(message, answer)

    def _abort(self) -> None:
        """KXCI acknowledges even what ends everything; that answer is dropped later."""
        self._owed = True
        super()._abort()

    def check(self, sent: str) -> None:
        """InstrumentError with the last error after what was sent, which is forgotten then."""
        answer = self.query(self.error_query).strip()
        if answer not in ("", "ACK") and not answer.startswith("No error"):
            self.send(":ERROR:LAST:CLEAR")
            raise InstrumentError(sent, answer)

    def wait(self, query: str, idle: tuple[int, ...], sent: str, seconds: float) -> None:
        """Ask until the answer is one of the idle ones, then see whether all went well.

        Args:
            query: Asks how it goes.
            idle: Answers when it is over.
            sent: What is going on.
            seconds: Longest wait.
        """
        end = time.monotonic() + seconds
        while True:
            answer = self.query(query).strip()
            if not answer.isdigit() or time.monotonic() > end:
                raise InstrumentError(sent, f"{query}: {answer}")
            if int(answer) in idle:
                break
            time.sleep(POLL)
        self.check(sent)


class Keithley4200(Kxci):
    """SMU 1 as a SourceMeter."""

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return V_MAX

    def prepare(self) -> None:
        """User mode, medium integration, SMU off."""
        self.send("BC", "US", "US;IT2", "US;DV1")
        self._integration = INTEGRATIONS["medium"]

    def integrate(self, time_: str) -> None:
        """Integration time: "short", "medium" or "long"."""
        self._integration = INTEGRATIONS[time_]
        self.send(f"US;IT{self._integration}")

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        _check(np.array([v]), i_comp)
        self.send(f"US;DV1,0,{v:.7g},{i_comp:.7g}")
        self._v = v

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter; the voltage is the level, or unknown (NaN) in compliance."""
        rows = [self._one() for _ in range(count)]
        current = np.array([value for value, _ in rows])
        limited = np.array([flag for _, flag in rows])
        return Samples(np.where(limited, np.nan, self._v), current, limited)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter; at most 4096 points."""
        _check(v, i_comp)
        if v.size > POINTS_MAX or not 0 <= dwell <= DWELL_MAX:
            raise LimitError(f"a sweep has up to {POINTS_MAX} points of up to {DWELL_MAX} s")
        levels = ",".join(f"{level:.7g}" for level in v)
        with self.ending(self.off), self.ending(self._stop):
            self.send(
                "DE",
                "CH1,'V1','I1',1,1",
                *(f"CH{n}" for n in (2, 3, 4)),
                "SS",
                f"VL1,1,{i_comp:.7g},{levels}",
                "HT 0",
                f"DT {dwell:.6g}",
                f"IT{self._integration}",
                "SM",
                "DM2",
                "LI 'V1','I1'",
                "MD",
                "ME1",
            )
            self.wait("SP", (0, 1), "ME1", v.size * (dwell + LEVEL) + PATIENCE)
            volts, _ = self._column("V1", v.size)
            current, limited = self._column("I1", v.size)
        return Samples(volts, current, limited)

    def off(self) -> None:
        """SMU disabled, in user mode."""
        self.send("US;DV1")

    def _stop(self) -> None:
        """No sweep goes on after this."""
        self.send("MD", "ME4")

    def _column(self, name: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """A column of readings and where the compliance was in force."""
        query = f"DO '{name}'"
        answer = self.query(query).strip()
        texts = [text.strip() for text in answer.split(",")]
        if len(texts) != count or any(text[:1] not in LETTERS for text in texts):
            raise InstrumentError(query, answer[:200])
        values = np.array([_number(query, text[1:]) for text in texts])
        return values, np.array([text[0] == "C" for text in texts])

    def _one(self) -> tuple[float, bool]:
        """One current: status letter, channel letter, quantity, value."""
        query = "US;TI1"
        answer = self.query(query).strip()
        if answer[:1] not in LETTERS or answer[1:3] != "AI":
            raise InstrumentError(query, answer)
        return _number(query, answer[3:]), answer[0] == "C"


def _number(query: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InstrumentError(query, text) from None


def _check(v: NDArray[np.float64], i_comp: float) -> None:
    if v.ndim != 1 or not v.size or not np.abs(v).max() <= V_MAX:
        raise LimitError(f"levels must lie within {V_MAX:g} V, in one dimension")
    if not 0 < i_comp <= I_MAX:
        raise LimitError(f"compliance {i_comp:g} A is outside 0 .. {I_MAX:g} A")
