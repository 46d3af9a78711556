"""A foreign instrument as a SourceMeter."""

from __future__ import annotations

import math

import numpy as np

from cimlab.drivers.foreign.instrument import ForeignInstrument
from cimlab.drivers.foreign.words import SmuWords
from cimlab.drivers.instruments.roles import Samples

NEARLY = 0.99
"""Share of the compliance from where on a reading counts as limited, if the class cannot tell."""


class ForeignSmu:
    """A SourceMeter; it has no list sweeps, so a bench with it has none either.

    The compliance is asked back after it was set. Where the class has no trip flag, a current
    within a hundredth of the compliance counts as limited: a few readings then are called bounds
    that are none.

    Args:
        instrument: Closed with this.
        words: Its vocabulary.
    """

    def __init__(self, instrument: ForeignInstrument, words: SmuWords) -> None:
        self._instrument, self._words = instrument, words
        self._level, self._limit = 0.0, math.inf
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
        """Unknown: the class itself refuses what is too much."""
        return math.inf

    def apply(self, v: float, i_comp: float) -> None:
        """See SourceMeter."""
        words = self._words
        if i_comp != self._limit:
            self._limit = math.inf  # until it is known to be in force
            self._instrument.put(words.limit, i_comp)
            self._limit = i_comp
        self._instrument.do(words.level, v)
        self._level = v
        self._instrument.do(*words.on)
        self._instrument.check(f"{v:g} V with {i_comp:g} A")

    def measure(self, count: int = 1) -> Samples:
        """See SourceMeter; one reading after another, at the voltage that is sourced."""
        current = np.empty(count)
        limited = np.empty(count, np.bool_)
        for k in range(count):
            current[k] = self._instrument.number(self._words.current)
            if self._words.tripped:
                limited[k] = bool(self._instrument.get(self._words.tripped))
            else:
                limited[k] = not abs(current[k]) < NEARLY * self._limit
        return Samples(np.full(count, self._level), current, limited)

    def off(self) -> None:
        """See Role."""
        self._instrument.do(*self._words.off)

    def close(self) -> None:
        """See Role."""
        try:
            self.off()
        finally:
            self._instrument.close()
