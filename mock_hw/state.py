"""The emulated chip's non-volatile state: what it consists of, and one memory-mapped file for it.

What the process has written is in the file the moment it is written, so a board that is killed
at any instruction and started again finds the conductances, and the counters that key the
noise, where they were. (Against a power cut of the machine only what `flush` has seen is safe.)

Layout: magic (8 bytes), length of the header (u32, little endian), header (JSON: the settings
that the state belongs to), then the arrays, each at a multiple of 4096 bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError

if sys.platform != "win32":
    import fcntl

Layout: TypeAlias = Mapping[str, tuple[np.dtype[np.generic], tuple[int, ...]]]
Settings: TypeAlias = Mapping[str, Any]
State: TypeAlias = Mapping[str, NDArray[Any]]

MAGIC = b"CIMSTAT1"
PAGE = 4096
LINE = 64
_LENGTH = struct.Struct("<I")


def state_layout(tiles: int, rows: int, cols: int) -> Layout:
    """Names, types and shapes of the chip's state: everything that a power cut must not lose."""
    size = (tiles * rows * cols,)
    return {
        "g": (np.dtype(np.float32), size),
        "pulses": (np.dtype(np.uint32), size),
        "reads": (np.dtype(np.uint32), size),
        "vectors": (np.dtype(np.uint64), (2, tiles)),
        "counted": (np.dtype(np.uint32), size),
        "rests": (np.dtype(np.uint32), (1,)),
        "rested": (np.dtype(np.float32), size),
        "age": (np.dtype(np.float64), size),
        "born": (np.dtype(np.uint8), (1,)),
    }


def new_state(tiles: int, rows: int, cols: int) -> State:
    """That of a chip that was never powered."""
    layout = state_layout(tiles, rows, cols)
    return {name: _aligned(kind, shape) for name, (kind, shape) in layout.items()}


def _aligned(kind: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Zeros that begin a line of the cache: a vector that straddles two is loaded twice."""
    size = kind.itemsize * int(np.prod(shape))
    room = np.zeros(size + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(kind).reshape(shape)


class StateFile:
    """Arrays that outlive their process; made zero when the file is new.

    Args:
        path: The file; its folder must exist.
        settings: What the state depends on, as JSON can hold it. A file that was made with
            other settings is refused.
        layout: Names, types and shapes of the arrays.

    Attributes:
        arrays: By name; writing to them is writing to the file.

    Raises:
        ConfigError: The file belongs to other settings, is no state file, is in use by another
            board, or cannot be opened.
    """

    def __init__(self, path: Path, settings: Settings, layout: Layout) -> None:
        header = json.dumps(settings, sort_keys=True).encode()
        places, size = _places(layout, len(MAGIC) + _LENGTH.size + len(header))
        try:
            if not path.exists():
                _create(path, header, size)
            self._file = path.open("r+b")
            try:
                _lock(self._file.fileno(), path)
                _check(self._file.read(places[0]), header, size, path)
                self._map = mmap.mmap(self._file.fileno(), 0)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise ConfigError(f"cannot keep the chip's state in {path}: {error}") from error
        self.arrays: dict[str, NDArray[np.generic]] = {
            name: np.ndarray(shape, kind, self._map, place)
            for (name, (kind, shape)), place in zip(layout.items(), places, strict=True)
        }

    def flush(self) -> None:
        """Write everything to the disk, for the case that the machine goes down."""
        self._map.flush()

    def close(self) -> None:
        """Flush, and let another board have the file; a second call does nothing."""
        if not self._file.closed:
            self.flush()
            _unlock(self._file.fileno())  # the arrays still hold the mapping, which holds the lock
            self._file.close()


def _places(layout: Layout, header: int) -> tuple[list[int], int]:
    """Offsets of the arrays and the file's size."""
    places, end = [], header
    for kind, shape in layout.values():
        start = -(-end // PAGE) * PAGE
        places.append(start)
        end = start + kind.itemsize * int(np.prod(shape))
    return places, end


def _create(path: Path, header: bytes, size: int) -> None:
    """A whole file or none: it is written under another name first."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("xb") as file:
            # real zeros, not a hole: a full disk must show now, not as a crash in the middle
            file.write((MAGIC + _LENGTH.pack(len(header)) + header).ljust(size, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _lock(descriptor: int, path: Path) -> None:
    """One board a file; the system lets go of the lock when the process ends. Not on Windows."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{path} is in use by another board; stop that one first") from error


def _unlock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _check(start: bytes, header: bytes, size: int, path: Path) -> None:
    """Refuse what is not the state of this chip, whole."""
    begin = len(MAGIC) + _LENGTH.size
    if start[: len(MAGIC)] != MAGIC:
        raise ConfigError(f"{path} is not a state file of an emulated chip")
    (length,) = _LENGTH.unpack(start[len(MAGIC) : begin].ljust(_LENGTH.size, b"\0"))
    kept = start[begin : begin + length]
    if kept != header:
        try:
            differences = _differences(json.loads(kept), json.loads(header))
        except ValueError as error:
            raise ConfigError(f"{path} is damaged; move it away to start a new chip") from error
        raise ConfigError(
            f"{path} belongs to another chip: {differences}; "
            "use the same settings, or another file for a new chip"
        )
    if path.stat().st_size != size:
        raise ConfigError(f"{path} is cut short; move it away to start a new chip")


def _differences(kept: Settings, wanted: Settings) -> str:
    nothing = "nothing"
    return ", ".join(
        f"{name} is {kept.get(name, nothing)!r} there and {wanted.get(name, nothing)!r} here"
        for name in sorted({*kept, *wanted})
        if kept.get(name, nothing) != wanted.get(name, nothing)
    )
