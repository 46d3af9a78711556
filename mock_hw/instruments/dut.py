"""The device under test: what all emulated instruments of a bench share.

A rectangle of cells between row and column lines. A cell follows a device model
(`cimlab.mock_hw.devices`); behind it sits an ideal selector, so a line that floats carries no
current and there are no sneak paths. Cells are ohmic at the voltages they are read at.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import Ages, Cells, DeviceModel, Draws, device
from cimlab.mock_hw.devices.base import rest
from cimlab.mock_hw.philox import CellDraws, Stream, key_of

V_QUIET = 0.5
"""Nothing moves at or below this, V: cells stand 10^6 reads (PAPER 2), models know pulses only."""

Volts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Resistor:
    """A device that no pulse moves and that has no noise; a `DeviceModel`.

    Attributes:
        g: Conductance, S; 0 is an open circuit.
    """

    g: float
    name: str = "resistor"
    sigma_read: float = 0.0

    @property
    def g_min(self) -> float:
        """Its one conductance, S."""
        return self.g

    @property
    def g_max(self) -> float:
        """Its one conductance, S."""
        return self.g

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Equal resistors without traits."""
        return np.full(n, self.g, np.float32), np.empty((0, n), np.float32)

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Unmoved."""
        return g

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Unmoved."""
        return g


class Dut:
    """Cells of one model between `rows` and `cols` lines, and how often each was read and pulsed.

    Args:
        model: The physics of a cell.
        rows, cols: Lines.
        seed: Decides the devices and all their noise.
    """

    def __init__(self, model: DeviceModel, rows: int = 1, cols: int = 1, seed: int = 0) -> None:
        self.model, self.shape = model, (rows, cols)
        self._key = key_of(seed)
        cells = np.arange(rows * cols, dtype=np.int64)
        self._events = {s: np.zeros(cells.size, np.uint32) for s in (Stream.READ, Stream.PULSE)}
        self._rests, self._rested = 0, np.zeros(cells.size, np.float32)
        self._age = np.zeros(cells.size)
        never = np.zeros(cells.size, np.uint32)
        born = CellDraws(self._key, Stream.BORN, cells, never)
        self._g, self._traits = model.born(cells.size, born)
        # noise and models compile at their first use, which may take longer than a host waits
        born.normal(0)
        model.pulse(self._g.copy(), self._traits, np.ones_like(self._g), 1e-6, born)

    @property
    def conductances(self) -> NDArray[np.float64]:
        """The true conductances, (rows, cols) S."""
        return self._g.reshape(self.shape).astype(np.float64)

    @property
    def pulses(self) -> NDArray[np.uint32]:
        """Pulses beyond V_QUIET each cell has felt, (rows, cols)."""
        return self._events[Stream.PULSE].reshape(self.shape).copy()

    def sample(self, touched: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Conductances of the touched cells with fresh read noise, (rows, cols) S; 0 elsewhere."""
        cells = np.flatnonzero(touched).astype(np.int64)
        noise = self._draws(Stream.READ, cells).normal(0) * np.float32(self.model.sigma_read)
        out = np.zeros(self._g.size)
        out[cells] = self._g[cells] + noise
        return out.reshape(self.shape)

    def pulse(self, v: Volts, width: float, count: int = 1) -> None:
        """Apply count pulses of v (rows, cols) volts, width s; at most V_QUIET changes nothing."""
        flat = v.ravel()
        cells = np.flatnonzero(np.abs(flat) > V_QUIET).astype(np.int64)
        if cells.size == 0:
            return
        amplitude = flat[cells].astype(np.float32)
        for _ in range(count):
            draws = self._draws(Stream.PULSE, cells)
            self._g[cells] = self.model.pulse(
                self._g[cells], self._traits[:, cells], amplitude, width, draws
            )

    def rest(self, seconds: float) -> None:
        """Let every cell age by so many seconds."""
        cells = np.arange(self._g.size, dtype=np.int64)
        events = np.full(cells.size, self._rests, np.uint32)
        draws = CellDraws(self._key, Stream.RELAX, cells, events)
        rest(self.model, self._g, self._traits, self._rested, self._age, seconds, draws)
        self._g[:] = self._rested
        self._rests += 1

    def _draws(self, stream: Stream, cells: NDArray[np.int64]) -> CellDraws:
        events = self._events[stream][cells]
        self._events[stream][cells] += np.uint32(1)
        return CellDraws(self._key, stream, cells, events)


def dut(text: str, seed: int = 0) -> Dut:
    """A device under test from its short form.

    Args:
        text: ``resistor:10e3`` (ohm), ``open``, a device model (``brram``, ``device.toml``) for
            one cell, or ``crossbar:8x8:brram``.
        seed: Decides the devices and all their noise.

    Raises:
        ConfigError: The text is none of these.
    """
    if match := re.fullmatch(r"crossbar:(\d+)x(\d+):(.+)", text):
        rows, cols = int(match[1]), int(match[2])
        if not (rows and cols):
            raise ConfigError(f"{text}: a crossbar has at least one row and one column")
        return Dut(_model(match[3]), rows, cols, seed)
    return Dut(_model(text), seed=seed)


def _model(text: str) -> DeviceModel:
    if text == "open":
        return Resistor(0.0)
    kind, _, value = text.partition(":")
    if kind != "resistor":
        return device(text)
    try:
        ohm = float(value)
    except ValueError:
        ohm = math.nan
    if not 0 < ohm < math.inf:
        raise ConfigError(f"{text}: write the resistance in ohm, as in resistor:10e3")
    return Resistor(1 / ohm)
