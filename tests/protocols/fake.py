"""A small array straight on a device model: ideal converters, numpy's generator, a log of calls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    JobResult,
    Limits,
    Product,
    Reading,
    Window,
)
from cimlab.core.clock import VirtualClock
from cimlab.mock_hw.devices import Cells, device
from cimlab.protocols.jobs import JOBS


class GeneratorDraws:
    """Draws from a numpy generator; not counter-based, which a test does not need."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self._rng, self._n = rng, n

    def normal(self, k: int) -> Cells:
        return self._rng.standard_normal(self._n, np.float32)

    def uniform(self, k: int) -> Cells:
        return self._rng.random(self._n, np.float32)


class FakeArray(ArrayBase):
    """Implements the seam without a board; `calls` lists the verbs used."""

    def __init__(
        self,
        shape: tuple[int, int, int] = (1, 16, 16),
        seed: int = 0,
        model: str = "brram",
        capabilities: frozenset[str] = frozenset(),
        **parameters: float,
    ) -> None:
        self.spec = ArraySpec(*shape, 8, 8, Limits(), "analog", "emulated", "fake", capabilities)
        self.rng = np.random.default_rng(seed)
        self.device = device(model, **parameters)
        self.state, self.traits = self.device.born(self.spec.size, self._draws(self.spec.size))
        self.stuck = np.zeros(self.spec.size, bool)
        self.counted = np.zeros(self.spec.size, np.uint32)
        self.calls: list[str] = []
        self.converters = Converters(0.1, 3.3, 5e-6, (100e-6,) * shape[0])
        self.time = VirtualClock()
        self.gain = np.ones((shape[0], 1, shape[2]))
        self.offset = np.zeros((shape[0], 1, shape[2]))

    @property
    def clock(self) -> VirtualClock:
        return self.time

    def _draws(self, n: int) -> GeneratorDraws:
        return GeneratorDraws(self.rng, n)

    def configure(self, converters: Converters) -> None:
        self.converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        self.calls.append("read")
        return self._read(v, cells, averages)

    def _read(self, v: float, cells: Addresses | None, averages: int) -> Reading:
        g = self.state if cells is None else self.state[cells]
        noise = self.rng.standard_normal(g.size) * self.device.sigma_read / np.sqrt(averages)
        current = v * (g + noise)
        clipped = (current > self.converters.i_read) | (current < 0)
        current = np.clip(current, 0, self.converters.i_read)
        if cells is None:
            return Reading(current.reshape(self.spec.shape), v, clipped.reshape(self.spec.shape))
        return Reading(current, v, clipped, cells)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        self.calls.append("pulse")
        self._pulse(v, width, count, np.arange(self.spec.size) if cells is None else cells)

    def _pulse(self, v: ArrayLike, width: float, count: ArrayLike, cells: Addresses) -> None:
        v = np.broadcast_to(np.asarray(v, np.float32).ravel(), cells.shape)
        count = np.broadcast_to(np.ravel(count), cells.shape)
        for k in range(int(count.max(initial=0))):
            on = (count > k) & (v != 0)
            hit = cells[on]
            self.counted[hit] += 1
            moved = self.device.pulse(
                self.state[hit], self.traits[:, hit], v[on], width, self._draws(hit.size)
            )
            self.state[hit] = np.where(self.stuck[hit], self.state[hit], moved)

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        self.calls.append("pulse_and_read")
        self._pulse(v, width, count, cells)
        return self._read(v_read, cells, averages)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        self.calls.append("vmm")
        g = self.state.reshape(self.spec.shape)
        full = np.asarray(self.converters.i_vmm)[:, None, None]
        noise = self.rng.standard_normal((v.shape[0], v.shape[1], self.spec.cols))
        sigma = self.device.sigma_read * np.sqrt((np.asarray(v) ** 2).sum(2, keepdims=True))
        current = self.gain * (np.asarray(v) @ g + sigma * noise) + self.offset
        clipped = current > full
        return Product(np.clip(current, 0, full).astype(np.float32), clipped)

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        self.calls.append(f"job:{name}")
        steps = JOBS[name](self, settings, cells, target)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value

    def ground(self) -> None:
        self.calls.append("ground")
