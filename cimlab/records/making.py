"""Making a run file: all of it, under another name, then moved to its own and opened for SWMR."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5f, h5p
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec
from cimlab.core.errors import RecordError
from cimlab.core.run_id import RUN_ID

from . import provenance
from .layout import FORMAT, FORMAT_VERSION, STATUS, TABLES
from .weights import WeightMap

_PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Millions of points hardly differ in most columns: they take a tenth of the room."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a run before it starts; stored as attributes.

    Attributes:
        kind: What made the run: "train", "program", ...
        spec: The array: size, identity, origin measured or emulated, the spec.vmm word.
        station: The station as plain JSON data, without secrets.
        plan: The plan as plain JSON data.
        seeds: Every seed by name.
        weights: Which weights the cells carry; None where they carry none.
        baseline: Epochs of another run to compare with, some columns of the table `epochs`.
    """

    kind: str
    spec: ArraySpec
    station: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    weights: WeightMap | None = None
    baseline: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@contextmanager
def build(target: Path) -> Iterator[h5py.File]:
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


def publish(target: Path) -> h5py.File:
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


def describe(file: h5py.File, header: Header, started: float) -> None:
    """Store what is known at the start, and that the run goes on."""
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
    if header.weights is not None:
        header.weights.store(file)
    for name, values in header.baseline.items():
        column = TABLES["epochs"][name]
        dataset = file.create_dataset(f"baseline/{name}", data=values, dtype=column.dtype)
        dataset.attrs.update({"unit": column.unit, "description": column.description})


def complete(file: h5py.File, cells: tuple[int, ...]) -> None:
    """Make every table and dataset that is not there: all of them, or those of later versions."""
    for name, columns in TABLES.items():
        for key, column in columns.items():
            if f"{name}/{key}" in file:
                continue
            shape = column.shape(cells)
            dataset = file.create_dataset(
                f"{name}/{key}",
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=(1 if column.per_cell else 256 if column.per_tile else 1024, *shape),
                dtype=column.dtype,
                fillvalue=column.default,
                **(_PACKED if name == "points" else {}),
            )
            dataset.attrs.update({"unit": column.unit, "description": column.description})
    if "done" not in file:
        done = file.create_dataset("done", data=np.nan)
        done.attrs.update({"unit": "1", "description": "share of the run that is done, 0-1"})
        text = file.create_dataset(
            "summary", shape=(0,), maxshape=(None,), chunks=(4096,), dtype="u1"
        )
        text.attrs.update({"unit": "1", "description": "what came out, JSON; empty before the end"})


def add_session(file: h5py.File, spec: ArraySpec, moved: int = 0) -> None:
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
            "run_id": RUN_ID,
            "identity": spec.identity,
            "origin": spec.origin,
            "moved_cells": moved,
        }
    )
