"""Measured histories of cells: what was done to each, step by step, and what was read.

The table `points` of run files (docs/run-files.md) in the order in which each cell lived it.
Conductances are in microsiemens here and in the rest of the fit, so that numbers are near one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, Mask
from cimlab.core.errors import ConfigError
from cimlab.records import load

MICRO = 1e-6

RETENTION = 3600.0
"""A run without pulses that lasts longer tells of drift, s, and of nothing else."""
STUCK = 0.1
"""Range of a stuck cell's readings over the median cell's."""

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of the table `points`, one a reading; each column (n,), in the file's SI units.

    Attributes:
        time, cell, v, width, count, v_read, current, saturated: As in `records.layout`.
        averages: Conversions averaged in each reading.
    """

    time: Array
    cell: Addresses
    v: Array
    width: Array
    count: Array
    v_read: Array
    current: Array
    saturated: Mask
    averages: Array

    @classmethod
    def of_run(cls, path: str | os.PathLike[str]) -> Table:
        """The points of a run file.

        Raises:
            RecordError: It cannot be read.
            ConfigError: It holds no points.
        """
        with load(path) as run:
            if run.rows("points") == 0:
                raise ConfigError(f"{path} is a {run.kind} run and holds no points of a sweep")
            names = [field.name for field in fields(cls) if field.name != "averages"]
            columns = run.columns("points", names)
            averages = float(run.plan.get("averages", 1))
        return cls(**columns, averages=np.full(columns["time"].shape, averages))


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories of C cells side by side, padded to T steps; arrays (T, C).

    A step is a pulse or a rest, and the reading after it.

    Attributes:
        cells: Addresses, (C,).
        v: Pulse amplitude, V; 0 where nothing was applied.
        width: Pulse width, s.
        count: Pulses.
        g: Reading, uS; NaN where there is none to trust (saturated, or padding).
        averages: Conversions averaged in the reading.
        time: Of the reading, s.
        fresh: True where nothing is known of what happened since the step before.
    """

    cells: Addresses
    v: Array
    width: Array
    count: Array
    g: Array
    averages: Array
    time: Array
    fresh: Mask

    @property
    def seen(self) -> Mask:
        """Where there is a reading."""
        return np.isfinite(self.g)

    def of(self, keep: Mask) -> Histories:
        """The histories of the cells in a mask (C,)."""
        rest = {f.name: getattr(self, f.name)[:, keep] for f in fields(self) if f.name != "cells"}
        return Histories(self.cells[keep], **rest)


def histories(tables: Iterable[Table]) -> Histories:
    """The cells' histories over several runs, in the order given.

    Between two runs anything may have happened. Points of a quasi-static I-V sweep, which are
    read at the voltage that moves the cell, are left out, with a new beginning after them.

    Raises:
        ConfigError: Nothing is left, or conductances were read at different voltages.
    """
    runs = [_usable(table) for table in tables]
    v_read = np.unique(np.concatenate([run.v_read[~gap] for run, gap in runs] or [np.empty(0)]))
    if v_read.size == 0:
        raise ConfigError("the runs hold no readings after pulses or at rest to fit")
    if np.ptp(v_read) > 1e-6 * v_read.max():
        levels = ", ".join(f"{v:g}" for v in v_read)
        raise ConfigError(f"conductances were read at {levels} V; fit runs of one read voltage")
    cells = np.unique(np.concatenate([run.cell for run, _ in runs]))
    lives = [_life(runs, cell) for cell in cells]
    length = max(life.shape[1] for life in lives)
    grid = np.zeros((8, length, cells.size))
    grid[4], grid[5] = np.nan, 1.0
    for k, life in enumerate(lives):
        grid[:, : life.shape[1], k] = life
    v, width, count, time, g, averages, fresh, _ = grid
    return Histories(cells, v, width, count, g, averages, time, fresh.astype(bool))


def _usable(table: Table) -> tuple[Table, Mask]:
    """The run, and where a point only interrupts the history."""
    return table, (table.v_read == 0) | (table.v != 0) & (table.v == table.v_read)


def is_retention(table: Table) -> bool:
    """Whether a run only watches cells at rest, for long."""
    return not table.v.any() and bool(np.ptp(table.time) > RETENTION)


def stuck(data: Histories) -> Mask:
    """Cells whose readings move by less than a tenth of what is usual in pulsed histories, (C,)."""
    low, high = np.nanpercentile(data.g, [5, 95], axis=0)
    hardly: Mask = (high - low) < STUCK * np.median(high - low)
    return hardly


def _life(runs: Sequence[tuple[Table, Mask]], cell: int) -> Array:
    """Steps of one cell, (8, n): v, width, count, time, g, averages, fresh, gap."""
    parts = []
    for table, gap in runs:
        mine = np.flatnonzero(table.cell == cell)
        if mine.size == 0:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            g = table.current[mine] / table.v_read[mine] / MICRO
        g[table.saturated[mine]] = np.nan
        fresh = np.roll(gap[mine], 1)
        fresh[0] = True
        parts.append(
            np.array(
                [
                    np.where(table.count[mine] > 0, table.v[mine], 0.0),
                    table.width[mine],
                    table.count[mine],
                    table.time[mine],
                    g,
                    table.averages[mine],
                    fresh,
                    gap[mine],
                ]
            )
        )
    life = np.concatenate(parts, axis=1)
    return life[:, life[7] == 0]
