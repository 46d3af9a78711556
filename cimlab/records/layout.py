"""What a run file holds: the tables, their columns, shapes and units.

A table is a group of datasets of equal length, one a column; each row is one event. Every
dataset carries its unit and a description, so a file explains itself without this package.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FORMAT = "cimlab-run"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset of a table.

    Attributes:
        dtype: numpy name of the element type.
        unit: SI symbol, or "1" for pure numbers.
        description: One line for a reader of the file.
        per_cell: True when a row is a map (tiles, rows, cols).
        per_tile: True when a row is a number a tile, (tiles,). Otherwise it is a single number.
        default: In rows that leave it out, and in files older than it; None: it must be given.
    """

    dtype: str
    unit: str
    description: str
    per_cell: bool = False
    per_tile: bool = False
    default: float | None = None

    def shape(self, cells: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a row on an array of cells (tiles, rows, cols)."""
        return cells if self.per_cell else cells[:1] if self.per_tile else ()


_TIME = Column("f8", "s", "seconds since utc_start")
_STEP = Column("i8", "1", "training batches done so far")

TABLES: dict[str, dict[str, Column]] = {
    "epochs": {
        "time": _TIME,
        "step": _STEP,
        "number": Column("i8", "1", "epochs done, from 1"),
        "accuracy": Column("f8", "1", "test accuracy, all images, 0-1"),
        "accuracy_2560": Column("f8", "1", "test accuracy on the first 2,560 images, 0-1"),
        "loss": Column("f8", "1", "mean training loss of the epoch"),
        "weight_updates": Column("i8", "1", "pairs of which a cell was written in the epoch"),
        "device_updates": Column("i8", "1", "cells written in the epoch"),
        "pulses": Column("i8", "1", "programming pulses applied in the epoch"),
        "seconds": Column("f8", "s", "duration of the epoch with its evaluation"),
    },
    "steps": {
        "time": _TIME,
        "step": _STEP,
        "loss": Column("f8", "1", "training loss of the batch"),
        "weight_updates": Column("i8", "1", "pairs of which a cell was written after the batch"),
        "device_updates": Column("i8", "1", "cells written after the batch"),
        "pulses": Column("i8", "1", "programming pulses applied after the batch"),
        "saturated": Column("f8", "1", "share of conversions that clipped, the worst tile's, 0-1"),
        "clipped": Column(
            "f4", "1", "the same of each tile; NaN: not used", per_tile=True, default=math.nan
        ),
    },
    "maps": {
        "time": _TIME,
        "step": _STEP,
        "v_read": Column("f8", "V", "read voltage; conductance is current / v_read"),
        "current": Column("f4", "A", "cell currents; NaN where not read", per_cell=True),
        "pulses": Column("u4", "1", "pulses each cell received so far", per_cell=True),
        "reads": Column("u4", "1", "single-cell reads of each cell so far", per_cell=True),
        "target": Column(
            "f4", "A", "current last asked of a cell; NaN: none", per_cell=True, default=math.nan
        ),
    },
    "programming": {
        "time": _TIME,
        "v_read": Column("f8", "V", "read voltage of the verify readings"),
        "rounds": Column("i8", "1", "pulse-and-read rounds used"),
        "target": Column("f4", "A", "target currents; NaN where not programmed", per_cell=True),
        "current": Column("f4", "A", "last verify readings; NaN where none", per_cell=True),
        "pulses": Column("u4", "1", "pulses each cell received", per_cell=True),
        "converged": Column("?", "1", "last verify reading inside the band", per_cell=True),
    },
    "points": {
        "time": Column(
            "f8", "s", "when it was measured, of the array's clock, from the run's start"
        ),
        "index": Column("i8", "1", "point of the procedure, from 0; equal for cells in parallel"),
        "cycle": Column("i8", "1", "cycle, train or loop the point belongs to, from 0"),
        "cell": Column("i8", "1", "address (tile * rows + row) * cols + col"),
        "v": Column("f8", "V", "pulse or sweep voltage before or at the reading; 0: only read"),
        "width": Column("f8", "s", "of each of those pulses; dwell of a sweep"),
        "count": Column("i8", "1", "pulses since the point before"),
        "v_read": Column("f8", "V", "voltage of the reading; conductance is current / v_read"),
        "current": Column("f8", "A", "current measured"),
        "saturated": Column("?", "1", "the current is only a bound: converter or compliance"),
    },
    "link": {
        "time": _TIME,
        "requests": Column("i8", "1", "numbered requests so far, each counted once"),
        "frames": Column("i8", "1", "whole frames sent and received so far"),
        "bytes_out": Column("i8", "1", "bytes sent so far"),
        "bytes_in": Column("i8", "1", "bytes received so far"),
        "retries": Column("i8", "1", "requests sent again so far"),
    },
}

#: Tables whose rows come every few milliseconds: collected, and written together.
FREQUENT = ("steps", "points")

#: Values of the one-number dataset "status".
STATUS = ("running", "finished", "stopped", "failed", "paused")
