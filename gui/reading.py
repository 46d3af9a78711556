"""The process that reads a run file for the window.

A process, because HDF5 answers some damaged files by retrying for hours or by ending the program:
the window then loses its reader, not its life. The reader looks at the file's time stamp some
sixty times a second and reads only after a change, so a resting run costs nothing and a new
map is on its way within some milliseconds. It takes no lock and never writes.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError
from cimlab.gui.history import History
from cimlab.gui.snapshot import Frame, Snapshot, thin
from cimlab.records import RunReader, load

PERIOD = 0.015
"""Seconds between two looks at the file's time stamp."""
BEAT = 0.5
"""Seconds between two signs of life, at most."""
_FRESH = 0.05  # a stamp this young may belong to more than one write: read again
_IDLE = 4.0  # network file systems are late with stamps: read this often whatever they say
_PATIENCE = 3  # failures in a row before the window hears of them; a writer may just be busy

_TROUBLE = (RecordError, OSError, RuntimeError, KeyError, ValueError)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the window wants: a map (None: the newest), and cells to inspect (n,), or None."""

    index: int | None = None
    cells: NDArray[np.int64] | None = None


def read_forever(pipe: Connection, path: str) -> None:
    """Send a Snapshot after every change of the file or of the wish, None as a sign of life.

    Receives wishes; ends when the other end of the pipe is closed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the window's affair
    reader = Reader(path)
    beat = 0.0
    try:
        pipe.send(None)  # started: from now on silence means trouble
        while True:
            snapshot = reader.look()
            if snapshot is not None or time.monotonic() - beat > BEAT:
                pipe.send(snapshot)
                beat = time.monotonic()
            # waiting for wishes is the pause between looks
            if pipe.poll(0.1 if reader.lost else PERIOD):
                reader.wish = pipe.recv()
    except (EOFError, OSError):
        reader.close()


class Reader:
    """Looks at a run file again and again; see `look`.

    Attributes:
        wish: What to read; set at any time.
    """

    def __init__(self, path: str) -> None:
        self.wish = Wish()
        self._path = path
        self._last = Snapshot(path)
        self._open: _OpenRun | None = None
        self._failures = 0

    @property
    def lost(self) -> bool:
        """True while there is nothing to read."""
        return self._failures >= _PATIENCE

    def look(self) -> Snapshot | None:
        """A snapshot if there is anything new, also if that is a failure."""
        try:
            snapshot = self._look()
        except _TROUBLE as error:
            return self._fail(str(error))
        self._failures = 0
        if snapshot is not None:
            self._last = snapshot
        return snapshot

    def close(self) -> None:
        """Release the file."""
        if self._open is not None:
            self._open.reader.close()
            self._open = None

    def _look(self) -> Snapshot | None:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            known = self._open is not None or self._last.shape[0]
            self._failures = _PATIENCE
            what = "was deleted or moved" if known else "does not exist (yet)"
            raise RecordError(f"{self._path} {what}") from None
        identity = (stat.st_dev, stat.st_ino)
        if self._open is not None and self._open.identity != identity:
            self.close()  # a resumed run is a new file under the old name
        if self._open is None:
            self._open = _OpenRun(identity, load(self._path))
        if not self._open.due(stat.st_mtime_ns, self.wish):
            return None
        return self._open.read(self._path, self.wish, stat.st_mtime_ns)

    def _fail(self, message: str) -> Snapshot | None:
        self.close()
        self._failures += 1
        if not self.lost or message == self._last.message:
            return None
        self._last = replace(self._last, status="lost", message=message)
        return self._last


class _OpenRun:
    """A run file while it is open, and what was read of it so far."""

    def __init__(self, identity: tuple[int, int], reader: RunReader) -> None:
        self.identity = identity
        self.reader = reader
        self._history = History(reader)
        self._weights, self._baseline = reader.weights, reader.baseline
        self._stamp = -1
        self._read_at = -np.inf
        self._wish: Wish | None = None
        self._seen: tuple[object, ...] = ()

    def due(self, stamp: int, wish: Wish) -> bool:
        """True if there may be something new."""
        young = time.time() - stamp * 1e-9 < _FRESH
        stale = time.monotonic() - self._read_at > _IDLE
        return young or stale or stamp != self._stamp or wish is not self._wish

    def read(self, path: str, wish: Wish, stamp: int) -> Snapshot | None:
        """What the file and the wish make together; None if that was returned last."""
        reader, history = self.reader, self._history
        status = reader.status
        history.update()
        seen = (status, tuple(history.rows.values()), id(wish))
        self._stamp, self._read_at, self._wish = stamp, time.monotonic(), wish
        if seen == self._seen:
            return None
        tiles, rows, cols = (int(reader.spec[key]) for key in ("tiles", "rows", "cols"))
        snapshot = Snapshot(
            source=path,
            status=status,
            kind=reader.kind,
            identity=reader.identity,
            origin=reader.origin,
            vmm=reader.vmm,
            utc_start=reader.utc_start,
            plan=reader.plan,
            shape=(tiles, rows, cols),
            frames=history.frames,
            frame=self._frame(wish),
            epochs=dict(history.columns("epochs")),
            steps=thin(history.columns("steps")),
            link=thin(history.columns("link")),
            points=history.points(),
            baseline=self._baseline,
            weights=self._weights,
            done=reader.done,
            summary=reader.summary or {},
            trail=history.trail(wish.cells),
            modified=stamp * 1e-9,
        )
        self._seen = seen
        return snapshot

    def _frame(self, wish: Wish) -> Frame | None:
        count = self._history.frames
        if count == 0:
            return self._history.programmed()
        index = count - 1 if wish.index is None else min(max(wish.index, 0), count - 1)
        return self._history.frame(index)
