"""Writing a run: one HDF5 file in SWMR mode (single writer, multiple readers).

SWMR keeps the file readable at every moment, from other processes and after the writer was
killed. Its price: nothing may be created once it is on. So the whole file is made, closed and
only then moved to its name and opened for SWMR writing; nobody ever sees half a file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np
from h5py import h5f, h5p
from numpy.typing import ArrayLike

from cimlab.core.array import ArraySpec
from cimlab.core.errors import RecordError

from . import checkpoint, provenance
from .layout import FORMAT, FORMAT_VERSION, STATUS, TABLES, Column
from .reader import open_reading

_FLUSH_SECONDS = 2.0
_FREQUENT = "steps"  # rows come every few milliseconds: collected, written at each flush


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a run before it starts; stored as attributes.

    Attributes:
        kind: What made the run: "train", "program", ...
        spec: The array: size, identity, origin measured or emulated, the spec.vmm word.
        station: The station as plain JSON data, without secrets.
        plan: The plan as plain JSON data.
        seeds: Every seed by name.
    """

    kind: str
    spec: ArraySpec
    station: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)


class RunWriter:
    """Appends rows and checkpoints to a run file; a context manager.

    Rows reach readers at the next flush: at once for epochs, maps, programming results and
    checkpoints, within two seconds of stepping for steps.
    """

    def __init__(self, file: h5py.File, started: float) -> None:
        """Internal; use `create` or `resume`."""
        self._file = file
        self._started = started
        self._waiting: list[dict[str, Any]] = []
        self._flushed = time.monotonic()

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
        with _build(target) as file:
            _describe(file, header, started)
            for name, columns in TABLES.items():
                _make_table(file, name, columns, header.spec.shape)
            if template is not None:
                checkpoint.make(file, template)
            _add_session(file, header.spec)
        return cls(_publish(target), started)

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
            with _build(target) as file:
                file.attrs.update(dict(old.attrs))
                for name in old:
                    old.copy(name, file)
                for table, columns in TABLES.items():
                    for column in columns:
                        file[table][column].resize(rows[table], axis=0)
                file["status"][...] = STATUS.index("running")
                _add_session(file, spec, moved)
        return cls(_publish(target), started)

    def append(self, table: str, **values: ArrayLike) -> None:
        """Add a row; a value for every column of the table but time, which is now."""
        row = {"time": time.time() - self._started, **values}
        if row.keys() != TABLES[table].keys():
            raise ValueError(f"table {table} has columns {list(TABLES[table])}, got {list(row)}")
        if table == _FREQUENT:
            self._waiting.append(row)
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self.flush()
        else:
            self._write(table, [row])
            self.flush()

    def checkpoint(self, arrays: checkpoint.Arrays, info: Mapping[str, Any]) -> None:
        """Store a checkpoint of exactly the template's arrays, and info as JSON."""
        self.flush()
        rows = {name: len(self._file[name]["time"]) for name in TABLES}
        checkpoint.write(self._file, arrays, {"rows": rows, "info": dict(info)})
        self._flushed = time.monotonic()

    def flush(self) -> None:
        """Hand everything so far to the readers."""
        if self._waiting:
            self._write(_FREQUENT, self._waiting)
            self._waiting = []
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self, status: Literal["finished", "stopped", "failed"] = "finished") -> None:
        """Flush, mark how the run ended, close; a second call does nothing."""
        if self._file:
            self._file["status"][...] = STATUS.index(status)
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

    def _write(self, table: str, rows: list[dict[str, Any]]) -> None:
        group = self._file[table]
        for name, column in TABLES[table].items():
            dataset = group[name]
            have = len(dataset)
            dataset.resize(have + len(rows), axis=0)
            dataset[have:] = np.asarray([row[name] for row in rows], column.dtype)


@contextmanager
def _build(target: Path) -> Iterator[h5py.File]:
    """A new file beside the target, closed afterwards; removed again if making it failed."""
    path = _unfinished(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = h5py.File(path, "w", libver="latest")
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error}") from error
    try:
        with file:
            yield file
    except BaseException:
        path.unlink()
        raise


def _unfinished(target: Path) -> Path:
    return target.with_name(target.name + ".new")


def _publish(target: Path) -> h5py.File:
    """Move the built file to its name and open it for SWMR writing, in one step of HDF5."""
    try:
        os.replace(_unfinished(target), target)
        access = h5p.create(h5p.FILE_ACCESS)
        access.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
        access.set_file_locking(False, True)  # as the readers do; a status flag guards writers
        # File(swmr_mode=True) would open plainly first: killed there, it would be unreadable.
        opened = h5f.open(os.fsencode(target), h5f.ACC_RDWR | h5f.ACC_SWMR_WRITE, fapl=access)
    except OSError as error:
        raise RecordError(f"cannot write {target}: {error}") from error
    return h5py.File(opened)


def _describe(file: h5py.File, header: Header, started: float) -> None:
    spec = asdict(header.spec)
    spec["capabilities"] = sorted(header.spec.capabilities)
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": header.kind,
            "started": started,
            "utc_start": provenance.utc_now(),
            "origin": header.spec.origin,
            "vmm": header.spec.vmm,
            "identity": header.spec.identity,
            "spec": json.dumps(spec),
            "station": json.dumps(header.station),
            "plan": json.dumps(header.plan),
            "seeds": json.dumps(header.seeds),
        }
    )
    status = file.create_dataset("status", data=np.int8(STATUS.index("running")))
    status.attrs.update({"unit": "1", "description": f"index into {list(STATUS)}"})


def _make_table(
    file: h5py.File, name: str, columns: Mapping[str, Column], cells: tuple[int, int, int]
) -> None:
    for key, column in columns.items():
        shape = cells if column.per_cell else ()
        dataset = file.create_dataset(
            f"{name}/{key}",
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(1, *shape) if column.per_cell else (1024,),
            dtype=column.dtype,
        )
        dataset.attrs.update({"unit": column.unit, "description": column.description})


def _add_session(file: h5py.File, spec: ArraySpec, moved: int = 0) -> None:
    """A group for this process: the first of a run, or one that resumes it."""
    sessions = file.require_group("sessions")
    commit, dirty = provenance.git_state()
    sessions.create_group(str(len(sessions))).attrs.update(
        {
            "utc_start": provenance.utc_now(),
            "versions": json.dumps(provenance.versions()),
            "git_commit": commit,
            "git_dirty": dirty,
            "program": Path(sys.argv[0]).name,
            "identity": spec.identity,
            "origin": spec.origin,
            "moved_cells": moved,
        }
    )
