"""What the window shows, as immutable data: threads make snapshots, Qt only draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.records import WeightMap

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Frame:
    """One map of the chip; all arrays (tiles, rows, cols).

    Attributes:
        index: Its number in the run, from 0.
        time: s since the run began.
        step: Training batches done.
        v_read: Read voltage, V.
        current: A; NaN where not read.
        pulses: Pulses each cell had received.
        before: Currents of the run's first map, A; None for the first one.
        pulses_before: Pulses at the first map.
        target: Currents last asked of the cells, A, NaN where none; None if none at all.
        converged: Whether the last programming's verify readings were inside their band.
    """

    index: int
    time: float
    step: int
    v_read: float
    current: NDArray[np.floating]
    pulses: NDArray[np.unsignedinteger]
    before: NDArray[np.floating] | None = None
    pulses_before: NDArray[np.unsignedinteger] | None = None
    target: NDArray[np.floating] | None = None
    converged: NDArray[np.bool_] | None = None


LINES = 32
"""Cells that are drawn one by one; of more, every so many."""


def drawn(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the cells whose history is kept and drawn."""
    return cells[:: -(-cells.size // LINES)]


@dataclass(frozen=True, slots=True)
class Trail:
    """The history of some cells, oldest first; all but `cells` are (m, n), NaN where nothing is.

    Attributes:
        cells: Addresses, (n,).
        time: s since the run began.
        v_read: V; the level, in a quasi-static I-V curve.
        current: A.
        pulses: Pulses received so far.
        v_pulse: V of the pulse just before the reading; 0 where there was none or it is not
            recorded.
    """

    cells: NDArray[np.int64]
    time: NDArray[np.float64]
    v_read: NDArray[np.float64]
    current: NDArray[np.float64]
    pulses: NDArray[np.float64]
    v_pulse: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on screen at one moment.

    Attributes:
        source: Path of the run file, or the station.
        status: "running", "finished", ... of the run; "waiting" before there is one, "lost" after.
        message: What is wrong, for a person; empty when nothing is.
        kind, identity, origin, vmm, utc_start, plan: Of the run; see records.RunReader.
        shape: (tiles, rows, cols); zeros before anything is known.
        frames: Maps in the run so far.
        frame: The map to show.
        epochs, steps, link: Columns of the run's tables, thinned to some thousand points.
        points: What a sweep read, by number of the point; see `points.PointLog.course`.
        baseline: Epochs of the run that this one is compared with, if its file has them.
        weights: Which weights the cells carry, if any.
        done: Share of a sweep that is done; None where the run does not say.
        summary: What came out of a sweep.
        trail: History of the inspected cells; of a sweep's first cells while none are.
        modified: When the file was last written, s since 1970; 0 when unknown.
    """

    source: str
    status: str = "waiting"
    message: str = ""
    kind: str = ""
    identity: str = ""
    origin: str = ""
    vmm: str = ""
    utc_start: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int] = (0, 0, 0)
    frames: int = 0
    frame: Frame | None = None
    epochs: Columns = field(default_factory=dict)
    steps: Columns = field(default_factory=dict)
    link: Columns = field(default_factory=dict)
    points: Columns = field(default_factory=dict)
    baseline: Columns = field(default_factory=dict)
    weights: WeightMap | None = None
    done: float | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    trail: Trail | None = None
    modified: float = 0.0


def thin(columns: Columns, most: int = 2000) -> Columns:
    """Columns of at most `most` rows: means over equal groups of rows, the rest of a group too."""
    n = min((len(values) for values in columns.values()), default=0)
    if n <= most:
        return {name: values[:n] for name, values in columns.items()}
    edges = np.linspace(0, n, most + 1).astype(np.int64)
    width = np.diff(edges)
    return {
        name: (np.add.reduceat(values[:n].astype(np.float64), edges[:-1]).T / width).T
        for name, values in columns.items()
    }
