"""Saving what can be read of a damaged run file into a fresh one; the damaged one stays as it is.

Works on a copy beside the new file: filled up with zeroes to the length that the superblock says,
and marked as closed, so that HDF5 opens it. What then lies in the filling, or fails HDF5's
checksums, is lost; everything else is copied.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError

from . import checkpoint
from .layout import FORMAT, FORMAT_VERSION, STATUS, TABLES
from .making import build, complete

_HEAD = struct.Struct("<8sBBBBQQQQI")  # superblock of version 2 and 3, with its checksum
_FLAGS_AT, _END_AT = 4, 7
_LARGEST = 1 << 36
_FAILURES = (OSError, RuntimeError, KeyError, ValueError)
_MASK = 0xFFFFFFFF


def repair(path: str | os.PathLike[str], new: str | os.PathLike[str]) -> dict[str, Any]:
    """Copy all that can be read into a new, closed run file; its rows keep their order.

    Args:
        path: The damaged file; only read.
        new: The file to make.

    Returns:
        {"rows": rows kept, by table, "lost": rows that are gone, by table where there are any,
        "damaged": what else is}: the same that the new file's attribute "repaired" says.

    Raises:
        RecordError: Nothing can be read, or `new` is there already or cannot be written.
    """
    source, target = Path(path), Path(new)
    if target.exists():
        raise RecordError(f"{target} exists; choose another name")
    scratch = target.with_name(target.name + ".scratch")
    try:
        size = _openable(source, scratch)
        with h5py.File(scratch, "r", locking=False) as old:
            shape = _cells(old)
            with build(target) as file:
                report = _Copy(old, file, size).all(shape)
        os.replace(target.with_name(target.name + ".new"), target)
    except (*_FAILURES, struct.error) as error:
        raise RecordError(f"nothing of {source} can be saved: {error}") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    return report


def _openable(source: Path, scratch: Path) -> int:
    """Make a copy that HDF5 opens; returns how many of its bytes are the original's."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, scratch)
    size = source.stat().st_size
    with scratch.open("r+b") as raw:
        head = list(_HEAD.unpack(raw.read(_HEAD.size)))
        if head[1] not in (2, 3):
            raise ValueError("not of the HDF5 version that run files have")
        if head[_END_AT] > _LARGEST:
            raise ValueError("its length is damaged")
        head[_FLAGS_AT] = 0  # nobody writes the copy
        head[-1] = lookup3(_HEAD.pack(*head)[:-4])
        raw.seek(0)
        raw.write(_HEAD.pack(*head))
        raw.truncate(max(size, head[_END_AT]))
    return size


def _cells(old: h5py.File) -> tuple[int, ...]:
    """(tiles, rows, cols), from whatever tells."""
    for name in ("maps/current", "maps/pulses", "maps/reads", "maps/target"):
        with suppress(*_FAILURES):
            return tuple(int(size) for size in old[name].shape[1:])
    spec = json.loads(old.attrs["spec"])
    return tuple(int(spec[name]) for name in ("tiles", "rows", "cols"))


class _Copy:
    """One file into another, part by part, with what was lost on the way."""

    def __init__(self, old: h5py.File, file: h5py.File, size: int) -> None:
        self._old, self._file, self._size = old, file, size
        self._damaged: list[str] = []

    def all(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Copy everything; what came of it."""
        self._attributes()
        for name in ("sessions", "weights", "baseline", "done", "summary", "status"):
            self._group(name)
        status = STATUS.index("stopped")
        with suppress(*_FAILURES):
            said = int(self._file["status"][()])
            status = said if STATUS[said] not in ("running", "paused") else status
        if "status" not in self._file:
            self._file.create_dataset("status", data=np.int8(status))
        self._file["status"][...] = status
        complete(self._file, shape)
        self._file.require_group("sessions")
        kept, lost = {}, {}
        for table in TABLES:
            kept[table], gone = self._table(table)
            if gone:
                lost[table] = gone
        self._checkpoint(kept)
        report = {"rows": kept, "lost": lost, "damaged": self._damaged}
        self._file.attrs["repaired"] = json.dumps(report)
        return report

    def _attributes(self) -> None:
        empty: Mapping[str, Any] = {
            "kind": "unknown",
            "started": 0.0,
            "utc_start": "",
            "origin": "unknown",
            "vmm": "unknown",
            "identity": "unknown",
            **dict.fromkeys(("spec", "station", "plan", "seeds"), "{}"),
        }
        self._file.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION})
        for name, instead in empty.items():
            try:
                value = self._old.attrs[name]
                if instead == "{}":
                    json.loads(value)
            except _FAILURES:
                self._damaged.append(f"attribute {name}")
                value = instead
            self._file.attrs[name] = value

    def _group(self, name: str) -> None:
        """Copy something whole; left out when it is damaged."""
        with suppress(*_FAILURES):
            if name not in self._old:
                return
        try:
            item = self._old[name]
            for dataset in _datasets(item):
                self._check_there(dataset)
            self._old.copy(name, self._file)
        except _FAILURES:
            self._damaged.append(name)
            with suppress(*_FAILURES):
                del self._file[name]

    def _check_there(self, dataset: h5py.Dataset) -> None:
        end = self._end(dataset)
        if end is not None and end > self._size:
            raise OSError(f"{dataset.name} lies behind the end of the file")

    @staticmethod
    def _end(dataset: h5py.Dataset) -> int | None:
        if dataset.chunks is None:
            at = dataset.id.get_offset()
            return None if at is None else at + dataset.nbytes
        return max(_chunk_ends(dataset).values(), default=None)

    def _table(self, table: str) -> tuple[int, int]:
        """Copy the rows of which every column can be read; how many, and how many are gone."""
        columns: dict[str, h5py.Dataset] = {}
        rows = 0
        with suppress(*_FAILURES):
            if table not in self._old:
                return 0, 0
        for key, column in TABLES[table].items():
            try:
                columns[key] = self._old[table][key]
                rows = max(rows, len(columns[key]))
            except _FAILURES:
                if column.default is None:
                    self._damaged.append(f"{table}/{key}")
        # a row that was being written when the writer was killed is in some columns only
        shortest = min((len(data) for data in columns.values()), default=0)
        needed = {key for key, column in TABLES[table].items() if column.default is None}
        if not needed <= columns.keys():
            return 0, rows
        good = np.ones(shortest, np.bool_)
        read = {key: self._column(data, shortest, good) for key, data in columns.items()}
        for key, values in read.items():
            dataset = self._file[table][key]
            dataset.resize(int(good.sum()), axis=0)
            dataset[...] = values[good]
        for key in TABLES[table].keys() - read.keys():
            self._file[table][key].resize(int(good.sum()), axis=0)
        return int(good.sum()), shortest - int(good.sum())

    def _column(self, data: h5py.Dataset, rows: int, good: NDArray[np.bool_]) -> NDArray[Any]:
        """A column's rows, chunk by chunk; good becomes False where one cannot be read."""
        values = np.zeros((rows, *data.shape[1:]), data.dtype)
        step = data.chunks[0] if data.chunks else max(rows, 1)
        try:
            ends = _chunk_ends(data)
        except _FAILURES:
            good[:] = False  # nobody knows where its rows are
            return values
        for start in range(0, rows, step):
            part = slice(start, min(rows, start + step))
            try:
                if ends.get(start, 0) > self._size:
                    raise OSError("behind the end of the file")
                values[part] = data[part]
            except _FAILURES:
                good[part] = False
        return values

    def _checkpoint(self, rows: Mapping[str, int]) -> None:
        """Copy the newest whole checkpoint, if the rows it counts on are still there."""
        try:
            if checkpoint.GROUP not in self._old:
                return
            found = checkpoint.read(self._old)
            if found is not None and any(rows[t] < n for t, n in found[1]["rows"].items()):
                raise ValueError("rows it counts on are gone")
            checkpoint.make(self._file, found[0] if found else {})
            if found is not None:
                checkpoint.write(self._file, *found)
        except (*_FAILURES, RecordError):
            self._damaged.append(checkpoint.GROUP)
            with suppress(*_FAILURES):
                del self._file[checkpoint.GROUP]


def _datasets(item: h5py.HLObject) -> list[h5py.Dataset]:
    if isinstance(item, h5py.Dataset):
        return [item]
    found: list[h5py.Dataset] = []
    item.visititems(lambda _, each: found.append(each) if isinstance(each, h5py.Dataset) else None)
    return found


def _chunk_ends(dataset: h5py.Dataset) -> dict[int, int]:
    """Where in the file the chunks of a column end, by their first row."""
    if dataset.chunks is None:
        return {}
    ends: dict[int, int] = {}

    def note(chunk: Any) -> None:
        first = chunk.chunk_offset[0]
        ends[first] = max(ends.get(first, 0), chunk.byte_offset + chunk.size)

    dataset.id.chunk_iter(note)
    return ends


def lookup3(data: bytes) -> int:
    """Bob Jenkins' lookup3 (public domain): the checksum of HDF5's metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    words = struct.unpack(
        f"<{-(-len(data) // 12) * 3}I", data.ljust(-(-len(data) // 12) * 12, b"\0")
    )
    for k in range(0, len(words), 3):
        a, b, c = (a + words[k]) & _MASK, (b + words[k + 1]) & _MASK, (c + words[k + 2]) & _MASK
        if k + 3 < len(words):
            a, b, c = _mixed(a, b, c)
    return _finished(a, b, c)


def _turned(x: int, by: int) -> int:
    return (x << by | x >> (32 - by)) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _turned(c, by)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _finished(a: int, b: int, c: int) -> int:
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _turned(b, by)) & _MASK
        a, b, c = b, c, a
    return b
