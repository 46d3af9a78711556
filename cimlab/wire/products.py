"""Payloads of the verbs that multiply (docs/wire.md 3.6, 3.9, 3.10).

Codes are written and read in place: a request packs into pieces, a payload unpacks into views.
Unpacking checks form (LinkProtocol); whether the array has it and stands it is the service's.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Mask, Unfold, Window
from cimlab.core.errors import LimitError, LinkProtocol

from .fields import Reader, bitmap, pack
from .frames import Buffer

_WINDOW = struct.Struct("<HHHHH")
_U8 = struct.Struct("<B")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_MAP = struct.Struct("<HHHBBBBBBBB")

UNFOLD, TRANSPOSED = 1, 2
"""Flags of VMM; PAIRS has the first."""
WEIGHT_MAX = 65536.0
"""Largest magnitude of a column's weight; sensible ones are near 1."""


@dataclass(frozen=True, slots=True)
class Vmm:
    """Multiply; codes (tiles, batch, rows or cols), or (batch, channels, height, width)."""

    window: Window
    codes: NDArray[np.uint8]
    unfold: Unfold | None = None
    transposed: bool = False

    @property
    def flags(self) -> int:
        """Flags of the header."""
        return (UNFOLD if self.unfold else 0) | (TRANSPOSED if self.transposed else 0)

    @property
    def answer_shape(self) -> tuple[int, int, int]:
        """(tiles, vectors, outputs) of the answer."""
        w = self.window
        if self.unfold is None:
            vectors = self.codes.shape[1]
        else:
            vectors = self.codes.shape[0] * _positions(self.codes.shape, self.unfold)
        return len(w.tiles), vectors, w.n_rows if self.transposed else w.n_cols

    def pack(self) -> list[Buffer]:
        """The payload."""
        shape = self.codes.shape
        head = _window(self.window)
        if self.unfold is None:
            head.append(pack(_U32, shape[1]))
        else:
            head += _map(shape, self.unfold)
        return [*head, np.ascontiguousarray(self.codes)]

    @classmethod
    def unpack(cls, payload: memoryview, flags: int) -> Vmm:
        """From a payload; the codes are a read-only view of it."""
        reader = Reader(payload)
        window = _read_window(reader)
        transposed, unfold = bool(flags & TRANSPOSED), None
        (batch,) = reader.unpack(_U32)
        if flags == UNFOLD | TRANSPOSED:
            raise LinkProtocol("flags that exclude each other")
        if flags & UNFOLD:
            size, unfold = _read_map(reader)
            shape: tuple[int, ...] = (batch, *size)
        else:
            driven = window.n_cols if transposed else window.n_rows
            shape = (len(window.tiles), batch, driven)
        codes = reader.array(np.uint8, math.prod(shape)).reshape(shape)
        reader.end()
        return cls(window, codes, unfold, transposed)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Multiply, and answer with one number a pair of columns.

    Attributes:
        windows: Where: whole pairs of columns.
        wanted: For each window, the pairs that are, (tiles, pairs).
        codes: (vectors, inputs), or (images, channels, height, width).
        unfold: How maps are cut.
    """

    windows: tuple[Window, ...]
    wanted: tuple[Mask, ...]
    codes: NDArray[np.uint8]
    unfold: Unfold | None = None

    @property
    def flags(self) -> int:
        """Flags of the header."""
        return UNFOLD if self.unfold else 0

    @property
    def answer_shape(self) -> tuple[int, int, int]:
        """(images, wanted pairs, positions) of the answer."""
        positions = 1 if self.unfold is None else _positions(self.codes.shape, self.unfold)
        return len(self.codes), sum(int(np.count_nonzero(w)) for w in self.wanted), positions

    @property
    def tiles(self) -> int:
        """Tiles of all windows together."""
        return sum(len(window.tiles) for window in self.windows)

    def pack(self) -> list[Buffer]:
        """The payload."""
        return [self.head(), np.ascontiguousarray(self.codes)]

    def head(self) -> bytes:
        """The payload up to the codes."""
        shape = self.codes.shape
        head: list[Buffer] = [pack(_U8, len(self.windows))]
        for window, wanted in zip(self.windows, self.wanted, strict=True):
            head += [*_window(window), bitmap(wanted)]
        if self.unfold is None:
            head += [pack(_U32, shape[0]), pack(_U16, shape[1])]
        else:
            head += _map(shape, self.unfold)
        return b"".join(cast("list[bytes]", head))

    @classmethod
    def unpack(cls, payload: memoryview, flags: int) -> Pairs:
        """From a payload; the codes are a read-only view of it."""
        reader, windows, wanted, unfold = Reader(payload), [], [], None
        (n,) = reader.unpack(_U8)
        for _ in range(n):
            window = _read_window(reader)
            if window.cols[0] % 2 or window.cols[1] % 2:
                raise LinkProtocol("columns that are not whole pairs")
            shape: tuple[int, ...] = (len(window.tiles), window.n_cols // 2)
            windows.append(window)
            wanted.append(reader.bitmap(math.prod(shape)).reshape(shape))
        if not windows:
            raise LinkProtocol("pairs of no window")
        (batch,) = reader.unpack(_U32)
        if flags & UNFOLD:
            size, unfold = _read_map(reader)
            shape = (batch, *size)
        else:
            shape = (batch, *reader.unpack(_U16))
        codes = reader.array(np.uint8, math.prod(shape)).reshape(shape)
        reader.end()
        return cls(tuple(windows), tuple(wanted), codes, unfold)


def pack_pairs(numbers: NDArray[np.int16], clipped: NDArray[np.int64]) -> list[Buffer]:
    """The answer to Pairs: numbers -256 .. 255, and how many conversions clipped, (tiles,)."""
    return [clipped.astype("<u4"), numbers.astype(np.uint8), bitmap(numbers < 0)]


def unpack_pairs(
    payload: memoryview, shape: tuple[int, ...], tiles: int
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """From the answer to Pairs: numbers in that shape, clipped (tiles,)."""
    reader, n = Reader(payload), math.prod(shape)
    clipped = reader.array("<u4", tiles).astype(np.int64)
    numbers = reader.array(np.uint8, n).astype(np.int16)
    numbers -= np.left_shift(reader.bitmap(n), 8, dtype=np.int16)
    reader.end()
    return numbers.reshape(shape), clipped


def pairs_length(n: int, tiles: int) -> int:
    """Bytes of the answer with so many numbers."""
    return 4 * tiles + n + (n + 7) // 8


def pack_weights(weights: NDArray[np.float32]) -> list[Buffer]:
    """Payload of WEIGHTS."""
    return [weights.astype("<f4")]


def unpack_weights(payload: memoryview, tiles: int, cols: int) -> NDArray[np.float32]:
    """From the payload of WEIGHTS: (tiles, cols)."""
    reader = Reader(payload)
    weights = reader.array("<f4", tiles * cols).astype(np.float32).reshape(tiles, cols)
    reader.end()
    # written so that NaN fails it
    if not (np.abs(weights) <= WEIGHT_MAX).all():
        raise LimitError(f"weights of columns must lie in -{WEIGHT_MAX:g} .. {WEIGHT_MAX:g}")
    return weights


def power_on_weights(tiles: int, cols: int) -> NDArray[np.float32]:
    """What WEIGHTS are before they are set: +1 and -1 in turn, (tiles, cols)."""
    return np.where(np.arange(tiles * cols) % cols % 2, -1, 1).astype(np.float32).reshape(-1, cols)


def _positions(shape: tuple[int, ...], unfold: Unfold) -> int:
    """Vectors that a map is cut into."""
    return math.prod(unfold.output(*shape[2:]))


def _window(w: Window) -> list[Buffer]:
    tiles = np.array(w.tiles, "<u2")
    return [pack(_WINDOW, *w.rows, *w.cols, tiles.size), tiles]


def _read_window(reader: Reader) -> Window:
    row0, row1, col0, col1, n = reader.unpack(_WINDOW)
    if row0 >= row1 or col0 >= col1 or not n:
        raise LinkProtocol("an empty window")
    return Window(tuple(reader.array("<u2", n).tolist()), (row0, row1), (col0, col1))


def _map(shape: tuple[int, ...], u: Unfold) -> list[Buffer]:
    sizes = pack(_MAP, *shape[1:], *u.kernel, *u.stride, *u.padding, *u.dilation)
    return [pack(_U32, shape[0]), sizes]


def _read_map(reader: Reader) -> tuple[tuple[int, int, int], Unfold]:
    """Channels, height and width, and how the map is cut."""
    c, h, w, *geometry = reader.unpack(_MAP)
    kernel, stride, padding, dilation = (tuple(geometry[i : i + 2]) for i in (0, 2, 4, 6))
    if not (c and all((*kernel, *stride, *dilation))):
        raise LinkProtocol("a feature map or a kernel of size 0")
    unfold = Unfold(kernel, stride, padding, dilation)
    if min(unfold.output(h, w)) < 1:
        raise LinkProtocol("the kernel is larger than the feature map")
    return (c, h, w), unfold
