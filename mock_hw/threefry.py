"""Normals of the converters' noise: Threefry-2x32-20 (Salmon et al., SC'11) and Box-Muller.

Every pair of converters has a key of its own, and its conversions are counted: a normal is a pure
function of (key, counter), whatever the thread count and however a batch is cut. Threefry is
additions, rotations and exclusive-ors only, so all lanes of a vector unit draw at once, and one
call gives just the two words that two normals need. (`philox` serves the cells: four words an
event, for few cells at a time.)

All of this is meant for loops without branches or library calls, which LLVM vectorises: scalars
are viewed, not cast, and logarithm and sine are polynomials (Cephes, single precision).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cimlab.mock_hw.philox import U32

_PARITY = U32(0x1BD11BDA)
_HALF_ROOT = np.int32(0x3F3504F3)  # sqrt(1/2), as bits


@numba.njit(inline="always")
def _round(x0, x1, left):  # type: ignore[no-untyped-def]
    x0 = U32(x0 + x1)
    return x0, U32(U32(x1 << U32(left)) | U32(x1 >> U32(32 - left))) ^ x0


@numba.njit(inline="always")
def _even(x0, x1):  # type: ignore[no-untyped-def]
    x0, x1 = _round(x0, x1, 13)
    x0, x1 = _round(x0, x1, 15)
    x0, x1 = _round(x0, x1, 26)
    return _round(x0, x1, 6)


@numba.njit(inline="always")
def _odd(x0, x1):  # type: ignore[no-untyped-def]
    x0, x1 = _round(x0, x1, 17)
    x0, x1 = _round(x0, x1, 29)
    x0, x1 = _round(x0, x1, 16)
    return _round(x0, x1, 24)


@numba.njit(inline="always")
def threefry(c0, c1, k0, k1):  # type: ignore[no-untyped-def]
    """Two 32-bit words of one counter (uint32 scalars)."""
    k2 = U32(k0 ^ k1 ^ _PARITY)
    x0, x1 = _even(U32(c0 + k0), U32(c1 + k1))
    x0, x1 = _odd(U32(x0 + k1), U32(x1 + U32(k2 + U32(1))))
    x0, x1 = _even(U32(x0 + k2), U32(x1 + U32(k0 + U32(2))))
    x0, x1 = _odd(U32(x0 + k0), U32(x1 + U32(k1 + U32(3))))
    x0, x1 = _even(U32(x0 + k1), U32(x1 + U32(k2 + U32(4))))
    return U32(x0 + k2), U32(x1 + U32(k0 + U32(5)))


@numba.njit(inline="always")
def normal_pair(u, w):  # type: ignore[no-untyped-def]
    """Two normals from two words (Box-Muller); |z| <= 6.7: the smallest uniform is 2**-33."""
    uniform = np.float32(u) * np.float32(2.0**-32) + np.float32(2.0**-33)
    # log(uniform) = exponent ln 2 + log(mantissa), mantissa in sqrt(1/2) .. sqrt(2)
    shifted = np.int32(np.float32(uniform).view(np.int32) - _HALF_ROOT)
    exponent = np.float32(shifted >> np.int32(23))
    mantissa = np.int32((shifted & np.int32(0x007FFFFF)) + _HALF_ROOT).view(np.float32)
    x = mantissa - np.float32(1.0)
    p = np.float32(7.0376836292e-2)
    p = p * x + np.float32(-1.1514610310e-1)
    p = p * x + np.float32(1.1676998740e-1)
    p = p * x + np.float32(-1.2420140846e-1)
    p = p * x + np.float32(1.4249322787e-1)
    p = p * x + np.float32(-1.6668057665e-1)
    p = p * x + np.float32(2.0000714765e-1)
    p = p * x + np.float32(-2.4999993993e-1)
    p = p * x + np.float32(3.3333331174e-1)
    p = p * x + np.float32(-0.5)
    p = p * x + np.float32(1.0)
    log = p * x + exponent * np.float32(0.69314718056)
    radius = np.sqrt(max(np.float32(-2.0) * log, np.float32(0.0)))
    # the angle: the top two bits choose the quadrant, the rest lies in -pi/4 .. pi/4
    f = np.float32(np.int32(U32(w << U32(2)))) * np.float32(np.pi / 4 * 2.0**-31)
    f2 = f * f
    s = np.float32(-1.9515295891e-4)
    s = s * f2 + np.float32(8.3321608736e-3)
    s = s * f2 + np.float32(-1.6666654611e-1)
    s = (s * f2 + np.float32(1.0)) * f
    c = np.float32(2.443315711809948e-5)
    c = c * f2 + np.float32(-1.388731625493765e-3)
    c = c * f2 + np.float32(4.166664568298827e-2)
    c = c * f2 + np.float32(-0.5)
    c = c * f2 + np.float32(1.0)
    swap = (w & U32(0x40000000)) != U32(0)
    top = np.float32(radius).view(np.int32) | np.int32(w & U32(0x80000000))
    signed = np.int32(top).view(np.float32)
    return signed * (s if swap else c), signed * (c if swap else -s)


@numba.njit(cache=True, nogil=True)
def _key_words(key, stream, keys):  # type: ignore[no-untyped-def]
    for i in range(keys.shape[1]):
        keys[0, i], keys[1, i] = threefry(U32(i), U32(stream), key[0], key[1])


def pair_keys(
    key: NDArray[np.uint32], stream: int, tiles: int, converters: int
) -> NDArray[np.uint32]:
    """Keys of the pairs of a chip's converters, (tiles, 2, pairs), from the seed's key."""
    pairs = (converters + 1) // 2
    keys = np.empty((2, tiles * pairs), U32)
    _key_words(key, stream, keys)
    return np.ascontiguousarray(keys.reshape(2, tiles, pairs).transpose(1, 0, 2))
