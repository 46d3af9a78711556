"""An array that visits cells one after another, with sweeps, trains and time; no instruments."""

from __future__ import annotations

import dataclasses

import numpy as np

from cimlab.core.array import Trace
from tests.protocols.fake import FakeArray

VISIT = 0.02
"""What a verb takes for each cell, s."""


class BenchLike(FakeArray):
    """FakeArray with the optional verbs; `visits` lists the cells of each call, by verb."""

    def __init__(self, shape=(1, 2, 2), seed=0, capabilities=("sweep", "train"), **parameters):
        super().__init__(shape, seed, capabilities=frozenset(capabilities), **parameters)
        self.spec = dataclasses.replace(self.spec, vmm="emulated")
        self.visits = []

    def _visit(self, verb, cells, seconds=0.0):
        self.visits.append((verb, tuple(cells.tolist())))
        self.time.sleep(cells.size * (VISIT + seconds))

    def read(self, v, cells=None, averages=1):
        self._visit("read", np.arange(self.spec.size) if cells is None else cells)
        return super().read(v, cells, averages)

    def pulse(self, v, width, count=1, cells=None):
        self._visit("pulse", cells, width * np.max(count))
        super().pulse(v, width, count, cells)

    def pulse_and_read(self, v, width, v_read, cells, count=1, averages=1):
        self._visit("pulse_and_read", cells, width * np.max(count))
        return super().pulse_and_read(v, width, v_read, cells, count, averages)

    def sweep(self, v, i_comp, dwell, cells):
        self.calls.append("sweep")
        self._visit("sweep", cells, v.size * dwell)
        exact = np.empty((v.size, cells.size))
        for k, level in enumerate(v):
            if abs(level) > self.spec.limits.v_read:
                self._pulse(level, dwell, 1, cells)
            exact[k] = level * self.state[cells]
        return Trace(np.clip(exact, -i_comp, i_comp), np.abs(exact) >= i_comp, cells)

    def train(self, v, width, v_read, cells, averages=1):
        self.calls.append("train")
        self._visit("train", cells, float(np.sum(np.broadcast_to(width, v.shape))))
        readings = []
        for volts, seconds in zip(v, np.broadcast_to(width, v.shape), strict=True):
            self._pulse(volts, float(seconds), 1, cells)
            readings.append(self._read(v_read, cells, averages))
        return Trace(
            np.array([r.current for r in readings]),
            np.array([r.saturated for r in readings]),
            cells,
        )
