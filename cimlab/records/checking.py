"""What a run file is worth: every table, time, count and checkpoint looked at."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from cimlab.core.errors import RecordError

from . import checkpoint
from .layout import STATUS, TABLES
from .probing import probe
from .reader import open_reading

_TEXTS = ("spec", "station", "plan", "seeds")
_MANY = 1 << 20
"""Numbers read in one go."""
_ROUNDING = 1e-6
"""Times of one run may differ by so many seconds against their order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Which.
        good: Whether it is as it should be.
        found: What was found.
    """

    what: str
    good: bool
    found: str


def check(path: str | os.PathLike[str]) -> list[Finding]:
    """Look at all of a run file; whatever is wrong with it is a finding, never an exception."""
    try:
        probe(path)
        file = open_reading(path)
    except RecordError as error:
        return [Finding("file", False, str(error))]
    with file:
        looks: list[tuple[str, Callable[[h5py.File], Iterator[Finding]]]] = [
            ("attributes", _attributes),
            ("checkpoint", _checkpoint),
        ]
        looks += [(name, lambda file, name=name: _table(file, name)) for name in TABLES]  # type: ignore[misc]
        looks += [("counts", _counts)]
        found = [Finding("file", True, f"{os.path.getsize(path):,} bytes, opens")]
        for what, look in looks:
            try:
                found += look(file)
            except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
                found.append(Finding(what, False, f"cannot be read: {error}"))
    return found


def _attributes(file: h5py.File) -> Iterator[Finding]:
    texts = {name: json.loads(file.attrs[name]) for name in _TEXTS}
    sizes = [texts["spec"][name] for name in ("tiles", "rows", "cols")]
    status = STATUS[int(file["status"][()])]
    sessions = len(file["sessions"])
    yield Finding(
        "attributes",
        all(isinstance(size, int) and size > 0 for size in sizes),
        f"{file.attrs['kind']} run, {status}, {sessions} sessions, array of {sizes}",
    )


def _checkpoint(file: h5py.File) -> Iterator[Finding]:
    if checkpoint.GROUP not in file:
        return
    commit = int(file[checkpoint.GROUP]["commit"][()])
    if commit == 0:
        yield Finding("checkpoint", True, "none yet")
        return
    found = checkpoint.read(file)
    if found is None:
        yield Finding("checkpoint", False, "neither slot has the CRC-32 of its contents")
        return
    whole = checkpoint.whole(file)
    lost = [
        f"{name} had {rows} rows, now {_rows(file, name)}"
        for name, rows in found[1]["rows"].items()
        if _rows(file, name) < rows
    ]
    newest = whole[commit % 2]
    said = "the newest is whole" if newest else "the newest is damaged, the one before is whole"
    yield Finding("checkpoint", newest and not lost, "; ".join([f"number {commit}: {said}", *lost]))


def _table(file: h5py.File, name: str) -> Iterator[Finding]:
    if name not in file:
        return
    group, cells = file[name], tuple(file["maps/current"].shape[1:])
    wrong = []
    for key, column in TABLES[name].items():
        if key not in group:
            if column.default is None:
                wrong.append(f"{key} is missing")
            continue
        dataset = group[key]
        if dataset.dtype != np.dtype(column.dtype) or dataset.shape[1:] != column.shape(cells):
            wrong.append(f"{key} is {dataset.dtype} {dataset.shape[1:]}")
        elif dataset.attrs.get("unit") != column.unit:
            wrong.append(f"{key} has the unit {dataset.attrs.get('unit')!r}, not {column.unit!r}")
    lengths = {key: len(data) for key, data in group.items()}
    rows = min(lengths.values())
    if max(lengths.values()) - rows > _unfinished(file):
        wrong.append(f"columns have {rows} to {max(lengths.values())} rows")
    if not wrong and rows:
        wrong += _times(file, name, rows)
        wrong += _read_all(file, name, rows)
    if rows or wrong:
        yield Finding(name, not wrong, f"{rows:,} rows" + "".join(f"; {each}" for each in wrong))


def _unfinished(file: h5py.File) -> float:
    """Rows by which columns may differ: a writer may be at work, or have been killed."""
    return np.inf if STATUS[int(file["status"][()])] in ("running", "paused") else 0


def _times(file: h5py.File, name: str, rows: int) -> Iterator[str]:
    moments = file[name]["time"][:rows]
    if not np.isfinite(moments).all():
        yield f"{np.count_nonzero(~np.isfinite(moments))} times are no numbers"
    elif name != "points" and (back := np.diff(moments) < -_ROUNDING).any():
        yield f"time goes back after row {int(back.argmax())}"
    elif moments.min() < -_ROUNDING or (
        name != "points" and file.attrs["started"] + moments.max() > time.time() + 86400
    ):
        yield f"times from {moments.min():g} to {moments.max():g} s are not of this run"
    if name == "steps" and rows and not (np.diff(file[name]["step"][:rows]) == 1).all():
        yield "steps do not follow each other"


def _read_all(file: h5py.File, name: str, rows: int) -> Iterator[str]:
    """Whether every chunk can be read at all: a compressed one that is damaged cannot."""
    for key in TABLES[name]:
        if key not in file[name]:
            continue
        dataset = file[name][key]
        step = max(1, _MANY // max(1, int(np.prod(dataset.shape[1:]))))
        for start in range(0, rows, step):
            try:
                dataset[start : min(rows, start + step)]
            except OSError as error:
                yield f"{key} cannot be read from row {start}: {error}"
                break


def _counts(file: h5py.File) -> Iterator[Finding]:
    """Pulses of cells never go back, and batches and maps tell of the same pulses."""
    rows = min(_rows(file, "maps"), len(file["maps/pulses"]))
    if rows < 2:
        return
    step, pulses = file["maps/step"][:rows], file["maps/pulses"]
    wrong: list[str] = []
    steps, each = (file["steps"][key][: _rows(file, "steps")] for key in ("step", "pulses"))
    before = pulses[0].astype(np.int64)
    whole = True
    for row in range(1, rows):
        now = pulses[row].astype(np.int64)
        gained = now - before
        if gained.min() < 0:
            wrong.append(f"map {row}: {np.count_nonzero(gained < 0)} cells have fewer pulses")
        between = (steps > step[row - 1]) & (steps <= step[row])
        whole &= len(file["sessions"]) == 1 and bool(between.sum() == step[row] - step[row - 1] > 0)
        if whole and gained.sum() != each[between].sum():
            wrong.append(
                f"map {row}: {gained.sum()} pulses more, batches say {each[between].sum()}"
            )
        before = now
    how = "agree with the batches' pulses" if whole else "never fall"
    yield Finding("counts", not wrong, "; ".join(wrong) or f"pulses in {rows} maps {how}")


def _rows(file: h5py.File, name: str) -> int:
    return min((len(data) for data in file[name].values()), default=0) if name in file else 0
