"""Reading and writing the fields of payloads, and selections of cells (docs/wire.md 3)."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cimlab.core.array import Addresses, Mask
from cimlab.core.errors import BoardError, ConfigError, LimitError, LinkProtocol
from cimlab.core.limits import ascending, every

from .frames import Buffer
from .status import Status

_COUNT16 = struct.Struct("<BH")
_COUNT32 = struct.Struct("<BI")


class Reader:
    """Takes fields off a payload in order; LinkProtocol where it is too short or too long."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """The next fields, as a struct describes them; floats must be finite."""
        values = layout.unpack_from(self._payload, self._skip(layout.size))
        if not all(map(math.isfinite, values)):
            raise LinkProtocol("a number in the payload is not finite")
        return values

    def array(self, dtype: DTypeLike, n: int) -> NDArray[Any]:
        """The next n numbers, without a copy, read-only."""
        kind = np.dtype(dtype)
        return np.frombuffer(self._payload, kind, n, self._skip(n * kind.itemsize))

    def text(self, length: struct.Struct) -> str:
        """The next string: its length, then UTF-8."""
        (n,) = self.unpack(length)
        start = self._skip(n)
        try:
            return str(self._payload[start : start + n], "utf-8")
        except UnicodeDecodeError as error:
            raise LinkProtocol("a string in the payload is not UTF-8") from error

    def passed(self, n: int, length: struct.Struct, size: int) -> memoryview:
        """The next n pairs of a string and `size` bytes, as they are."""
        start = self._at
        for _ in range(n):
            at = self._skip(length.size)
            self._skip(length.unpack_from(self._payload, at)[0] + size)
        return self._payload[start : self._at]

    def bitmap(self, n: int) -> Mask:
        """The next n bits as booleans; spare bits must be 0."""
        packed = self.array(np.uint8, (n + 7) // 8)
        if n % 8 and packed[-1] >> n % 8:
            raise LinkProtocol("spare bits of a bitmap are not 0")
        return np.unpackbits(packed, count=n, bitorder="little").view(np.bool_)

    def cells(self, size: int) -> Addresses | None:
        """The next selection; None means all cells."""
        (mode,) = self.unpack(_MODE)
        if mode == 0:
            return None
        if mode == 1:
            return np.flatnonzero(self.bitmap(size))
        if mode not in (2, 3):
            raise LinkProtocol(f"unknown mode {mode} of a cell selection")
        (n,) = self.unpack(_U16 if mode == 2 else _U32)
        cells = self.array("<u2" if mode == 2 else "<u4", n).astype(np.int64)
        if not every(cells[1:] > cells[:-1]):
            raise LinkProtocol("cell addresses are not strictly ascending")
        if n and cells[-1] >= size:
            raise BoardError(Status.ADDRESS, f"cell {cells[-1]} of an array of {size}")
        return cells

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._payload):
            raise LinkProtocol(f"{len(self._payload) - self._at} bytes too many in the payload")

    def rest(self) -> memoryview:
        """Everything that is left."""
        return self._payload[self._skip(len(self._payload) - self._at) :]

    def _skip(self, n: int) -> int:
        start = self._at
        self._at += n
        if self._at > len(self._payload):
            raise LinkProtocol("the payload is too short")
        return start


_MODE = struct.Struct("<B")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")


def pack(layout: struct.Struct, *values: float) -> bytes:
    """Fields as a struct describes them; LimitError where a number does not fit its field."""
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise LimitError(f"{values} do not fit the link's fields: {error}") from error


def text(value: str, length: struct.Struct) -> bytes:
    """A string with its length, as `Reader.text` takes it."""
    data = value.encode()
    return pack(length, len(data)) + data


def bitmap(mask: Mask) -> NDArray[np.uint8]:
    """Booleans as bits, bit 0 of byte 0 first."""
    return np.packbits(mask, bitorder="little")


def selection(cells: Addresses | None, size: int) -> list[Buffer]:
    """The shortest encoding of a selection of cells; None means all.

    Raises:
        ConfigError: The addresses are not strictly ascending, or the array has no such cell.
    """
    if cells is None:
        return [b"\0"]
    n = cells.size
    if not ascending(cells, size):
        raise ConfigError(f"cells must be strictly ascending addresses below {size}")
    if n == size:
        return [b"\0"]
    as_bitmap = 1 + (size + 7) // 8
    short = n < 1 << 16 and (n == 0 or cells.item(-1) < 1 << 16)
    if as_bitmap <= (3 + 2 * n if short else 5 + 4 * n):
        mask = np.zeros(size, np.bool_)
        mask[cells] = True
        return [b"\1", bitmap(mask)]
    if short:
        return [_COUNT16.pack(2, n), cells.astype("<u2")]
    return [_COUNT32.pack(3, n), cells.astype("<u4")]
