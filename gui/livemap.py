"""The chip as the bench last saw it, made of the array's events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec, Reading
from cimlab.core.events import CellsRead, Event, JobRun, Pulsed
from cimlab.gui.snapshot import Frame, Snapshot, Trail

_TRAIL_EVENTS = 5000
_TRAIL_CELLS = 1024


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
        self._cells: NDArray[np.int64] | None = None
        self._trail: deque[_Point] = deque(maxlen=_TRAIL_EVENTS)

    def inspect(self, cells: NDArray[np.int64] | None) -> bool:
        """Keep the history of these cells, (n,) addresses; True if they are others than before."""
        if cells is not None and cells.size > _TRAIL_CELLS:
            cells = None  # a distribution of so many cells is seen, single histories are not
        if cells is self._cells:
            return False
        self._cells = cells
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
        if np.isfinite(current[self._cells]).any():
            counts = pulses.reshape(-1)[self._cells].astype(np.float64)
            self._trail.append(
                _Point(self._time, reading.v, current[self._cells], counts, applied[self._cells])
            )

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
        points = list(self._trail)
        n = self._cells.size
        return Trail(
            self._cells,
            np.array([p.time for p in points]),
            np.array([p.v_read for p in points]),
            np.array([p.current for p in points]).reshape(-1, n),
            np.array([p.pulses for p in points]).reshape(-1, n),
            np.array([p.v_pulse for p in points]).reshape(-1, n),
        )
