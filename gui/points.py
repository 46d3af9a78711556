"""The points of a sweep, read once: where every cell stands, and the whole course of a few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import LINES, Columns, Trail, drawn
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
        self._course = _Course()

    def update(self) -> None:
        """Read the rows that came since."""
        have, self.rows = self.rows, self._reader.rows("points")
        for start in range(have, self.rows, _CHUNK):
            new = self._read(start, min(start + _CHUNK, self.rows))
            if self._cells is None:
                self._cells = np.unique(new["cell"])[:LINES]
            self._keep(new)
            self._course.add(new)
            # levels of a quasi-static curve are no readings at the read voltage
            good = np.isclose(new["v_read"], self.v_read) & (new["v_read"] != 0)
            self.g[new["cell"][good]] = new["current"][good] / new["v_read"][good]
            np.add.at(self.pulses, new["cell"], new["count"])
            self.time = float(new["time"][-1])

    def course(self) -> Columns:
        """All cells together, by number of the point: see `_Course.columns`."""
        return self._course.columns()

    def trail(self, cells: NDArray[np.int64] | None) -> Trail | None:
        """The course of these cells, of the sweep's first ones if None; None without a point."""
        if cells is not None and not np.array_equal(drawn(cells), self._chosen()):
            self._cells = drawn(cells)
            self._kept, self._trail = [], None
            for start in range(0, self.rows, _CHUNK):
                self._keep(self._read(start, min(start + _CHUNK, self.rows)))
        if self._trail is None and self._kept:
            self._trail = self._drawn()
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

    def _drawn(self) -> Trail:
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


class _Course:
    """Readings of all cells, by number of the point."""

    def __init__(self) -> None:
        self._readings = 0
        self._counts = np.zeros((4, 0))  # readings, clipped ones, those that tell g; sum of g
        self._bounds = np.full((2, 0), np.nan)  # lowest and highest g

    def add(self, new: Rows) -> None:
        """Take in rows of the table `points`."""
        index, volts = new["index"], new["v_read"]
        more = ((0, 0), (0, max(int(index.max()) + 1 - self._counts.shape[1], 0)))
        self._counts = np.pad(self._counts, more)
        self._bounds = np.pad(self._bounds, more, constant_values=np.nan)
        self._readings += index.size
        # at 0 V nothing is learnt of a conductance
        good = np.isfinite(new["current"]) & (volts != 0)
        at, g = index[good], new["current"][good] / volts[good]
        every, clipped, seen, total = self._counts
        np.add.at(every, index, 1.0)
        np.add.at(clipped, index, new["saturated"].astype(np.float64))
        np.add.at(seen, at, 1.0)
        np.add.at(total, at, g)
        low, high = self._bounds
        np.fmin.at(low, at, g)
        np.fmax.at(high, at, g)

    def columns(self) -> Columns:
        """Of every point: mean, lowest and highest g (S), share of clipped readings.

        Returns:
            Also "index", the point's number, and "readings", how many there were of all points.
        """
        every, clipped, seen, total = self._counts
        with np.errstate(invalid="ignore"):
            mean, share = total / seen, clipped / every
        return {
            "index": np.arange(every.size),
            "readings": np.full(every.size, self._readings),
            "g": mean,
            "low": self._bounds[0],
            "high": self._bounds[1],
            "saturated": share,
        }
