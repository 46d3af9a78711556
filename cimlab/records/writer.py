"""Writing a run: one HDF5 file in SWMR mode (single writer, multiple readers).

SWMR keeps the file readable at every moment, from other processes and after the writer was
killed. Its price: nothing may be created once it is on. So the whole file is made, closed and
only then moved to its name and opened for SWMR writing; nobody ever sees half a file.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import ArraySpec
from cimlab.core.errors import RecordError

from . import checkpoint
from .layout import FREQUENT, STATUS, TABLES, Column
from .making import Header, add_session, build, complete, describe, publish
from .reader import open_reading

_FLUSH_SECONDS = 2.0
_LINK_SECONDS = 1.0
_Blocks = list[Mapping[str, NDArray[Any]]]


class RunWriter:
    """Appends rows and checkpoints to a run file; a context manager.

    Rows reach readers at the next flush: at once for epochs, maps, programming results and
    checkpoints; within two seconds for the tables of layout.FREQUENT, by a timer, as whoever
    measures may then wait for hours.
    """

    def __init__(self, file: h5py.File, started: float) -> None:
        """Internal; use `create` or `resume`."""
        self._file = file
        self._started = started
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._link: Callable[[], object] = lambda: None
        self._link_due = 0.0
        self._done: float | None = None
        # Rows in the file and those that wait. Both change in one assignment, and writing says
        # where: a flush that Ctrl-C cut short is simply done again.
        self._tables: dict[str, tuple[int, _Blocks]] = {
            name: (len(file[name]["time"]), []) for name in TABLES
        }

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], header: Header, template: checkpoint.Arrays | None = None
    ) -> Self:
        """Make a new run file and open it.

        Args:
            path: Where; the folder is made. RecordError if the file exists.
            header: What is known at the start.
            template: Arrays of the shapes and types that checkpoints will have; None for a run
                without checkpoints.
        """
        target = Path(path)
        if target.exists():
            raise RecordError(f"{target} exists; resume it or choose another name")
        started = time.time()
        with build(target) as file:
            describe(file, header, started)
            complete(file, header.spec.shape)
            if template is not None:
                checkpoint.make(file, template)
            add_session(file, header.spec)
        return cls(publish(target), started)

    @classmethod
    def resume(cls, path: str | os.PathLike[str], spec: ArraySpec, moved: int = 0) -> Self:
        """Continue a run from its last checkpoint; rows written after it are dropped.

        Args:
            path: The run file; RecordError if it holds no checkpoint, or one of another array.
            spec: The array that the run continues on.
            moved: Cells found to have moved since the checkpoint, for the session's record.

        HDF5 refuses to reopen for writing a file whose SWMR writer was killed (its superblock
        still says "being written"), and a file in SWMR mode takes no new session group. So the
        contents are copied into a new file beside it, which then replaces it atomically: a
        crash meanwhile leaves the old file as it was.
        """
        target = Path(path)
        with open_reading(target) as old:
            found = checkpoint.read(old)
            if found is None:
                raise RecordError(f"{target} holds no checkpoint to resume from")
            shape = tuple(json.loads(old.attrs["spec"])[size] for size in ("tiles", "rows", "cols"))
            if shape != spec.shape:
                raise RecordError(f"{target} is of an array {shape}, this one is {spec.shape}")
            rows: dict[str, int] = found[1]["rows"]
            started = float(old.attrs["started"])
            with build(target) as file:
                file.attrs.update(dict(old.attrs))
                for name in old:
                    old.copy(name, file)
                complete(file, shape)
                for table, columns in TABLES.items():
                    for column in columns:
                        file[table][column].resize(rows.get(table, 0), axis=0)
                file["status"][...] = STATUS.index("running")
                add_session(file, spec, moved)
        return cls(publish(target), started)

    def append(self, table: str, **values: ArrayLike) -> None:
        """Add a row; a value for every column but time, which is now, and those with a default."""
        row = {"time": time.time() - self._started, **values}
        self.extend(table, {name: np.asarray(value)[None] for name, value in row.items()})

    def extend(self, table: str, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add n rows: an array of n for every column without a default, time included.

        The arrays are kept until the next flush; the caller must not change them.
        """
        known = TABLES[table]
        needed = {name for name, column in known.items() if column.default is None}
        if not needed <= columns.keys() <= known.keys():
            raise ValueError(f"table {table} has columns {list(known)}, got {list(columns)}")
        with self._lock:
            self._tables[table][1].append(columns)
            if table not in FREQUENT:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(_FLUSH_SECONDS, self._flush_late)
                self._timer.daemon = True
                self._timer.start()

    def checkpoint(self, arrays: checkpoint.Arrays, info: Mapping[str, Any]) -> None:
        """Store a checkpoint of exactly the template's arrays, and info as JSON."""
        with self._lock:
            self.flush()
            rows = {name: have for name, (have, _) in self._tables.items()}
            checkpoint.write(self._file, arrays, {"rows": rows, "info": dict(info)})

    def watch_link(self, counts: Callable[[], object]) -> None:
        """Add a row of the link's counts with what is flushed, one a second at most.

        Args:
            counts: Returns an object with the columns of the table `link` as attributes, or None
                where there is no link. Called from any thread.
        """
        self._link = counts

    def mark(self, status: Literal["running", "paused"]) -> None:
        """Say that the run pauses or goes on, and hand over everything so far."""
        with self._lock:
            self._file["status"][...] = STATUS.index(status)
            self.flush()

    def progress(self, done: float) -> None:
        """Say which share of the run is done, 0 to 1; it reaches readers with the next flush."""
        self._done = done

    def summarise(self, summary: Mapping[str, Any]) -> None:
        """Store what came out, as JSON; it reaches readers with the next flush."""
        text = np.frombuffer(json.dumps(summary).encode(), np.uint8)
        with self._lock:
            self._file["summary"].resize(len(text), axis=0)
            self._file["summary"][...] = text

    def flush(self) -> None:
        """Hand everything so far to the readers."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._note_link()
            for table in TABLES:
                self._write(table)
            if self._done is not None:
                self._file["done"][...] = self._done
            self._file.flush()

    def _flush_late(self) -> None:
        with self._lock, suppress(OSError):  # a full disk is the next caller's to hear of
            if self._file:
                self.flush()

    def close(self, status: Literal["finished", "stopped", "failed"] = "finished") -> None:
        """Flush, mark how the run ended, close; a second call does nothing."""
        with self._lock:
            if self._file:
                self._file["status"][...] = STATUS.index(status)
                self._link_due = 0.0
                self.flush()
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.close("failed" if issubclass(kind, Exception) else "stopped")

    def _note_link(self) -> None:
        counts = self._link()
        if counts is None or time.monotonic() < self._link_due:
            return
        self._link_due = time.monotonic() + _LINK_SECONDS
        row = {"time": np.array([time.time() - self._started])}
        row |= {
            name: np.array([getattr(counts, name)]) for name in TABLES["link"] if name not in row
        }
        self._tables["link"][1].append(row)

    def _write(self, table: str) -> None:
        have, blocks = self._tables[table]
        if not blocks:
            return
        rows = have + sum(len(block["time"]) for block in blocks)
        for name, column in TABLES[table].items():
            dataset = self._file[table][name]
            dataset.resize(rows, axis=0)
            if any(name in block for block in blocks):  # else the file's own fill value stands
                parts = [_part(block, name, column, dataset.shape[1:]) for block in blocks]
                dataset[have:rows] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._tables[table] = (rows, [])


def _part(
    block: Mapping[str, NDArray[Any]], name: str, column: Column, shape: tuple[int, ...]
) -> NDArray[Any]:
    if name in block:
        return np.asarray(block[name], column.dtype)
    return np.full((len(block["time"]), *shape), column.default, column.dtype)
