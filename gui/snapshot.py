"""What the window shows, as immutable data: threads make snapshots, Qt only draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        target: Wanted currents of the last programming, A, NaN where none; None without one.
        converged: Result of that programming.
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


@dataclass(frozen=True, slots=True)
class Trail:
    """The history of some cells, oldest first.

    Attributes:
        cells: Addresses, (n,).
        time: (m,) s.
        v_read: (m,) V.
        current: (m, n) A; NaN where not read.
        pulses: (m, n) pulses received so far.
        v_pulse: (m, n) V of the pulse just before the reading; 0 where there was none or it is
            not recorded.
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
        epochs, steps: Columns of the run's tables, steps thinned to some thousand points.
        trail: History of the inspected cells.
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
        name: np.add.reduceat(values[:n].astype(np.float64), edges[:-1]) / width
        for name, values in columns.items()
    }
