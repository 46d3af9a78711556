"""A foreign instrument as a PulseGenerator."""

from __future__ import annotations

import math
import time

from cimlab.core.errors import InstrumentError, LimitError
from cimlab.drivers.foreign.instrument import ForeignInstrument
from cimlab.drivers.foreign.words import PulserWords

V_MAX = 10.0
"""What both families that are understood reach into a high impedance, V."""
PERIOD_MIN = 1e-6
"""Well above what any of them needs, s."""


class ForeignPulser:
    """A PulseGenerator; levels and times are asked back before the output goes on.

    Args:
        instrument: Closed with this.
        words: Its vocabulary.
    """

    width_min = 16e-9
    count_max = 10_000

    def __init__(self, instrument: ForeignInstrument, words: PulserWords) -> None:
        self._instrument, self._words = instrument, words
        self._allowed = (0.0, 0.0)
        self._period = math.inf
        instrument.whole("write", "*RST")
        for step in words.start:
            instrument.do(*step)
        instrument.check("start")
        self.off()

    @property
    def identity(self) -> str:
        """See Role."""
        return self._instrument.identity

    @property
    def v_max(self) -> float:
        """See PulseGenerator."""
        return V_MAX

    def protect(self, v_low: float, v_high: float) -> None:
        """Levels outside are refused here: not every class can tell its instrument."""
        self._allowed = (v_low, v_high)

    def pulse(self, v: float, width: float, count: int = 1) -> None:
        """See PulseGenerator."""
        low, high = self._allowed
        if not low <= v <= high:
            raise LimitError(f"pulse of {v:g} V is outside {low:g} .. {high:g} V")
        instrument, words = self._instrument, self._words
        period = max(2 * width, PERIOD_MIN)
        try:
            instrument.do(*(words.normal if v > 0 else words.inverted))
            self._set_levels(v)
            self._set_times(period, width)
            instrument.put(words.count, count)
            instrument.check(f"{count} pulses of {v:g} V, {width:g} s")
            instrument.do(*words.on)
            instrument.whole(words.trigger)
            self._finish(count * period)
        finally:
            self.off()

    def _finish(self, seconds: float) -> None:
        if (answer := self._instrument.whole("ask", "*OPC?").strip()) != "1":
            raise InstrumentError("*OPC?", answer)
        time.sleep(seconds)  # *OPC? need not wait for a burst
        self._instrument.check("burst")

    def _set_levels(self, v: float) -> None:
        """The level that moves away from the other goes first, so that they never cross."""
        one, other = self._words.levels
        if self._words.by_offset:
            # the offset may be too much for the old amplitude, never for a small one
            for word, value in ((other, 0.0), (one, abs(v)), (other, v / 2)):
                self._instrument.put(word, value)
            return
        high, low = (one, max(v, 0.0)), (other, min(v, 0.0))
        for word, value in (high, low) if v > 0 else (low, high):
            self._instrument.put(word, value)

    def _set_times(self, period: float, width: float) -> None:
        """A pulse must fit into its period at every moment."""
        words = self._words
        told = 1 / period if words.by_frequency else period
        longer = period >= self._period
        if not longer:
            self._instrument.do(words.width, self.width_min)
        self._instrument.put(words.period, told)
        self._instrument.put(words.width, width)
        self._period = period

    def off(self) -> None:
        """See Role."""
        self._instrument.do(*self._words.off)

    def close(self) -> None:
        """See Role."""
        try:
            self.off()
        finally:
            self._instrument.close()
