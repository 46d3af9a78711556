"""What was read of a run file so far: every row of a table is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import Columns, Frame, Trail
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
        self.rows = dict.fromkeys(TABLES, 0)
        self._scalars: dict[str, dict[str, NDArray[Any]]] = {
            table: {
                name: np.empty(0, column.dtype)
                for name, column in columns.items()
                if not column.per_cell
            }
            for table, columns in TABLES.items()
        }
        self._first: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._frame: Frame | None = None
        self._programmed: dict[str, NDArray[Any]] = {}

    @property
    def maps(self) -> int:
        """Maps read so far."""
        return self.rows["maps"]

    def columns(self, table: str) -> Columns:
        """The one-number columns of a table, so far."""
        return self._scalars[table]

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
        self.rows = rows

    def frame(self, index: int) -> Frame:
        """Map `index`, with the last programming's targets."""
        if self._frame is not None and self._frame.index == index:
            return self._frame
        current, pulses = self._map(index)
        if self._first is None:
            self._first = (current, pulses) if index == 0 else self._map(0)
        maps = self._scalars["maps"]
        done = self._programmed
        # targets were given at their own read voltage; currents scale with it
        scale = maps["v_read"][index] / done["v_read"] if done else 1.0
        self._frame = Frame(
            index=index,
            time=float(maps["time"][index]),
            step=int(maps["step"][index]),
            v_read=float(maps["v_read"][index]),
            current=current,
            pulses=pulses,
            before=self._first[0] if index else None,
            pulses_before=self._first[1] if index else None,
            target=_fixed(done["target"] * scale) if done else None,
            converged=done.get("converged"),
        )
        return self._frame

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

    def trail(self, cells: NDArray[np.int64]) -> Trail:
        """The cells' history over the maps; of a long run evenly spaced maps, the last included."""
        maps = self._scalars["maps"]
        spec = self._reader.spec
        size = spec["tiles"] * spec["rows"] * spec["cols"]
        most = int(np.clip(_TRAIL_BYTES / (4 * size), 2, _TRAIL_ROWS))
        stride = -(-self.maps // most) or 1
        rows = slice((self.maps - 1) % stride if self.maps else 0, self.maps, stride)
        found = self._reader.columns("maps", ("current", "pulses"), rows)
        current, pulses = (
            values.reshape(-1, size)[:, cells].astype(np.float64) for values in found.values()
        )
        return Trail(
            cells, maps["time"][rows], maps["v_read"][rows], current, pulses, np.zeros_like(current)
        )

    def _map(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        found = self._reader.columns("maps", ("current", "pulses"), slice(index, index + 1))
        return _fixed(found["current"])[0], _fixed(found["pulses"])[0]


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
