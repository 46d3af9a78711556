"""Checkpoints inside a run file: two slots that are written in turn, and a commit number.

SWMR allows no new datasets, so both slots are made up front with the arrays' shapes. A
checkpoint fills the slot that the last commit does not use, is flushed, and only then does the
commit number move on and is flushed in turn: whatever dies in between, the other slot is whole.
A CRC-32 over the slot guards against a power cut, where flushed is not yet on disk.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError

Arrays = Mapping[str, NDArray[Any]]

GROUP = "checkpoint"
_JSON_BYTES = 65536


def make(file: h5py.File, template: Arrays) -> None:
    """Create both slots for arrays of the template's shapes and types."""
    group = file.create_group(GROUP)
    group.create_dataset("commit", data=np.int64(0))
    for name in ("0", "1"):
        slot = group.create_group(name)
        # Data written at once: the space exists before SWMR begins, later writes only fill it.
        for key, array in template.items():
            slot.create_dataset(f"arrays/{key}", data=np.zeros_like(np.asarray(array)))
        slot.create_dataset("json", data=np.zeros(_JSON_BYTES, np.uint8))
        slot.create_dataset("crc", data=np.uint32(0))


def write(file: h5py.File, arrays: Arrays, info: Mapping[str, Any]) -> None:
    """Store arrays and info; RecordError when they do not fit the slots made at the start."""
    group = file[GROUP]
    commit = int(group["commit"][()]) + 1
    slot = group[str(commit % 2)]
    text = json.dumps(info).encode()
    _check(slot, arrays, text)
    for key, array in arrays.items():
        slot["arrays"][key][...] = array
    slot["json"][...] = np.frombuffer(text.ljust(_JSON_BYTES, b"\0"), np.uint8)
    slot["crc"][...] = _crc(arrays, text)
    file.flush()
    group["commit"][...] = commit
    file.flush()


def read(file: h5py.File) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """The newest whole checkpoint as (arrays, info), or None when there is none yet."""
    if GROUP not in file:
        return None
    group = file[GROUP]
    group["commit"].id.refresh()
    commit = int(group["commit"][()])
    for slot in (group[str(n % 2)] for n in (commit, commit - 1) if n > 0):
        slot.visititems(_refresh)
        text = slot["json"][()].tobytes().rstrip(b"\0")
        arrays = {} if "arrays" not in slot else {k: d[()] for k, d in slot["arrays"].items()}
        if text and int(slot["crc"][()]) == _crc(arrays, text):
            return arrays, json.loads(text)
    return None


def whole(file: h5py.File) -> list[bool]:
    """Of each slot, whether its contents have the CRC-32 that it names."""
    found = []
    for slot in (file[GROUP][name] for name in ("0", "1")):
        text = slot["json"][()].tobytes().rstrip(b"\0")
        arrays = {} if "arrays" not in slot else {k: d[()] for k, d in slot["arrays"].items()}
        found.append(bool(text) and int(slot["crc"][()]) == _crc(arrays, text))
    return found


def _refresh(_: str, item: h5py.HLObject) -> None:
    if isinstance(item, h5py.Dataset):
        item.id.refresh()


def _check(slot: h5py.Group, arrays: Arrays, text: bytes) -> None:
    made = {k: (d.shape, d.dtype) for k, d in slot["arrays"].items()} if "arrays" in slot else {}
    given = {k: (np.shape(a), np.asarray(a).dtype) for k, a in arrays.items()}
    if made != given:
        wrong = sorted(k for k in made.keys() | given.keys() if made.get(k) != given.get(k))
        raise RecordError(f"checkpoint does not fit the file: {', '.join(wrong)}")
    if len(text) > _JSON_BYTES:
        raise RecordError(f"checkpoint info has {len(text)} bytes of JSON, at most {_JSON_BYTES}")


def _crc(arrays: Arrays, text: bytes) -> int:
    crc = zlib.crc32(text)
    for key in sorted(arrays):
        crc = zlib.crc32(np.ascontiguousarray(arrays[key]).tobytes(), crc)
    return crc
