"""Compiled pulses, for the models' own `pulse` and for programming loops beside the chip.

Loops run over short blocks without branches or library calls, so that LLVM vectorises them; the
exponential is a polynomial (Cephes, single precision), the same bits wherever it is used.
"""

from __future__ import annotations

import numba
import numpy as np

RATE_MAX = 10.0
"""Natural logarithm of the largest rate: beyond this a pulse goes all the way."""


@numba.njit(cache=True, nogil=True)
def exponential(n, x, bits, power):  # type: ignore[no-untyped-def]
    """x[i] = exp(x[i]) for x in -87 .. 88; bits is the int32 view of the scratch power."""
    for i in range(n):
        clipped = max(x[i], np.float32(-87.0))
        whole = np.rint(clipped * np.float32(1.44269504088896341))
        r = clipped - whole * np.float32(0.693359375)
        r = r - whole * np.float32(-2.12194440e-4)
        p = np.float32(1.9875691500e-4)
        p = p * r + np.float32(1.3981999507e-3)
        p = p * r + np.float32(8.3334519073e-3)
        p = p * r + np.float32(4.1665795894e-2)
        p = p * r + np.float32(1.6666665459e-1)
        p = p * r + np.float32(5.0000001201e-1)
        x[i] = p * r * r + r + np.float32(1.0)
        bits[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    for i in range(n):
        x[i] *= power[i]


@numba.njit(cache=True, nogil=True)
def brram_block(n, g, v, traits, z, law, x, bits, power):  # type: ignore[no-untyped-def]
    """One pulse v[i] of each of n bulk RRAM cells: g[i] moves; x, power are scratch.

    traits (4, n) and law as in `devices.brram`; z (n,) standard normals.
    """
    set_slope, reset_slope, set_offset, reset_offset, c2c = law[0], law[1], law[2], law[3], law[4]
    # both sides of every choice are loaded, so that a choice is a selection and no branch
    for i in range(n):
        up = v[i] > np.float32(0.0)
        set_shift = traits[0, i] + set_offset
        reset_shift = traits[1, i] + reset_offset
        shift = set_shift if up else reset_shift
        slope = set_slope if up else reset_slope
        x[i] = min(v[i] * slope + shift + z[i] * c2c, np.float32(RATE_MAX))
    exponential(n, x, bits, power)
    for i in range(n):
        x[i] = -x[i]
    exponential(n, x, bits, power)
    for i in range(n):
        low, high = traits[2, i], traits[3, i]
        bound = high if v[i] > np.float32(0.0) else low
        g[i] = bound + (g[i] - bound) * x[i]


@numba.njit(cache=True, nogil=True)
def brram_pulse(g, v, traits, z, law, bits, power, out):  # type: ignore[no-untyped-def]
    """Conductances out (n,) after one pulse a cell; power is scratch (n,), bits its int32 view."""
    x = np.empty(g.size, np.float32)
    for i in range(g.size):
        out[i] = g[i]
    brram_block(g.size, out, v, traits, z, law, x, bits, power)
