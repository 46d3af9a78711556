"""Reading a run file: while it is written, after it was killed, or long afterwards."""

from __future__ import annotations

import json
import math
import os
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError

from . import checkpoint
from .layout import FORMAT, FORMAT_VERSION, STATUS, TABLES
from .series import Series, by_cell
from .weights import WeightMap

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = struct.Struct("<8sBBBBQQQ")  # version 2 and 3: up to the end of the file's data
_BEGINNING = 0.5  # seconds between a file's appearance and its opening by the writer, at most
_WRITING = 0b101  # its flags while somebody writes, or after that writer was killed


def open_reading(
    path: str | os.PathLike[str], kind: str = FORMAT, version: int = FORMAT_VERSION
) -> h5py.File:
    """Open a file of a kind, also while it is written; RecordError when missing or damaged."""
    give_up = time.monotonic() + _BEGINNING
    with _damage_told(path):
        while True:
            writing = _check_whole(path)
            late = time.monotonic() > give_up
            try:
                # No lock: a SWMR reader disturbs nobody, and some network file systems have none.
                # In a file that nobody writes, a wrong checksum is an error; a SWMR reader would
                # wait for the writer to mend it, in vain and for hours.
                file = h5py.File(path, "r", libver="latest", swmr=writing, locking=False)
            except OSError:
                if writing or late:
                    raise
            else:
                begins = "status" in file and file["status"][()] == STATUS.index("running")
                if writing or late or not begins:
                    break
                file.close()
            time.sleep(0.01)  # the writer has moved the file here, but not opened it yet
        attributes = dict(file.attrs)
    if attributes.get("format") != kind or attributes.get("format_version") != version:
        file.close()
        raise RecordError(f"{path} is not a {kind} file of version {version}")
    return file


def written_now(path: str | os.PathLike[str]) -> bool:
    """Whether somebody writes the file, or was killed doing so; RecordError when it is damaged."""
    with _damage_told(path):
        return _check_whole(path)


@contextmanager
def _damage_told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever HDF5 raises over a file's contents becomes a RecordError."""
    try:
        yield
    except FileNotFoundError as error:
        raise RecordError(f"cannot read {path}: there is no such file") from error
    except IsADirectoryError as error:
        raise RecordError(f"{path} is a folder: name files in it, as {path}/*.h5 does") from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise RecordError(f"cannot read {path}: {error}") from error


def _check_whole(path: str | os.PathLike[str]) -> bool:
    """Whether the file is being written; ValueError if it was cut short.

    The superblock says where the data end, and is never ahead of the file (HDF5 File Format
    Specification 3.0, II.A). Reading past the end, HDF5 retries for hours or returns zeroes.
    """
    with open(path, "rb") as raw:
        head = raw.read(_SUPERBLOCK.size)
        size = os.fstat(raw.fileno()).st_size
    if not head.startswith(_SIGNATURE):
        raise ValueError("no HDF5 file")
    if len(head) < _SUPERBLOCK.size:
        raise ValueError(f"damaged, it ends after {size} bytes")
    _, version, _, _, flags, _, _, end = _SUPERBLOCK.unpack(head)
    if version not in (2, 3):
        raise ValueError("not of the HDF5 version that run files have")
    if size < end:
        raise ValueError(f"damaged, it ends after {size} of {end} bytes")
    return bool(flags & _WRITING == _WRITING)


class RunReader:
    """A run file, up to its writer's last flush; a context manager.

    Attributes:
        kind: What made the run: "train", "program", ...
        origin: "measured" or "emulated".
        vmm: How VMMs were done: "analog", "emulated" or "none".
        identity: The array's make, model, serial number and firmware.
        utc_start, started: When the run began: ISO 8601, and s since 1970.
        spec, station, plan, seeds: As in `writer.Header`, plain JSON data.
        sessions: Of every process that wrote: versions, git state, identity, start.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file; RecordError when it is missing or no run file."""
        self._file = open_reading(path)
        self.path = os.fspath(path)
        try:
            with _damage_told(path):
                self._describe()
        except RecordError:
            self._file.close()
            raise

    def _describe(self) -> None:
        attributes = self._file.attrs
        self.kind: str = attributes["kind"]
        self.origin: str = attributes["origin"]
        self.vmm: str = attributes["vmm"]
        self.identity: str = attributes["identity"]
        self.utc_start: str = attributes["utc_start"]
        self.started = float(attributes["started"])
        self.spec: dict[str, Any] = json.loads(attributes["spec"])
        self.station: dict[str, Any] = json.loads(attributes["station"])
        self.plan: dict[str, Any] = json.loads(attributes["plan"])
        self.seeds: dict[str, int] = json.loads(attributes["seeds"])
        sessions = self._file["sessions"]
        self.sessions = [_session(sessions[name]) for name in sorted(sessions, key=int)]

    @property
    def status(self) -> str:
        """Of layout.STATUS; "running" too when the writer was killed."""
        with _damage_told(self.path):
            dataset = self._file["status"]
            dataset.id.refresh()
            return STATUS[int(dataset[()])]

    @property
    def done(self) -> float | None:
        """Share of the run that is done, 0 to 1; None where its kind does not say."""
        if not self._has("done"):
            return None
        with _damage_told(self.path):
            dataset = self._file["done"]
            dataset.id.refresh()
            done = float(dataset[()])
        return None if math.isnan(done) else done

    @property
    def summary(self) -> dict[str, Any] | None:
        """What came out, plain JSON data; None before the end, and where its kind has none."""
        if not self._has("summary"):
            return None
        with _damage_told(self.path):
            dataset = self._file["summary"]
            dataset.id.refresh()
            text = dataset[()].tobytes()
            # still zeroes where a reader comes between making room and writing
            found: dict[str, Any] | None = json.loads(text) if text.strip(b"\0") else None
            return found

    def rows(self, table: str) -> int:
        """Complete rows of a table now; none in a file older than the table."""
        if not self._has(table):
            return 0
        names = TABLES[table]
        with _damage_told(self.path):
            group = self._file[table]
            columns = [group[name] for name in names if name in group]
            for dataset in columns:
                dataset.id.refresh()
            # A reader may arrive between two columns of a row being written.
            return min(len(dataset) for dataset in columns)

    def _has(self, name: str) -> bool:
        with _damage_told(self.path):
            return name in self._file

    def column(self, table: str, name: str, rows: slice = slice(None)) -> NDArray[Any]:
        """One column, in its unit: (rows,), or (rows, tiles, rows, cols) where it is per cell."""
        return self.columns(table, (name,), rows)[name]

    def columns(
        self, table: str, names: Iterable[str], rows: slice = slice(None)
    ) -> dict[str, NDArray[Any]]:
        """Several columns of the same rows by name, for the price of one look at the file."""
        start, stop, stride = rows.indices(self.rows(table))
        return {name: self._read(table, name, range(start, stop, stride)) for name in names}

    def _read(self, table: str, name: str, rows: range) -> NDArray[Any]:
        column = TABLES[table][name]
        with _damage_told(self.path):
            if f"{table}/{name}" in self._file:
                dataset = self._file[table][name]
                return np.asarray(dataset[rows.start : rows.stop : rows.step])
        # the column is of a later version than the file
        cells = tuple(self.spec[size] for size in ("tiles", "rows", "cols"))
        return np.full((len(rows), *column.shape(cells)), column.default or 0, column.dtype)

    @property
    def weights(self) -> WeightMap | None:
        """Which weights the cells carry; None where they carry none, or the file does not say."""
        with _damage_told(self.path):
            return WeightMap.read(self._file)

    @property
    def baseline(self) -> dict[str, NDArray[Any]]:
        """Epochs of the run that this one is compared with; empty without one."""
        with _damage_told(self.path):
            return {name: data[()] for name, data in self._file.get("baseline", {}).items()}

    def series(self) -> Series:
        """The points of a sweep so far, cell by cell."""
        return by_cell(self.columns("points", TABLES["points"]))

    def to_pandas(self, table: str) -> pd.DataFrame:
        """A table as a pandas frame; see `labelled.to_pandas`. Needs the extra `analysis`."""
        from .labelled import to_pandas

        return to_pandas(self, table)

    def to_xarray(self) -> xr.DataTree:
        """The whole run as an xarray tree; see `labelled.to_xarray`. Needs `analysis`, too."""
        from .labelled import to_xarray

        return to_xarray(self)

    def unit(self, table: str, name: str) -> str:
        """SI symbol of a column, "1" for pure numbers."""
        with _damage_told(self.path):
            return str(self._file[table][name].attrs["unit"])

    def checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """The newest whole checkpoint as (arrays, info), or None."""
        with _damage_told(self.path):
            found = checkpoint.read(self._file)
        return None if found is None else (found[0], found[1]["info"])

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _session(group: h5py.Group) -> dict[str, Any]:
    facts = {key: group.attrs[key] for key in group.attrs}
    facts["versions"] = json.loads(facts["versions"])
    facts["git_dirty"] = bool(facts["git_dirty"])
    facts["moved_cells"] = int(facts["moved_cells"])
    return facts


def load(path: str | os.PathLike[str]) -> RunReader:
    """Open a run file for reading, however its writer fares."""
    return RunReader(path)
