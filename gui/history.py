"""What was read of a run file so far: every row of a table is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.points import PointLog
from cimlab.gui.snapshot import Columns, Frame, Trail, drawn, thin
from cimlab.records import TABLES, RunReader

_TRAIL_BYTES = 64e6  # of maps held at once while the history of a few cells is read
_TRAIL_ROWS = 400
_PROGRAMMED = ("time", "v_read", "target", "current", "pulses", "converged")


class History:
    """The growing tables of one run.

    Args:
        reader: The run; stays its owner's.

    Attributes:
        rows: Rows read of each table.
    """

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._shape = tuple(int(reader.spec[size]) for size in ("tiles", "rows", "cols"))
        self.rows = dict.fromkeys(TABLES, 0)
        self._scalars: dict[str, dict[str, NDArray[Any]]] = {
            table: {
                name: np.empty((0, *column.shape(self._shape)), column.dtype)
                for name, column in columns.items()
                if not column.per_cell
            }
            for table, columns in TABLES.items()
            if table != "points"
        }
        self._points = PointLog(reader)
        self._first: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._frame: Frame | None = None
        self._programmed: dict[str, NDArray[Any]] = {}

    @property
    def frames(self) -> int:
        """Maps so far, and the state of a sweep that is under way.

        A sweep's maps are read before and after it; the clock of its points is that of the cells,
        which may be virtual, so times do not tell what is newer.
        """
        maps = self.rows["maps"]
        return maps + (self.rows["points"] > 0 and maps < 2)

    def columns(self, table: str) -> Columns:
        """The columns of a table, so far, but for maps."""
        return self._scalars[table]

    def points(self) -> Columns:
        """What a sweep read so far, all its cells together, thinned; empty of other runs."""
        return thin(self._points.course()) if self._points.rows else {}

    def update(self) -> None:
        """Read the rows that came since."""
        rows = {}
        for table, scalars in self._scalars.items():
            have, now = self.rows[table], self._reader.rows(table)
            rows[table] = now
            if now > have:
                new = self._reader.columns(table, scalars, slice(have, now))
                for name, values in scalars.items():
                    scalars[name] = np.concatenate([values, new[name]])
        if rows["programming"] > self.rows["programming"]:
            last = slice(rows["programming"] - 1, rows["programming"])
            found = self._reader.columns("programming", _PROGRAMMED, last)
            self._programmed = {name: _fixed(values)[0] for name, values in found.items()}
            self._frame = None
        self._points.update()
        rows["points"] = self._points.rows
        self.rows = rows

    def frame(self, index: int) -> Frame:
        """Map `index`, with its targets, or those of the last programming."""
        if index == self.rows["maps"]:
            return self._swept(index)
        if self._frame is not None and self._frame.index == index:
            return self._frame
        current, pulses, target = self._map(index)
        if self._first is None:
            self._first = (current, pulses) if index == 0 else self._map(0)[:2]
        maps = self._scalars["maps"]
        done = self._programmed
        # targets were given at their own read voltage; currents scale with it
        scale = maps["v_read"][index] / done["v_read"] if done else 1.0
        if done and not np.isfinite(target).any():
            target = _fixed(done["target"] * scale)
        self._frame = Frame(
            index=index,
            time=float(maps["time"][index]),
            step=int(maps["step"][index]),
            v_read=float(maps["v_read"][index]),
            current=current,
            pulses=pulses,
            before=self._first[0] if index else None,
            pulses_before=self._first[1] if index else None,
            target=target if np.isfinite(target).any() else None,
            converged=done.get("converged"),
        )
        return self._frame

    def _swept(self, index: int) -> Frame:
        """The last map, where there is one, under what a sweep's points say since."""
        points = self._points
        before = self.frame(index - 1) if index else None
        g, pulses = points.g, points.pulses
        if before is not None:
            g = np.where(np.isfinite(g), g, before.current.ravel() / before.v_read)
            pulses = pulses + before.pulses.ravel()
        return Frame(
            index=index,
            time=points.time,
            step=0,
            v_read=points.v_read,
            current=_fixed((g * points.v_read).reshape(self._shape)),
            pulses=_fixed(pulses.astype(np.uint32).reshape(self._shape)),
            before=None if self._first is None else self._first[0],
            pulses_before=None if self._first is None else self._first[1],
        )

    def programmed(self) -> Frame | None:
        """The last programming's verify readings, for a run without maps."""
        done = self._programmed
        if not done:
            return None
        return Frame(
            index=0,
            time=float(done["time"]),
            step=0,
            v_read=float(done["v_read"]),
            current=done["current"],
            pulses=done["pulses"],
            target=done["target"],
            converged=done["converged"],
        )

    def trail(self, cells: NDArray[np.int64] | None) -> Trail | None:
        """The history of some of the cells: points of a sweep, else what the maps say of them.

        Of a long run maps are evenly spaced, the last included. Without cells: a sweep's first.
        """
        if self._points.rows or cells is None:
            return self._points.trail(cells)
        cells = drawn(cells)
        count, size = self.rows["maps"], int(np.prod(self._shape))
        most = int(np.clip(_TRAIL_BYTES / (4 * size), 2, _TRAIL_ROWS))
        stride = -(-count // most) or 1
        rows = slice((count - 1) % stride if count else 0, count, stride)
        found = self._reader.columns("maps", ("time", "v_read", "current", "pulses"), rows)
        current, pulses = (
            found[name].reshape(-1, size)[:, cells].astype(np.float64)
            for name in ("current", "pulses")
        )
        times, volts = (
            np.broadcast_to(found[name][:, None], current.shape) for name in ("time", "v_read")
        )
        return Trail(cells, times, volts, current, pulses, np.zeros_like(current))

    def _map(self, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        names = ("current", "pulses", "target")
        found = self._reader.columns("maps", names, slice(index, index + 1))
        current, pulses, target = (_fixed(found[name])[0] for name in names)
        return current, pulses, target


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
