"""Hybrid weights (HIC, Joshi et al., arXiv 2102.05271).

The high-significance part of a weight is on the cells and is all that products see. The
low-significance part is a small integer, digital: updates are rounded to it, and when it
overflows, a carry moves the cells by whole steps, blind. Low precision of the accumulator is the
point: seven bits a weight instead of 32.

Differences: rounding is stochastic, without which updates below half of the last bit would be
lost; the carry is as many nominal pulses as a step needs, in either direction; where the original
counts write-erase cycles against the endurance of phase-change cells, every scheme here counts
the writes of every cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.training.checkpoint import Arrays
from cimlab.training.updater import Update, Updater

from .nandakumar import BLIND

BITS = 7
"""Of the low-significance part, with its sign."""


class HybridCells(Updater):
    """Integers that overflow into cells."""

    settings: ClassVar[Mapping[str, Any]] = {**BLIND, "threshold": 0.08}

    _steps = 0

    def step(self) -> Update:
        """Round what the optimiser wants to the last bit, add it, carry what overflows."""
        self.optimizer.step()
        carry = self._trigger.threshold * self._limit
        bit = carry / 2 ** (BITS - 1)
        wanted = (self._weights - self._master) / bit
        self._weights[:] = self._master
        self._steps += 1
        rounding = np.random.default_rng(self._steps).random(self.size)
        low = np.rint(self.accumulated / bit) + np.floor(wanted + rounding)
        room = (np.sign(low) * self._limit - self._master) / bit
        # a weight at its end cannot go on: the integer saturates
        low = np.where(np.abs(low) > np.abs(room), np.trunc(room), low)
        self.accumulated[:] = low * bit
        hit = np.flatnonzero(np.abs(self.accumulated) >= carry)
        if not hit.size:
            return Update()
        return self._write(hit, np.trunc(self.accumulated[hit] / carry[hit]) * carry[hit], True)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See Updater; with the steps done, which draw the rounding."""
        return super().arrays() | {"steps": np.array([self._steps])}

    def restore(self, arrays: Arrays) -> None:
        """See Updater."""
        super().restore(arrays)
        self._steps = int(arrays["steps"][0])
