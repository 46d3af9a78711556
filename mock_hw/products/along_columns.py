"""Products of plain vectors, along the columns of a tile."""

from __future__ import annotations

import numpy as np

from cimlab.mock_hw.outer import STRIP
from cimlab.mock_hw.philox import U32, U64
from cimlab.mock_hw.products.plan import (
    LOW,
    TOP,
    ZERO,
    fused,
    input_codes,
    outer,
    pair_code,
    units_of_codes,
    unpacked,
)
from cimlab.mock_hw.threefry import normal_pair, threefry

FEW = 64
"""Plain vectors of a block."""


@fused
def _codes_of_columns(count, root, k0, k1, slope, noise, offset, z, total):  # type: ignore[no-untyped-def]
    """ADC codes of one vector, in place of its sums, total (columns,); z (columns,) is scratch."""
    low, high = U32(count & LOW), U32(count >> U64(32))
    for j in range(k0.size):
        u, w = threefry(low, high, k0[j], k1[j])
        z[2 * j], z[2 * j + 1] = normal_pair(u, w)
    for c in range(total.size):
        code = (offset[c] + root * noise[c] * z[c]) + total[c] * slope[c]
        total[c] = min(max(np.rint(code), ZERO), TOP)


@fused
def _columns_out(p, t, b, codes, units, weights, targets, constant, out, marks):  # type: ignore[no-untyped-def]
    """What the plan wants of one vector's codes (columns,); returns how many of pairs clipped."""
    clips = np.int32(0)
    if p.pairs:
        place = b * p.outputs + p.first
        sums, weight, unit = out[0, 0, place : place + constant.size], weights[t], units[t]
        if t == 0:
            for k in range(sums.size):
                sums[k] = constant[k]
        for j in range(p.cols // 2):
            k = targets[t, j]
            if k >= 0:
                plus, minus = codes[2 * j], codes[2 * j + 1]
                pair = pair_code(plus, weight[2 * j], minus, weight[2 * j + 1])
                sums[k] = sums[k] + pair * unit
                clips = np.int32(clips + (plus == TOP) + (minus == TOP))
    else:
        current, mark, lsb = out[t, b], marks[t, b], units[t]
        for c in range(p.cols):
            current[c] = codes[c] * lsb
            mark[c] = codes[c] == TOP
    return clips


@fused
def _convert_columns(  # type: ignore[no-untyped-def]
    p,
    tiles,
    t,
    b0,
    nb,
    sums,
    root,
    front,
    keys,
    vectors,
    units,
    weights,
    targets,
    constant,
    clipped,
    out,
    marks,
):
    """ADC of a block's sums (vectors, columns) of plain vectors, and what the plan wants of it."""
    tile = tiles[t]
    pair0, skip = p.col0 // 2, p.col0 % 2
    pairs = (p.col0 + p.cols + 1) // 2 - pair0
    start, end = 2 * pair0, 2 * (pair0 + pairs)
    k0, k1 = keys[tile, 0, pair0 : pair0 + pairs], keys[tile, 1, pair0 : pair0 + pairs]
    slope, noise = front[tile, 0, start:end], front[tile, 1, start:end]
    offset = front[tile, 2, start:end]
    total, z = np.zeros(2 * pairs, np.float32), np.empty(2 * pairs, np.float32)
    for b in range(nb):
        for c in range(p.cols):
            total[skip + c] = sums[b, c]
        count = vectors[p.kind, tile] + U64(b0 + b)
        _codes_of_columns(count, root[b], k0, k1, slope, noise, offset, z, total)
        clips = _columns_out(
            p, t, b0 + b, total[skip:], units, weights, targets, constant, out, marks
        )
        if p.pairs:
            clipped[t] += clips


@fused
def _plain_inputs(x, p, t, b0, nb, unit, floor, matrix, root):  # type: ignore[no-untyped-def]
    """Input codes (vectors, rows) of a block of plain vectors, and their lengths (vectors,)."""
    present = min(p.group, p.channels - t * p.group)
    wrong = 0
    for b in range(nb):
        start = t * p.tile_step + (b0 + b) * p.image_step
        line = matrix[b]
        wrong += input_codes(x[start : start + present], 1, unit, line[:present])
        line[present:] = ZERO
        power = np.int32(0)  # in integers, so that the order does not matter
        for r in range(present):
            power = np.int32(power + np.int32(line[r]) * np.int32(line[r]))
        root[b] = np.sqrt(np.float32(power) + floor)
    return wrong


@fused
def columns(  # type: ignore[no-untyped-def]
    x,
    plan,
    g,
    front,
    keys,
    vectors,
    unit,
    lsb,
    out,
    marks,
    weights,
    scales,
    targets,
    constant,
    clipped,
):
    """The same as `lanes` for plain vectors, along a tile's columns."""
    p, places, tiles = unpacked(plan)
    x, unit = x.ravel(), np.float32(unit)
    units, weights = units_of_codes(tiles, lsb, weights, scales)
    most, line = min(p.images, FEW), -(-p.cols // STRIP) * STRIP
    # arrays of their own: of parts of one the compiler would not know that they do not overlap
    matrix, root = np.empty((most, p.group), np.float32), np.empty(most, np.float32)
    sums, at = np.empty((most, line), np.float32), np.empty(p.group, np.int64)
    step = np.empty(4, np.int64)
    padded = np.empty((p.group if line > p.cols else 0, line), np.float32)
    wrong = 0
    for b0 in range(0, p.images, most):
        nb = min(most, p.images - b0)
        for t in range(tiles.size):
            wrong += _plain_inputs(x, p, t, b0, nb, unit, front[tiles[t], 3, 0], matrix, root)
            if wrong and p.strict:
                return wrong
            if padded.size:  # whole strips, so that nothing beyond the chip is read
                for r in range(p.group):
                    for c in range(p.cols):
                        padded[r, c] = g[places[t], p.row0 + r, p.col0 + c]
                cells, first, next_row = padded.ravel(), 0, line
            else:
                first = (places[t] * g.shape[1] + p.row0) * g.shape[2] + p.col0
                cells, next_row = g.ravel(), g.shape[2]
            for r in range(p.group):
                at[r] = first + r * next_row
            outer(matrix.ravel(), 0, 1, p.group, nb, cells, at, p.cols, sums.ravel(), line, step)
            _convert_columns(
                p,
                tiles,
                t,
                b0,
                nb,
                sums,
                root,
                front,
                keys,
                vectors,
                units,
                weights,
                targets,
                constant,
                clipped,
                out,
                marks,
            )
    for t in range(tiles.size):
        vectors[p.kind, tiles[t]] += U64(p.images)
    return wrong
