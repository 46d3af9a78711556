"""Pairs of phase-change cells (Nandakumar 2020; Demirag et al., arXiv 2108.01804).

Crystallising is gradual and melting is not, so a weight rises by SET pulses on its plus cell and
falls by SET pulses on its minus cell, blind, as many as the accumulator holds nominal steps; the
remainder stays. When a cell nears the end of its window the pair is refreshed: read, melted, and
written anew with its difference. Cells drift meanwhile: a batch takes a second where the array's
clock is virtual. Conductance-dependent noise and drift are the device's (`device=pcm`).

Differences: a pair is refreshed when dead reckoning says so, instead of every few images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from cimlab.core.array import Addresses
from cimlab.protocols import Blind, WriteVerify
from cimlab.training.accumulate import accumulate
from cimlab.training.updater import Update, Updater

from .nandakumar import BLIND

SECONDS = 1.0
"""Between two batches."""
STEP = 0.2e-6
"""Nominal rise by a pulse of 1 us, A at 0.1 V: 12 % of what is left, in the lower half. Shorter
pulses have finer steps, but not less noise."""
PULSES = Blind(v_set=1.5, v_reset=2.5, step_set=STEP, step_reset=STEP)
REFRESH = WriteVerify(tol=0.15e-6, v_step=0.1)
LOW, HIGH = 0.1e-6, 2.0e-6
"""Window of the cells, A at 0.1 V."""


class PhaseChangePairs(Updater):
    """SET pulses on one side or the other."""

    settings: ClassVar[Mapping[str, Any]] = {
        **BLIND,
        "remainder": "keep",
        "threshold": STEP / (HIGH - LOW),
        "low": LOW,
        "high": HIGH,
    }

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._verified = replace(self._writer, plan=REFRESH)
        self._writer = replace(self._writer, plan=PULSES)

    def begin(self, done: float) -> Update:
        """Time passes, and cells drift."""
        array = self._writer.array
        if "rest" in array.spec.capabilities:
            array.clock.sleep(SECONDS)
        return Update()

    def step(self) -> Update:
        """SET pulses for whole steps, then a refresh of pairs that have come to the end."""
        self.optimizer.step()
        hit, change = self._hit, self._change
        state = (self._weights, self._master, self.accumulated, self._limit)
        found = accumulate(*state, self._trigger.threshold, True, self._order, hit, change)
        if not found:
            return Update()
        where, side = hit[:found], (change[:found] < 0).astype(np.int64)
        believed = self.believed[side, where]
        target = believed + np.abs(change[:found]) / self._scale[where]
        cells = self.cells[side, where]
        written = self._writer.write(cells, believed, target)
        self.believed[side, where], self.target[side, where] = written.current, target
        self.writes[side, where] += 1
        self._adopt(where, keep=True)
        update = Update(found, found, written.pulses)
        full = where[written.current > self._window.high]
        return update + self._refresh(full) if full.size else update

    def _refresh(self, full: Addresses) -> Update:
        """Write the difference of pairs anew, from the low end; accumulators learn what is off."""
        plus, minus = self.read(where=full)
        wanted = self._master[full] + self.accumulated[full]
        self._weights[full] = (plus - minus) * self._scale[full]
        update = self.place(full, self._verified)
        self.accumulated[full] = wanted - self._master[full]
        return update
