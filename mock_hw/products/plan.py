"""What a product is to do, and the steps that both orders share."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from cimlab.mock_hw.outer import STRIP, strip_of_1, strip_of_4, strip_of_8
from cimlab.mock_hw.philox import U64

TOP = np.float32(255)
LEAST = np.float32(-256)
ZERO = np.float32(0)
LOW = U64(0xFFFFFFFF)
fused = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


class Plan(NamedTuple):
    """What a call does, in integers. A vector is a map of one pixel whose channels are rows."""

    images: int
    image_step: int
    """From one image to the next in x."""
    tile_step: int
    """From one tile's inputs to the next one's."""
    channels: int
    """Of all tiles together; those that the last tile lacks are 0 V."""
    group: int
    """Channels of a tile."""
    height: int
    width: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    padding_h: int
    padding_w: int
    dilation_h: int
    dilation_w: int
    out_h: int
    out_w: int
    row0: int
    col0: int
    cols: int
    pairs: int
    """1: weighted sums of pairs over the tiles; 0: every column's current and mark."""
    first: int
    """Place of the first pair's output among `outputs`."""
    outputs: int
    strict: int
    """1: inputs beyond the DAC's range are an error; 0: they drive one of its ends."""
    kind: int
    """Line of the vectors' counters: 0 forward, 1 transposed."""


PLANNED = len(Plan._fields)


@fused
def unpacked(a):  # type: ignore[no-untyped-def]
    """The plan, and of each of the window's tiles its place in g and its number on the chip.

    One array costs a call less than its numbers one by one.
    """
    plan = Plan(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13],
        a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24],
    )  # fmt: skip
    half = (a.size + PLANNED) // 2
    return plan, a[PLANNED:half], a[half:]


@fused
def sixteen_bits(number):  # type: ignore[no-untyped-def]
    """See `scaling.sixteen_bits`."""
    bits = np.float32(number).view(np.int32)
    return np.int32((bits + np.int32(0x80)) & np.int32(~0xFF)).view(np.float32)


@fused
def units_of_codes(tiles, lsb, weights, scales):  # type: ignore[no-untyped-def]
    """Output units a code, (t,), and the columns' weights, (t, cols) for pairs, else nothing."""
    units, out = np.empty(tiles.size, np.float32), np.empty(weights.shape, np.float32)
    for k in range(units.size):
        each = lsb[tiles[k]]
        if not weights.size:
            units[k] = np.float32(each)
            continue
        units[k] = sixteen_bits(np.float64(scales[k]) * each)
        for c in range(weights.shape[1]):
            out[k, c] = sixteen_bits(weights[k, c])
    return units, out


@fused
def pair_code(plus, w_plus, minus, w_minus):  # type: ignore[no-untyped-def]
    """A pair of ADC codes as one number, see `board.hal.PairHal`."""
    return min(max(np.rint(plus * w_plus + minus * w_minus), LEAST), TOP)


@fused
def input_codes(source, step, unit, codes):  # type: ignore[no-untyped-def]
    """DAC: codes[i] from source[i * step]; returns how many lay beyond the range."""
    wrong = 0
    if step == 1:  # a loop of its own, because it vectorises
        for i in range(codes.size):
            code = np.rint(source[i] * unit)
            wrong += not (code >= ZERO and code <= TOP)
            codes[i] = min(max(code, ZERO), TOP)
    else:
        for i in range(codes.size):
            code = np.rint(source[i * step] * unit)
            wrong += not (code >= ZERO and code <= TOP)
            codes[i] = min(max(code, ZERO), TOP)
    return wrong


@fused
def outer(s, s0, row_step, next_step, n, v, at, lanes, o, line, step):  # type: ignore[no-untyped-def]
    """o[k * line + i] = sum over rows r of s[s0 + r * row_step + k * next_step] * v[at[r] + i].

    k < n and i < lanes; up to a strip's end more lanes are read and written. step is scratch, (4,).
    """
    step[0], step[1], step[3] = row_step, next_step, line
    for i in range(0, lanes, STRIP):
        k = 0
        while k + 8 <= n:
            step[2] = k * line + i
            strip_of_8(s, s0 + k * next_step, step, v, at, i, o)
            k += 8
        while k + 4 <= n:
            step[2] = k * line + i
            strip_of_4(s, s0 + k * next_step, step, v, at, i, o)
            k += 4
        while k < n:
            step[2] = k * line + i
            strip_of_1(s, s0 + k * next_step, step, v, at, i, o)
            k += 1
