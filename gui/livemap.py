"""The chip as the bench last saw it, made of the array's events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec, Floats, Reading, Trace
from cimlab.core.events import CellsRead, Event, JobRun, Pulsed, Swept, Trained
from cimlab.gui.snapshot import Frame, Snapshot, Trail, drawn

_TRAIL_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class _Point:
    time: float
    v_read: float
    current: NDArray[np.float64]
    pulses: NDArray[np.float64]
    v_pulse: NDArray[np.float64]


class LiveMap:
    """Last known conductances of all cells, and the history of the inspected ones.

    Args:
        spec: The array's.
        pulses: Pulses each cell has received, (tiles, rows, cols).
    """

    def __init__(self, spec: ArraySpec, pulses: NDArray[np.uint32]) -> None:
        self._spec = spec
        self._g = np.full(spec.size, np.nan)
        self._v_read = 0.1
        self._first: tuple[NDArray[np.float64], NDArray[np.uint32]] | None = None
        self._pulses = pulses.copy()
        self._start: float | None = None
        self._time = 0.0
        self._asked: NDArray[np.int64] | None = None
        self._cells: NDArray[np.int64] | None = None
        self._trail: deque[_Point] = deque(maxlen=_TRAIL_EVENTS)

    def inspect(self, cells: NDArray[np.int64] | None) -> bool:
        """Keep the history of these cells, (n,) addresses; True if they are others than before."""
        if cells is self._asked:
            return False
        self._asked = cells
        self._cells = None if cells is None else drawn(cells)
        self._trail.clear()
        return True

    def take(self, event: Event, pulses: NDArray[np.uint32]) -> None:
        """Take in an event; pulses are the counts after it."""
        self._start = event.time if self._start is None else self._start
        self._time = event.time + event.seconds - self._start
        match event:
            case CellsRead(reading=reading):
                self._read(reading, 0.0, pulses)
            case Pulsed(v=v, cells=cells, reading=Reading() as reading):
                shape = self._spec.shape if cells is None else cells.shape
                self._read(reading, np.broadcast_to(v, shape).reshape(-1), pulses)
            case JobRun(cells=cells, settings=settings, result=result) if "v_read" in settings:
                done = Reading(result.current, settings["v_read"], ~result.converged, cells)
                self._read(done, 0.0, pulses)
            case Swept(v=v, trace=trace):
                self._trace(trace, v, v, np.zeros_like(v), pulses)
            case Trained(v=v, v_read=v_read, trace=trace):
                counts = np.cumsum(v != 0, dtype=np.float64)
                self._trace(trace, np.full(v.shape, v_read), v, counts - counts[-1], pulses)
        self._pulses = pulses.copy()

    def _read(
        self, reading: Reading, v_pulse: NDArray[np.float64] | float, pulses: NDArray[np.uint32]
    ) -> None:
        where = slice(None) if reading.cells is None else reading.cells
        self._g[where] = reading.g.reshape(-1)
        self._v_read = reading.v
        if self._first is None and reading.cells is None:
            self._first = (self._g.copy(), pulses.copy())
        if self._cells is None:
            return
        current, applied = np.full((2, self._spec.size), np.nan)
        current[where] = reading.current.reshape(-1)
        applied[where] = v_pulse
        counts = pulses.reshape(-1)[self._cells].astype(np.float64)
        self._note(reading.v, current[self._cells], counts, applied[self._cells])

    def _trace(
        self,
        trace: Trace,
        v_read: Floats,
        v: Floats,
        counts: Floats,
        pulses: NDArray[np.uint32],
    ) -> None:
        """Points (n,) of a buffered sweep or train, read at v_read after v, with pulses to come."""
        if v_read[-1] != 0:
            self._g[trace.cells] = trace.current[-1] / v_read[-1]
            self._v_read = float(v_read[-1])
        if self._cells is None:
            return
        column = {int(cell): k for k, cell in enumerate(trace.cells)}
        at = np.array([column.get(int(cell), -1) for cell in self._cells])
        after = pulses.reshape(-1)[self._cells].astype(np.float64)
        for k, level in enumerate(v):
            current = np.where(at >= 0, trace.current[k, at], np.nan)
            applied = np.full(at.size, level)
            self._note(float(v_read[k]), current, after + counts[k], applied)

    def _note(
        self,
        v_read: float,
        current: NDArray[np.float64],
        pulses: NDArray[np.float64],
        v_pulse: NDArray[np.float64],
    ) -> None:
        if np.isfinite(current).any():
            self._trail.append(_Point(self._time, v_read, current, pulses, v_pulse))

    def snapshot(self, source: str, status: str, message: str) -> Snapshot:
        """The present state."""
        spec = self._spec
        return Snapshot(
            source=source,
            status=status,
            message=message,
            kind="bench",
            identity=spec.identity,
            origin=spec.origin,
            vmm=spec.vmm,
            shape=spec.shape,
            frames=1,
            frame=self.frame(),
            trail=self._history(),
        )

    def frame(self) -> Frame:
        """The map as last known."""
        # cells may have been read at different voltages: what is kept is their conductance
        volts = self._v_read
        first = self._first
        return Frame(
            index=0,
            time=self._time,
            step=0,
            v_read=volts,
            current=(self._g * volts).reshape(self._spec.shape),
            pulses=self._pulses,
            before=None if first is None else (first[0] * volts).reshape(self._spec.shape),
            pulses_before=None if first is None else first[1],
        )

    def _history(self) -> Trail | None:
        if self._cells is None:
            return None
        points, n = list(self._trail), self._cells.size

        def column(values: list[Any]) -> NDArray[np.float64]:
            whole = np.array(values, np.float64).reshape(-1, 1 if np.ndim(values[:1]) < 2 else n)
            return np.broadcast_to(whole, (len(points), n))

        return Trail(
            self._cells,
            column([p.time for p in points]),
            column([p.v_read for p in points]),
            column([p.current for p in points]),
            column([p.pulses for p in points]),
            column([p.v_pulse for p in points]),
        )
