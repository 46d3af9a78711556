"""The table `points` as matrices, whether cells were measured together or one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a sweep; row k holds every cell's k-th point, column j is cells[j].

    All matrices are (points, cells). A cell that was left out early has fewer points: what is
    missing is NaN, -1 (index, cycle), 0 (count) or False.

    Attributes:
        cells: Addresses, rising, (cells,).
        index: Point of the procedure.
        cycle: Cycle, train or loop.
        time: s from the run's start.
        v: Pulse or sweep voltage before or at the reading, V; 0 where it only read.
        width: Of each pulse, or dwell, s.
        count: Pulses since the point before.
        v_read: Voltage of the reading, V.
        current: A.
        saturated: True where the current is only a bound.
    """

    cells: NDArray[np.int64]
    index: NDArray[np.int64]
    cycle: NDArray[np.int64]
    time: Matrix
    v: Matrix
    width: Matrix
    count: NDArray[np.int64]
    v_read: Matrix
    current: Matrix
    saturated: NDArray[np.bool_]

    @property
    def g(self) -> Matrix:
        """Conductance, S; NaN where nothing was applied that could tell it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.v_read == 0, np.nan, self.current / self.v_read)

    @property
    def pulses(self) -> NDArray[np.int64]:
        """Pulses each cell has received up to and with each point."""
        return np.cumsum(self.count, axis=0)


_MISSING: dict[str, Any] = {"index": -1, "cycle": -1, "count": 0, "saturated": False}


def by_cell(columns: Mapping[str, NDArray[Any]]) -> Series:
    """Sort the table's columns, (rows,) each, by cells; the order of a cell's rows is kept."""
    order = np.argsort(columns["cell"], kind="stable")
    cells, start, count = np.unique(columns["cell"][order], return_index=True, return_counts=True)
    column = np.repeat(np.arange(cells.size), count)
    row = np.arange(order.size) - np.repeat(start, count)
    shape = (int(count.max(initial=0)), cells.size)

    def matrix(name: str) -> NDArray[Any]:
        values = columns[name]
        full = np.full(shape, _MISSING.get(name, np.nan), values.dtype)
        full[row, column] = values[order]
        return full

    return Series(cells, **{name: matrix(name) for name in columns if name != "cell"})
