"""A stage without cells: what a procedure would do, and how long that takes, before it is done."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    Product,
    Reading,
    Trace,
    Window,
)
from cimlab.core.clock import VirtualClock
from cimlab.core.errors import CapabilityError
from cimlab.protocols.characterisation import Stress

_LATE = 0.8
"""Share of the plan's largest amplitude at which cells switch: late in a ramp."""
_G_LOW, _G_HIGH = 1e-6, 100e-6
_RIPPLE = 1e-3
"""Of reads, up and down in turn, so that a spread is not exactly zero."""


class Rehearsal(ArrayBase):
    """Cells that switch ideally, and a clock that counts pulses, dwells and waits.

    Args:
        spec: Of the array that the procedure is meant for; its capabilities decide what it does.
        converters: Of that array.
        stress: Of the plan; where cells switch.
    """

    def __init__(self, spec: ArraySpec, converters: Converters, stress: Stress) -> None:
        self.spec = spec
        self.converters = converters
        self._time = VirtualClock()
        self._stress = stress
        self._g = np.full(spec.size, _G_LOW)
        self._reads = 0

    @property
    def clock(self) -> VirtualClock:
        """Moved by what is applied."""
        return self._time

    def configure(self, converters: Converters) -> None:
        """Take over the settings."""
        self.converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """Read at no cost: what a read takes is the hardware's."""
        where = np.arange(self.spec.size) if cells is None else cells
        self._reads += 1
        current = self._g[where] * v * (1 + _RIPPLE * (-1) ** self._reads)
        shape = self.spec.shape if cells is None else cells.shape
        return Reading(current.reshape(shape), v, np.zeros(shape, np.bool_), cells)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """All cells at once."""
        where = np.arange(self.spec.size) if cells is None else cells
        volts = np.broadcast_to(np.asarray(v, np.float64).ravel(), where.shape)
        self._switch(where, volts)
        self._time.sleep(float(width * np.max(count, initial=0)))

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """See `pulse` and `read`."""
        self.pulse(v, width, count, cells)
        return self.read(v_read, cells, averages)

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """One cell after another."""
        self._time.sleep(dwell * v.size * cells.size)
        current = np.empty((v.size, cells.size))
        for k, level in enumerate(v):
            self._switch(cells, np.full(cells.size, level))
            current[k] = self._g[cells] * level
        clipped = np.abs(current) >= i_comp
        return Trace(np.clip(current, -i_comp, i_comp), clipped, cells)

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """One cell after another."""
        widths = np.broadcast_to(np.asarray(width, np.float64), v.shape)
        self._time.sleep(float(widths.sum()) * cells.size)
        current = np.empty((v.size, cells.size))
        for k, level in enumerate(v):
            self._switch(cells, np.full(cells.size, level))
            current[k] = self.read(v_read, cells).current
        return Trace(current, np.zeros(current.shape, np.bool_), cells)

    def _switch(self, cells: Addresses, v: NDArray[np.float64]) -> None:
        stress = self._stress
        if stress.v_max > 0:
            self._g[cells[v >= _LATE * stress.v_max]] = _G_HIGH
        if stress.v_min < 0:
            self._g[cells[v <= _LATE * stress.v_min]] = _G_LOW

    def ground(self) -> None:
        """Nothing to ground."""

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """Refused: no characterisation multiplies."""
        raise CapabilityError("a rehearsal has no VMM")
