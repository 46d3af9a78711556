"""The points of a sweep, read once: where every cell stands, and the whole course of a few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import LINES, Trail, drawn
from cimlab.records import TABLES, RunReader
from cimlab.records.series import by_cell

_CHUNK = 500_000
"""Rows read at once: bounds the memory that a long run takes."""
_MOST = 2000
"""Points of a cell that are drawn."""

Rows = dict[str, NDArray[Any]]


class PointLog:
    """The growing table `points` of one run.

    Args:
        reader: The run; stays its owner's.

    Attributes:
        rows: Rows read so far.
        time: Of the last point, s since the run began; -inf before the first.
        v_read: Read voltage that the conductances belong to, V.
        g: Last conductance of every cell, S, (cells,); NaN where no point is.
        pulses: Pulses that each cell received in the sweep, (cells,).
    """

    def __init__(self, reader: RunReader) -> None:
        size = int(np.prod([reader.spec[name] for name in ("tiles", "rows", "cols")]))
        self._reader = reader
        self.rows = 0
        self.time = -np.inf
        self.v_read = float(reader.plan.get("v_read") or 0.1)
        self.g = np.full(size, np.nan)
        self.pulses = np.zeros(size, np.int64)
        self._cells: NDArray[np.int64] | None = None
        self._kept: list[Rows] = []
        self._trail: Trail | None = None

    def update(self) -> None:
        """Read the rows that came since."""
        have, self.rows = self.rows, self._reader.rows("points")
        for start in range(have, self.rows, _CHUNK):
            new = self._read(start, min(start + _CHUNK, self.rows))
            if self._cells is None:
                self._cells = np.unique(new["cell"])[:LINES]
            self._keep(new)
            # levels of a quasi-static curve are no readings at the read voltage
            good = np.isclose(new["v_read"], self.v_read) & (new["v_read"] != 0)
            self.g[new["cell"][good]] = new["current"][good] / new["v_read"][good]
            np.add.at(self.pulses, new["cell"], new["count"])
            self.time = float(new["time"][-1])

    def trail(self, cells: NDArray[np.int64] | None) -> Trail | None:
        """The course of these cells, of the sweep's first ones if None; None without a point."""
        if cells is not None and not np.array_equal(drawn(cells), self._chosen()):
            self._cells = drawn(cells)
            self._kept, self._trail = [], None
            for start in range(0, self.rows, _CHUNK):
                self._keep(self._read(start, min(start + _CHUNK, self.rows)))
        if self._trail is None and self._kept:
            self._trail = self._course()
        return self._trail

    def _chosen(self) -> NDArray[np.int64]:
        return np.empty(0, np.int64) if self._cells is None else self._cells

    def _read(self, start: int, stop: int) -> Rows:
        return self._reader.columns("points", TABLES["points"], slice(start, stop))

    def _keep(self, new: Rows) -> None:
        mine = np.isin(new["cell"], self._chosen())
        if mine.any():
            self._kept.append({name: values[mine] for name, values in new.items()})
            self._trail = None

    def _course(self) -> Trail:
        rows = {name: np.concatenate([k[name] for k in self._kept]) for name in self._kept[0]}
        self._kept = [rows]
        series = by_cell(rows)
        every = slice(None, None, -(-len(series.index) // _MOST) or 1)
        return Trail(
            cells=series.cells,
            time=series.time[every],
            v_read=series.v_read[every],
            current=series.current[every],
            pulses=series.pulses[every].astype(np.float64),
            v_pulse=np.where(series.count[every] > 0, series.v[every], 0.0),
        )
