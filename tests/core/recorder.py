"""A CimArray that does nothing but remember what reached it."""

from typing import Any

import numpy as np

from cimlab.core.array import (
    ArrayBase,
    ArraySpec,
    Converters,
    JobResult,
    Limits,
    Product,
    Reading,
    Trace,
)
from cimlab.core.clock import Clock, VirtualClock

LIMITS = Limits(v_set=3.0, v_reset=2.5, v_read=0.3, width_min=1e-7, width_max=1e-3, count_max=100)
SPEC = ArraySpec(
    tiles=2,
    rows=4,
    cols=4,
    dac_bits=8,
    adc_bits=8,
    limits=LIMITS,
    vmm="analog",
    origin="emulated",
    identity="recorder",
    capabilities=frozenset(
        {"unfold", "transpose", "counters", "job:write_verify", "sweep", "train"}
    ),
)


class Recorder(ArrayBase):
    """Answers zeros; `calls` holds (verb, arguments) of everything that got through."""

    spec = SPEC
    clock: Clock = VirtualClock()

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.clock = VirtualClock()
        self.converters = Converters(v_read=0.2, v_gate=1.5, i_read=10e-6, i_vmm=(70e-6, 70e-6))

    def _note(self, verb: str, *arguments: Any) -> None:
        self.calls.append((verb, arguments))

    def configure(self, converters):
        self._note("configure", converters)
        self.converters = converters

    def read(self, v, cells=None, averages=1):
        self._note("read", v, cells, averages)
        shape = SPEC.shape if cells is None else cells.shape
        return Reading(np.zeros(shape), v, np.zeros(shape, bool), cells)

    def pulse(self, v, width, count=1, cells=None):
        self._note("pulse", v, width, count, cells)

    def pulse_and_read(self, v, width, v_read, cells, count=1, averages=1):
        self._note("pulse_and_read", v, width, v_read, cells, count, averages)
        return Reading(np.zeros(cells.shape), v_read, np.zeros(cells.shape, bool), cells)

    def vmm(self, v, window=None):
        self._note("vmm", v, window)
        return _product(v.shape[1])

    def vmm_unfolded(self, v, unfold, window):
        self._note("vmm_unfolded", v, unfold, window)
        return _product(v.shape[0])

    def vmm_transposed(self, v, window=None):
        self._note("vmm_transposed", v, window)
        return _product(v.shape[1])

    def sweep(self, v, i_comp, dwell, cells):
        self._note("sweep", v, i_comp, dwell, cells)
        return _trace(v.size, cells)

    def train(self, v, width, v_read, cells, averages=1):
        self._note("train", v, width, v_read, cells, averages)
        return _trace(v.size, cells)

    def counters(self):
        self._note("counters")
        return np.zeros(SPEC.shape, np.uint32)

    def run_job(self, name, settings, cells, target):
        self._note("run_job", name, settings, cells, target)
        n = cells.size
        return JobResult(np.zeros(n), np.arange(n, dtype=np.int64), np.ones(n, bool), rounds=3)

    def ground(self):
        self._note("ground")

    def close(self):
        self._note("close")


def _product(batch: int) -> Product:
    saturated = np.zeros((2, batch, 4), bool)
    saturated[0, 0] = True
    return Product(np.zeros((2, batch, 4), np.float32), saturated)


def _trace(points, cells) -> Trace:
    shape = (points, cells.size)
    return Trace(np.zeros(shape), np.zeros(shape, bool), cells)
