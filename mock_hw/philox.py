"""Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11), and normals from it.

A number is a pure function of (key, counter): the same whatever the thread count, the order of
calls or the number of retries, and a run resumes by keeping its counters. The 128-bit counter is
(word, event, owner, stream): which group of four numbers, which event of its owner (a cell's
pulse, a tile's vector), whose, and what for.

Loops run over short blocks in structure-of-arrays form, without branches or library calls, so
that LLVM vectorises them: logarithm and sine are polynomials (Cephes, single precision).
"""

from __future__ import annotations

from enum import IntEnum

import numba
import numpy as np
from numpy.typing import NDArray

U32 = np.uint32
U64 = np.uint64
_M0, _M1 = U64(0xD2511F53), U64(0xCD9E8D57)
_W0, _W1 = U32(0x9E3779B9), U32(0xBB67AE85)
_MASK, _32 = U64(0xFFFFFFFF), U64(32)


class Stream(IntEnum):
    """What a random number is for; streams never share numbers."""

    BORN = 1
    STUCK = 2
    CONVERTERS = 3
    READ = 4
    VMM = 5
    VMM_TRANSPOSED = 6
    PULSE = 7
    RELAX = 8


def key_of(seed: int) -> NDArray[np.uint32]:
    """The 64-bit key of a seed, as two words."""
    return np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], U32)


@numba.njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Four 32-bit words of one counter (uint32 scalars)."""
    for _ in range(10):
        p0 = U64(c0) * _M0
        p1 = U64(c2) * _M1
        c0, c1, c2, c3 = (
            U32(p1 >> _32) ^ c1 ^ k0,
            U32(p1 & _MASK),
            U32(p0 >> _32) ^ c3 ^ k1,
            U32(p0 & _MASK),
        )
        k0 = U32(k0 + _W0)
        k1 = U32(k1 + _W1)
    return c0, c1, c2, c3


@numba.njit(inline="always")
def box_muller(n, u, w, bits, out_cos, out_sin):  # type: ignore[no-untyped-def]
    """Two normals each from the words u[i], w[i]; bits is the int32 view of out_cos.

    |z| <= 6.7: the smallest uniform is 2**-33.
    """
    scale = np.float32(2.0**-32)
    for i in range(n):
        out_cos[i] = np.float32(u[i]) * scale + np.float32(2.0**-33)
    for i in range(n):
        # log(x) = exponent ln 2 + log(mantissa), mantissa in sqrt(1/2) .. sqrt(2)
        shifted = bits[i] - np.int32(0x3F3504F3)
        exponent = np.float32(shifted >> np.int32(23))
        bits[i] = (shifted & np.int32(0x007FFFFF)) + np.int32(0x3F3504F3)
        out_sin[i] = exponent
    for i in range(n):
        x = out_cos[i] - np.float32(1.0)
        x2 = x * x
        p = np.float32(7.0376836292e-2)
        p = p * x + np.float32(-1.1514610310e-1)
        p = p * x + np.float32(1.1676998740e-1)
        p = p * x + np.float32(-1.2420140846e-1)
        p = p * x + np.float32(1.4249322787e-1)
        p = p * x + np.float32(-1.6668057665e-1)
        p = p * x + np.float32(2.0000714765e-1)
        p = p * x + np.float32(-2.4999993993e-1)
        p = p * x + np.float32(3.3333331174e-1)
        log = x + x2 * (p * x - np.float32(0.5)) + out_sin[i] * np.float32(0.69314718056)
        radius = np.sqrt(max(np.float32(-2.0) * log, np.float32(0.0)))
        # the angle: the top two bits choose the quadrant, the rest lies in -pi/4 .. pi/4
        f = np.float32(np.int32(w[i] << U32(2))) * np.float32(np.pi / 4 * 2.0**-31)
        f2 = f * f
        s = f + f * f2 * (
            np.float32(-1.6666654611e-1)
            + f2 * (np.float32(8.3321608736e-3) + f2 * np.float32(-1.9515295891e-4))
        )
        c = (
            np.float32(1.0)
            - np.float32(0.5) * f2
            + f2
            * f2
            * (
                np.float32(4.166664568298827e-2)
                + f2 * (np.float32(-1.388731625493765e-3) + f2 * np.float32(2.443315711809948e-5))
            )
        )
        swap = (w[i] & U32(0x40000000)) != U32(0)
        sign = np.float32(1.0) - np.float32(2.0) * np.float32(w[i] >> U32(31))
        out_cos[i] = radius * (s if swap else c) * sign
        out_sin[i] = radius * (c if swap else -s) * sign


BLOCK = 256
"""Counters worked at a time: scratch stays in the first-level cache."""


@numba.njit(cache=True, nogil=True)
def first_normals(n, cells, events, stream, key0, key1, words, z):  # type: ignore[no-untyped-def]
    """z[0, :n] = the first normal of each cell's next event, which is then counted.

    cells and events are uint32; words and z (2, n) are scratch.
    """
    u, w, first, second = words[0], words[1], z[0], z[1]
    for i in range(n):
        u[i], w[i], _c, _d = philox(U32(0), events[i], cells[i], U32(stream), key0, key1)
    for i in range(n):
        events[i] += U32(1)
    box_muller(n, u, w, first.view(np.int32), first, second)


@numba.njit(cache=True, nogil=True)
def cell_words(cells, events, word, stream, key, out):  # type: ignore[no-untyped-def]
    """Words of one event a cell: out (4, n) uint32 from cells (n,) and events (n,)."""
    k0, k1 = key[0], key[1]
    for i in range(cells.size):
        a, b, c, d = philox(U32(word), U32(events[i]), U32(cells[i]), U32(stream), k0, k1)
        out[0, i] = a
        out[1, i] = b
        out[2, i] = c
        out[3, i] = d


@numba.njit(cache=True, nogil=True)
def normals_of(words, bits, out):  # type: ignore[no-untyped-def]
    """Normals out (4, n) float32 from words (4, n); bits is the int32 view of out."""
    n = words.shape[1]
    for pair in (0, 2):
        for start in range(0, n, BLOCK):
            m = min(BLOCK, n - start)
            end = start + m
            box_muller(
                m,
                words[pair, start:end],
                words[pair + 1, start:end],
                bits[pair, start:end],
                out[pair, start:end],
                out[pair + 1, start:end],
            )


class CellDraws:
    """Random numbers of one event of each of n cells (`devices.base.Draws`).

    Args:
        key: The seed's key.
        stream: What the numbers are for.
        cells: Addresses, (n,).
        events: How many events of this stream each cell had before, (n,).
    """

    def __init__(
        self,
        key: NDArray[np.uint32],
        stream: Stream,
        cells: NDArray[np.int64],
        events: NDArray[np.uint32],
    ) -> None:
        self._key, self._stream, self._cells, self._events = key, stream, cells, events
        self._normals: dict[int, NDArray[np.float32]] = {}

    def _words(self, word: int) -> NDArray[np.uint32]:
        out = np.empty((4, self._cells.size), U32)
        cell_words(self._cells, self._events, word, int(self._stream), self._key, out)
        return out

    def normal(self, k: int) -> NDArray[np.float32]:
        """The k-th standard normal of every cell, (n,)."""
        group, lane = divmod(k, 4)
        if group not in self._normals:
            out = np.empty((4, self._cells.size), np.float32)
            normals_of(self._words(2 * group), out.view(np.int32), out)
            self._normals[group] = out
        normals: NDArray[np.float32] = self._normals[group][lane]
        return normals

    def uniform(self, k: int) -> NDArray[np.float32]:
        """The k-th uniform in (0, 1) of every cell, (n,); independent of the normals."""
        group, lane = divmod(k, 4)
        words = self._words(2 * group + 1)[lane] >> U32(8)
        scaled = (words.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
        # the largest of the 2**24 words rounds up to 1
        uniform: NDArray[np.float32] = np.minimum(scaled, np.float32(1 - 2.0**-24))
        return uniform
