"""Keithley 2600B SourceMeters, channel A, through scripts that run on the instrument."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import LimitError
from cimlab.drivers.instruments.roles import Samples
from cimlab.drivers.instruments.settings import Setting
from cimlab.drivers.instruments.timing import longest
from cimlab.drivers.instruments.tsp import TspInstrument

V_MAX, I_MAX = 200.0, 1.5
LIST_MAX = 50
"""Levels of one line; a line has at most 1000 characters."""
COMPLIANCE = 64
"""Bit of a buffered reading's status."""


class Attribute(Setting[float]):
    """A numeric attribute of channel A within low .. high; LimitError outside."""

    def __init__(self, name: str, low: float, high: float, unit: str) -> None:
        super().__init__(f"smua.{name}", f"{low:g} .. {high:g} {unit}")
        self._low, self._high = low, high

    def question(self) -> str:
        """A script prints what it reads."""
        return f"print({self._command})"

    def order(self, text: str) -> str:
        """A script assigns."""
        return f"{self._command}={text}"

    def _decode(self, answer: str) -> float:
        return float(answer)

    def _encode(self, value: float) -> str:
        if not self._low <= value <= self._high:
            raise LimitError(f"{self._name} {value:g} is outside {self.__doc__}")
        return f"{value:.9g}"


class Keithley2600B(TspInstrument):
    """Any 2600B, channel A, as a SourceMeter (reference manual 2600BS-901-01)."""

    model = r"MODEL 26[0-5]\d[AB]"
    stop: ClassVar[tuple[str, ...]] = ("abort", "smua.abort()")
    """The first one is no Lua: it ends the script that runs, a sweep's loop."""

    voltage = Attribute("source.levelv", -V_MAX, V_MAX, "V")
    current_limit = Attribute("source.limiti", 1e-10, I_MAX, "A")
    current_range = Attribute("measure.rangei", 1e-10, I_MAX, "A")
    nplc = Attribute("measure.nplc", 0.001, 25, "power line cycles")
    output = Attribute("source.output", 0, 1, "")

    @property
    def v_max(self) -> float:
        """See SourceMeter."""
        return V_MAX

    @property
    def tripped(self) -> bool:
        """Whether the limit is in force now."""
        return self.ask("smua.source.compliance") == "true"

    def prepare(self) -> None:
        """Defaults, voltage sourced; off means disconnected; buffers keep what was sourced."""
        self.send(
            "errorqueue.clear()",
            "smua.reset()",
            "smua.source.func = smua.OUTPUT_DCVOLTS",
            "smua.source.offmode = smua.OUTPUT_HIGH_Z",
            "smua.nvbuffer1.appendmode = 1",
            "smua.nvbuffer1.collectsourcevalues = 1",
        )

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        with self.settings():
            self.current_limit = i_comp
            self.voltage = v
            self.output = 1

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter: one call and one read-back, however many."""
        with self.running(self._seconds(count)):
            self.send(
                "smua.nvbuffer1.clear()",
                f"smua.measure.count = {count}",
                "smua.measure.i(smua.nvbuffer1)",
            )
            return self._fetch(count)

    def sweep(self, v: NDArray[np.float64], i_comp: float, dwell: float = 0.0) -> Samples:
        """See SourceMeter: the levels are uploaded, a loop on the instrument does the rest."""
        if v.ndim != 1 or not v.size or not np.abs(v).max() <= V_MAX:
            raise LimitError(f"a sweep has levels within {V_MAX:g} V in one dimension")
        seconds = self._seconds(v.size, dwell)
        with self.ending(self.off), self.running(seconds), self.settings():
            self.current_limit = i_comp
            self.send("cimlab_v = {}", "smua.nvbuffer1.clear()", "smua.measure.count = 1")
            for start in range(0, v.size, LIST_MAX):
                texts = ",".join(f"{level:.7g}" for level in v[start : start + LIST_MAX])
                self.send(f"for _, x in ipairs({{{texts}}}) do table.insert(cimlab_v, x) end")
            self.voltage = float(v[0])
            self.output = 1
            self.send(
                "for _, x in ipairs(cimlab_v) do smua.source.levelv = x "
                f"delay({dwell:.9g}) smua.measure.i(smua.nvbuffer1) end"
            )
        return self._fetch(v.size)

    def _seconds(self, readings: int, dwell: float = 0.0) -> float:
        """The longest that so many readings may take."""
        return longest(readings, dwell, lambda: self.nplc)

    def off(self) -> None:
        """Output off."""
        self.output = 0

    def _fetch(self, count: int) -> Samples:
        columns = ", ".join(f"smua.nvbuffer1.{c}" for c in ("sourcevalues", "readings", "statuses"))
        table = self.table(f"printbuffer(1, {count}, {columns})", count, 3)
        return Samples(table[:, 0], table[:, 1], table[:, 2].astype(int) & COMPLIANCE != 0)
