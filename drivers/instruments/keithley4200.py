"""Keithley 4200A-SCS under KXCI: SMU 1 in user mode (manual 4200A-KXCI-907-01).

KXCI answers every setting, ends messages with a NUL, and listens at TCP port 1225. User mode has no
buffer, so a sweep is one exchange of messages a point.
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
INTEGRATIONS = {"short": 1, "medium": 2, "long": 3}


class Keithley4200(Instrument):
    """SMU 1 as a SourceMeter."""

    model = r"KI4200"
    end: ClassVar[str] = "\0"
    identify: ClassVar[str] = "ID"

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return V_MAX

    def send(self, *messages: str) -> None:
        """Send settings; each must be acknowledged.

        Raises:
            InstrumentError: One was not.
        """
        for message in messages:
            answer = self.query(message).strip()
            if answer != "ACK":
                raise InstrumentError(message, answer)

    def prepare(self) -> None:
        """User mode, medium integration, SMU off."""
        self.send("BC", "US", "US;IT2", "US;DV1")

    def integrate(self, time_: str) -> None:
        """Integration time: "short", "medium" or "long"."""
        self.send(f"US;IT{INTEGRATIONS[time_]}")

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        if not abs(v) <= V_MAX:
            raise LimitError(f"level {v:g} V is beyond {V_MAX:g} V")
        if not 0 < i_comp <= I_MAX:
            raise LimitError(f"compliance {i_comp:g} A is outside 0 .. {I_MAX:g} A")
        self.send(f"US;DV1,0,{v:.7g},{i_comp:.7g}")
        self._v = v

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter; the voltage is the level, or unknown (NaN) in compliance."""
        rows = [self._one() for _ in range(count)]
        current = np.array([value for value, _ in rows])
        limited = np.array([flag for _, flag in rows])
        return Samples(np.where(limited, np.nan, self._v), current, limited)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter, but for the round trips: see the module."""
        if v.ndim != 1 or not v.size or not np.abs(v).max() <= V_MAX:
            raise LimitError(f"a sweep has levels within {V_MAX:g} V in one dimension")
        parts = []
        try:
            for level in v:
                self.apply(float(level), i_comp)
                time.sleep(dwell)
                parts.append(self.measure())
        finally:
            self.off()
        columns = zip(*((p.v, p.i, p.limited) for p in parts), strict=True)
        volts, current, limited = (np.concatenate(column) for column in columns)
        return Samples(volts, current, limited)

    def off(self) -> None:
        """SMU disabled."""
        self.send("US;DV1")

    def _one(self) -> tuple[float, bool]:
        """One current: status letter, channel letter, quantity, value."""
        query = "US;TI1"
        answer = self.query(query).strip()
        if answer[:1] not in ("N", "C", "T") or answer[1:3] != "AI":
            raise InstrumentError(query, answer)
        return float(answer[3:]), answer[0] == "C"
