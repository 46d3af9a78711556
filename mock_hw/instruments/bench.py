"""The wires of an emulated bench: ports of instruments, a matrix, the device under test.

A port is one terminal of an instrument. Without a matrix "ground" hangs on every column and the
other ports of `INPUTS` on row 0; terminals with other names hang free. With a matrix, each port
sits on a matrix input and reaches the lines whose crosspoints are closed: outputs 1 .. rows are
the rows, the next ones the columns.

Networks are linear: with all other ports at known voltages, the current out of a port is
I = conductance * V - offset, and that is all a compliance needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.clock import VirtualClock
from cimlab.mock_hw.instruments.dut import V_QUIET, Dut, Volts

INPUTS: Mapping[str, int] = {"smu": 1, "ground": 2, "pulse": 3, "bias": 4}
"""Where the ports sit on the matrix, unless the caller says otherwise."""

CLASH = 1 / 50
"""Between two sources on one line, S: the output resistance of a pulse generator."""

Crosspoint = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a source-measure unit sees.

    Attributes:
        v: Voltage at its terminals, V.
        i: Current out of its high terminal, A.
        limited: True where the limit, not the level, was in force.
    """

    v: float
    i: float
    limited: bool


class Bench:
    """One device under test, and who is connected to it.

    Args:
        dut: The device under test.
        matrix: True when a switch matrix stands between ports and lines.
        inputs: Matrix input of each port.
    """

    def __init__(
        self, dut: Dut, matrix: bool = False, inputs: Mapping[str, int] | None = None
    ) -> None:
        self.dut = dut
        self.clock = VirtualClock()
        self.lock = threading.RLock()
        self.closed: set[Crosspoint] = set()
        self._matrix = matrix
        self._inputs = dict(inputs or INPUTS)
        self._held: dict[str, float] = {"ground": 0.0}

    def rest(self, seconds: float) -> None:
        """Let time pass: the cells age."""
        self.dut.rest(seconds)
        self.clock.sleep(seconds)

    @property
    def held(self) -> frozenset[str]:
        """Ports that something keeps at a voltage."""
        return frozenset(self._held)

    def hold(self, port: str, v: float | None) -> None:
        """Keep a port at v volts from now on; None leaves it floating."""
        if v is None:
            self._held.pop(port, None)
        else:
            self._held[port] = v

    def source_voltage(
        self, port: str, v: float, limit: float, seconds: float, since: float | None = None
    ) -> Sample:
        """Source v volts for so many seconds with |current| <= limit, then measure.

        The device feels one pulse, from the time `since` on when the level stood before already.
        """
        return self._stand(port, lambda: self._at_voltage(port, v, limit), seconds, since)

    def source_current(
        self, port: str, i: float, limit: float, seconds: float, since: float | None = None
    ) -> Sample:
        """Source i amperes with |voltage| <= limit, as `source_voltage`."""
        return self._stand(port, lambda: self._at_current(port, i, limit), seconds, since)

    def _at_voltage(self, port: str, v: float, limit: float) -> tuple[Volts, Sample]:
        """Conductances (rows, cols) that take part, and what the source sees just now."""
        g, conductance, offset = self._seen_from(port)
        current = conductance * v - offset
        if limited := abs(current) > limit:
            current = float(np.copysign(limit, current))
            v = (current + offset) / conductance
        return g, Sample(v, current, limited)

    def _at_current(self, port: str, i: float, limit: float) -> tuple[Volts, Sample]:
        g, conductance, offset = self._seen_from(port)
        wanted = i + offset
        if limited := abs(wanted) > limit * conductance:
            v = float(np.copysign(limit, wanted))
            i = conductance * v - offset
        else:
            v = wanted / conductance if conductance else 0.0
        return g, Sample(v, i, limited)

    def _stand(
        self,
        port: str,
        look: Callable[[], tuple[Volts, Sample]],
        seconds: float,
        since: float | None,
    ) -> Sample:
        start = self.clock.now() if since is None else since
        g, sample = look()
        self.clock.sleep(seconds)
        stood = self.clock.now() - start
        across = np.where(g != 0, self._across(port, sample.v), 0.0)
        if stood > 0 and np.abs(across).max() > V_QUIET:
            self.dut.pulse(across, stood)
            _, sample = look()
        return sample

    def pulse(self, port: str, v: float, ohm: float, width: float, count: int) -> None:
        """Apply count pulses of v volts (open circuit) from a source of so many ohm."""
        _, conductance, offset = self._seen_from(port)
        seen = (v + ohm * offset) / (1 + ohm * conductance)
        self.dut.pulse(self._across(port, seen), width, count)
        self.clock.sleep(width * count)

    def _lines(self, port: str) -> NDArray[np.bool_]:
        """Which lines a port reaches, (rows + cols,)."""
        rows, cols = self.dut.shape
        reached = np.zeros(rows + cols, np.bool_)
        if self._matrix:
            here = self._inputs.get(port)
            outputs = [output for source, output in self.closed if source == here]
            reached[[o - 1 for o in outputs if o <= rows + cols]] = True
        elif port == "ground":
            reached[rows:] = True
        elif port in self._inputs:
            reached[0] = True
        return reached

    def _volts(self, port: str, v: float) -> Volts:
        """Voltage of every line with the port at v; NaN floats, (rows + cols,)."""
        lines = np.full(sum(self.dut.shape), np.nan)
        for name, held in self._held.items():
            lines[self._lines(name)] = held
        lines[self._lines(port)] = v
        return lines

    def _across(self, port: str, v: float) -> Volts:
        """Voltage across every cell with the port at v; 0 where a line floats, (rows, cols)."""
        lines = self._volts(port, v)
        rows = self.dut.shape[0]
        across = lines[:rows, None] - lines[None, rows:]
        across[np.isnan(across)] = 0.0
        return across

    def _seen_from(self, port: str) -> tuple[Volts, float, float]:
        """Sampled conductances (rows, cols), and I = conductance * V - offset out of the port."""
        rows = self.dut.shape[0]
        mine, lines = self._lines(port), self._volts(port, 0.0)
        high, low = mine[:rows, None], mine[None, rows:]
        driven = ~np.isnan(lines)
        g = self.dut.sample((high != low) & driven[:rows, None] & driven[None, rows:])
        other = np.where(high, lines[None, rows:], lines[:rows, None])
        other[np.isnan(other)] = 0.0
        conductance, offset = float(g.sum()), float((g * other).sum())
        for name, held in self._held.items():
            if name != port and (self._lines(name) & mine).any():
                conductance += CLASH
                offset += CLASH * held
        return g, conductance, offset
