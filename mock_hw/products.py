"""Products of a chip's tiles with their converters, compiled: activations in, currents out.

A block of vectors goes through everything while it lies in the cache: input codes, the product,
one normal an output (see `converters`), the ADC, and what the caller wants of the codes. The same
loops run in two orders: along the vectors (`lanes`), and along a tile's columns for few vectors
(`columns`). Between `inputs` and `outputs` the caller may let a library multiply instead.

Sums run over the rows in order, a fused multiply-add at a time (contraction is allowed, nothing
else is), so all of them give the same bits, however a batch is cut. What is added up after the
conversion is exact: codes have 8 bits, weights 16 (`wire.scaling.pair_weights`).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from cimlab.mock_hw.philox import U32, U64
from cimlab.mock_hw.threefry import normal_pair, threefry

LANES = 512
"""Vectors of a block, unless one image has more."""
PADDING = 16
"""Floats between the lines of a block, so that they do not all fall on the same cache sets."""
TOP = np.float32(255)
ZERO = np.float32(0)
LOW = U64(0xFFFFFFFF)
_fused = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


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


@_fused
def _unpacked(a):  # type: ignore[no-untyped-def]
    """An array costs a call less than its numbers one by one."""
    return Plan(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13],
        a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24],
    )  # fmt: skip


@_fused
def _codes(source, step, unit, codes):  # type: ignore[no-untyped-def]
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


@_fused
def _scratch(p, nb):  # type: ignore[no-untyped-def]
    """Floats that `_fill` needs for nb images."""
    lines = p.out_h + (p.kernel_h - 1) * p.dilation_h // p.stride_h
    return p.group * p.kernel_w * p.stride_h * lines * nb * p.out_w


@_fused
def _fill(x, p, t, b0, nb, unit, y, at):  # type: ignore[no-untyped-def]
    """Input codes of images b0 .. b0 + nb of tile t: lanes of row r begin at y[at[r]].

    Lanes run over (output row, image, output column), so that a step along the kernel's height is
    a step along the lanes: rows that differ in it alone overlap, and are laid out once.
    """
    run = nb * p.out_w
    wrong = 0
    if p.height == 1 and p.width == 1:
        line = np.empty(p.group, np.float32)
        for b in range(nb):
            start = t * p.tile_step + (b0 + b) * p.image_step
            present = min(p.group, p.channels - t * p.group)
            wrong += _codes(x[start : start + present], 1, unit, line[:present])
            line[present:] = ZERO
            column = y[b:]
            for k in range(p.group):
                column[k * nb] = line[k]
        for k in range(p.group):
            at[k] = k * nb
        return wrong
    lines = p.out_h + (p.kernel_h - 1) * p.dilation_h // p.stride_h
    for k in range(p.group):
        missing = t * p.group + k >= p.channels
        for kx in range(p.kernel_w):
            shift = kx * p.dilation_w - p.padding_w
            # outputs whose input column lies inside the map
            left = min(max(0, (p.stride_w - 1 - shift) // p.stride_w), p.out_w)
            right = max(min(p.out_w, (p.width - 1 - shift) // p.stride_w + 1), left)
            for phase in range(p.stride_h):
                place = ((k * p.kernel_w + kx) * p.stride_h + phase) * lines * run
                for ky in range(p.kernel_h):
                    if ky * p.dilation_h % p.stride_h == phase:
                        row = (k * p.kernel_h + ky) * p.kernel_w + kx
                        at[row] = place + ky * p.dilation_h // p.stride_h * run
                for j in range(lines):
                    iy = phase + j * p.stride_h - p.padding_h
                    target = y[place + j * run : place + (j + 1) * run]
                    if missing or iy < 0 or iy >= p.height:
                        target[:] = ZERO
                        continue
                    if left > 0 or right < p.out_w:
                        target[:] = ZERO
                    start = t * p.tile_step + b0 * p.image_step + (k * p.height + iy) * p.width
                    start += left * p.stride_w + shift
                    for b in range(nb):
                        source = x[start + b * p.image_step :]
                        piece = target[b * p.out_w + left : b * p.out_w + right]
                        wrong += _codes(source, p.stride_w, unit, piece)
    return wrong


@_fused
def _multiply(y, at, rows, g, m, total, power):  # type: ignore[no-untyped-def]
    """total[c, :m] = sum over rows of lanes times g[row, c]; power[:m] = sum of squares."""
    cols = g.shape[1]
    for c in range(cols):
        total[c, :m] = ZERO
    power[:m] = ZERO
    whole = rows - rows % 8
    for r in range(0, whole, 8):
        x0, x1 = y[at[r] : at[r] + m], y[at[r + 1] : at[r + 1] + m]
        x2, x3 = y[at[r + 2] : at[r + 2] + m], y[at[r + 3] : at[r + 3] + m]
        x4, x5 = y[at[r + 4] : at[r + 4] + m], y[at[r + 5] : at[r + 5] + m]
        x6, x7 = y[at[r + 6] : at[r + 6] + m], y[at[r + 7] : at[r + 7] + m]
        for c in range(cols):
            line = total[c]
            g0, g1, g2, g3 = g[r, c], g[r + 1, c], g[r + 2, c], g[r + 3, c]
            g4, g5, g6, g7 = g[r + 4, c], g[r + 5, c], g[r + 6, c], g[r + 7, c]
            for i in range(m):
                s = line[i] + x0[i] * g0 + x1[i] * g1 + x2[i] * g2 + x3[i] * g3
                line[i] = s + x4[i] * g4 + x5[i] * g5 + x6[i] * g6 + x7[i] * g7
        for i in range(m):
            s = power[i] + x0[i] * x0[i] + x1[i] * x1[i] + x2[i] * x2[i] + x3[i] * x3[i]
            power[i] = s + x4[i] * x4[i] + x5[i] * x5[i] + x6[i] * x6[i] + x7[i] * x7[i]
    for r in range(whole, rows):
        x0 = y[at[r] : at[r] + m]
        for c in range(cols):
            line, g0 = total[c], g[r, c]
            for i in range(m):
                line[i] += x0[i] * g0
        for i in range(m):
            power[i] += x0[i] * x0[i]


@_fused
def _convert_pair(m, ids, first, k0, k1, root, front, col, plus, minus):  # type: ignore[no-untyped-def]
    """ADC codes of two columns, in place of their sums; ids count from `first`, root = |x|."""
    base, high = U32(first & LOW), U32(first >> U64(32))
    slope0, noise0, offset0 = front[0, col], front[1, col], front[2, col]
    slope1, noise1, offset1 = front[0, col + 1], front[1, col + 1], front[2, col + 1]
    for i in range(m):
        low = U32(base + ids[i])
        u, w = threefry(low, U32(high + U32(low < base)), k0, k1)
        a, b = normal_pair(u, w)
        # chains, so that there is one way to contract them
        p = (offset0 + root[i] * noise0 * a) + plus[i] * slope0
        q = (offset1 + root[i] * noise1 * b) + minus[i] * slope1
        plus[i] = min(max(np.rint(p), ZERO), TOP)
        minus[i] = min(max(np.rint(q), ZERO), TOP)


@_fused
def _numbers(p, nb, ids):  # type: ignore[no-untyped-def]
    """Which vector of the block each lane is."""
    for oy in range(p.out_h):
        for b in range(nb):
            for ox in range(p.out_w):
                ids[(oy * nb + b) * p.out_w + ox] = U32((b * p.out_h + oy) * p.out_w + ox)


@_fused
def _outputs(  # type: ignore[no-untyped-def]
    p, t, tile, b0, nb, ids, front, keys, vectors, root, weights, total, clipped, acc, out, marks
):
    """ADC of a block's sums, total (columns, lanes), and what the plan wants of the codes."""
    m, positions = nb * p.out_h * p.out_w, p.out_h * p.out_w
    first = vectors[p.kind, tile] + U64(b0 * positions)
    pair0 = p.col0 // 2
    skip = p.col0 - 2 * pair0
    for j in range((p.col0 + p.cols + 1) // 2 - pair0):
        k0, k1 = keys[tile, 0, pair0 + j], keys[tile, 1, pair0 + j]
        plus, minus = total[2 * j], total[2 * j + 1]
        _convert_pair(m, ids, first, k0, k1, root, front[tile], 2 * (pair0 + j), plus, minus)
        if p.pairs:
            w0, w1, sums, count = weights[t, 2 * j], weights[t, 2 * j + 1], acc[j], 0
            for i in range(m):
                sums[i] = sums[i] + plus[i] * w0 + minus[i] * w1
                count += (plus[i] == TOP) + (minus[i] == TOP)
            clipped[t] += count
    if not p.pairs:
        for c in range(p.cols):
            lane, weight, count = total[skip + c], weights[tile, 0], 0
            place = (t * p.images + b0) * positions * p.cols + c
            for i in range(m):
                here = place + np.int64(ids[i]) * p.cols
                out[here] = lane[i] * weight
                marks[here] = lane[i] == TOP
                count += lane[i] == TOP
            clipped[t] += count


@_fused
def _deliver(p, b0, nb, acc, out):  # type: ignore[no-untyped-def]
    """Lanes to (image, output, row, column)."""
    positions = p.out_h * p.out_w
    for j in range(p.cols // 2):
        for b in range(nb):
            place = ((b0 + b) * p.outputs + p.first + j) * positions
            for oy in range(p.out_h):
                source = acc[j, (oy * nb + b) * p.out_w : (oy * nb + b + 1) * p.out_w]
                target = out[place + oy * p.out_w : place + (oy + 1) * p.out_w]
                for ox in range(p.out_w):
                    target[ox] = source[ox]


@_fused
def lanes(x, plan, tiles, g, front, keys, vectors, unit, weights, constant, clipped, out, marks):  # type: ignore[no-untyped-def]
    """All of a window's products, along the vectors; returns how many inputs were out of range.

    Args:
        x: Inputs, flat.
        plan: `Plan` as an array.
        tiles: (2, t): where each of the window's tiles is in g, and which tile it is.
        g: (tiles, rows, cols) S.
        front: (tiles, 3, columns): what turns a sum into an ADC code: slope, noise, offset.
        keys: (tiles, 2, pairs) of the converters' noise.
        vectors: (kinds, tiles) conversions so far; advanced here.
        unit: DAC codes a unit of x.
        weights: Output units a code: (t, cols) for pairs, else (tiles, 1).
        constant: (pairs,) in output units.
        clipped: (t,) conversions that clipped; added up here.
        out: (images, outputs, positions), or (t, vectors, cols), flat.
        marks: What clipped, as out; empty if sums of pairs are wanted.
    """
    p, unit = _unpacked(plan), np.float32(unit)
    positions = p.out_h * p.out_w
    most = max(1, min(p.images, LANES // positions))
    rows = p.group * p.kernel_h * p.kernel_w
    stride = most * positions + PADDING
    pairs = (p.col0 + p.cols + 1) // 2 - p.col0 // 2
    skip = p.col0 % 2
    y, at = np.empty(_scratch(p, most), np.float32), np.empty(rows, np.int64)
    total, power = np.zeros((2 * pairs, stride), np.float32), np.empty(stride, np.float32)
    acc, ids = np.empty((pairs * p.pairs, stride), np.float32), np.empty(stride, U32)
    wrong, numbered = 0, 0
    for b0 in range(0, p.images, most):
        nb = min(most, p.images - b0)
        m = nb * positions
        if numbered != nb:
            _numbers(p, nb, ids)
            numbered = nb
        for j in range(acc.shape[0]):
            acc[j, :m] = constant[j]
        for t in range(tiles.shape[1]):
            wrong += _fill(x, p, t, b0, nb, unit, y, at)
            if wrong and p.strict:
                return wrong
            cells = g[tiles[0, t], p.row0 : p.row0 + rows, p.col0 : p.col0 + p.cols]
            _multiply(y, at, rows, cells, m, total[skip:], power)
            for i in range(m):
                power[i] = np.sqrt(power[i])
            _outputs(
                p,
                t,
                tiles[1, t],
                b0,
                nb,
                ids,
                front,
                keys,
                vectors,
                power,
                weights,
                total,
                clipped,
                acc,
                out,
                marks,
            )
        if p.pairs:
            _deliver(p, b0, nb, acc, out)
    for t in range(tiles.shape[1]):
        vectors[p.kind, tiles[1, t]] += U64(p.images * positions)
    return wrong


@_fused
def columns(x, plan, tiles, g, front, keys, vectors, unit, weights, constant, clipped, out, marks):  # type: ignore[no-untyped-def]
    """The same as `lanes` for few plain vectors, along a tile's columns."""
    p, unit = _unpacked(plan), np.float32(unit)
    pair0, skip = p.col0 // 2, p.col0 % 2
    pairs = (p.col0 + p.cols + 1) // 2 - pair0
    total = np.zeros(2 * pairs, np.float32)
    y = np.zeros(p.group, np.float32)
    wrong = 0
    for t in range(tiles.shape[1]):
        tile = tiles[1, t]
        cells = g[tiles[0, t], p.row0 : p.row0 + p.group, p.col0 : p.col0 + p.cols]
        present = min(p.group, p.channels - t * p.group)
        y[present:] = ZERO
        k0, k1 = keys[tile, 0, pair0 : pair0 + pairs], keys[tile, 1, pair0 : pair0 + pairs]
        coefficients = front[tile, :, 2 * pair0 : 2 * (pair0 + pairs)]
        slope, noise, offset = coefficients[0], coefficients[1], coefficients[2]
        for b in range(p.images):
            start = t * p.tile_step + b * p.image_step
            wrong += _codes(x[start : start + present], 1, unit, y[:present])
            if wrong and p.strict:
                return wrong
            power = np.int64(0)
            for r in range(present):
                power += np.int32(y[r]) * np.int32(y[r])
            root = np.sqrt(np.float32(power))
            _one_product(y, cells, total[skip:])
            count = vectors[p.kind, tile] + U64(b)
            low, high = U32(count & LOW), U32(count >> U64(32))
            for j in range(pairs):
                u, w = threefry(low, high, k0[j], k1[j])
                n0, n1 = normal_pair(u, w)
                q0 = (offset[2 * j] + root * noise[2 * j] * n0) + total[2 * j] * slope[2 * j]
                q1 = (offset[2 * j + 1] + root * noise[2 * j + 1] * n1) + total[2 * j + 1] * slope[
                    2 * j + 1
                ]
                total[2 * j] = min(max(np.rint(q0), ZERO), TOP)
                total[2 * j + 1] = min(max(np.rint(q1), ZERO), TOP)
            code, clips = total[skip:], 0
            for c in range(p.cols):
                clips += code[c] == TOP
            clipped[t] += clips
            if p.pairs:
                place = b * p.outputs + p.first
                for j in range(pairs):
                    s = constant[j] if t == 0 else out[place + j]
                    out[place + j] = (
                        s
                        + code[2 * j] * weights[t, 2 * j]
                        + code[2 * j + 1] * weights[t, 2 * j + 1]
                    )
            else:
                place = (t * p.images + b) * p.cols
                current, mark = out[place : place + p.cols], marks[place : place + p.cols]
                lsb = weights[tile, 0]
                for c in range(p.cols):
                    current[c] = code[c] * lsb
                    mark[c] = code[c] == TOP
    for t in range(tiles.shape[1]):
        vectors[p.kind, tiles[1, t]] += U64(p.images)
    return wrong


@_fused
def _one_product(y, g, total):  # type: ignore[no-untyped-def]
    """total[c] = sum over rows of y[row] * g[row, c]."""
    rows, cols = g.shape
    total[:cols] = ZERO
    whole = rows - rows % 8
    for r in range(0, whole, 8):
        y0, y1, y2, y3 = y[r], y[r + 1], y[r + 2], y[r + 3]
        y4, y5, y6, y7 = y[r + 4], y[r + 5], y[r + 6], y[r + 7]
        g0, g1, g2, g3 = g[r], g[r + 1], g[r + 2], g[r + 3]
        g4, g5, g6, g7 = g[r + 4], g[r + 5], g[r + 6], g[r + 7]
        for c in range(cols):
            s = total[c] + y0 * g0[c] + y1 * g1[c] + y2 * g2[c] + y3 * g3[c]
            total[c] = s + y4 * g4[c] + y5 * g5[c] + y6 * g6[c] + y7 * g7[c]
    for r in range(whole, rows):
        for c in range(cols):
            total[c] += y[r] * g[r, c]


@_fused
def inputs(x, plan, t, b0, nb, unit, matrix, root):  # type: ignore[no-untyped-def]
    """Input codes of a block for a library's product; returns how many were out of range.

    matrix: (rows, lanes) for maps, (vectors, rows) for plain vectors; root: (lanes,) their lengths.
    """
    p, unit = _unpacked(plan), np.float32(unit)
    m = nb * p.out_h * p.out_w
    if p.height == 1 and p.width == 1:
        present = min(p.group, p.channels - t * p.group)
        wrong = 0
        for b in range(nb):
            start = t * p.tile_step + (b0 + b) * p.image_step
            line = matrix[b]
            wrong += _codes(x[start : start + present], 1, unit, line[:present])
            line[present:] = ZERO
            power = np.int64(0)
            for r in range(present):
                power += np.int32(line[r]) * np.int32(line[r])
            root[b] = np.sqrt(np.float32(power))
        return wrong
    rows = p.group * p.kernel_h * p.kernel_w
    y, at = np.empty(_scratch(p, nb), np.float32), np.empty(rows, np.int64)
    wrong = _fill(x, p, t, b0, nb, unit, y, at)
    root[:m] = ZERO
    for r in range(rows):
        source, line = y[at[r] : at[r] + m], matrix[r]
        for i in range(m):
            line[i] = source[i]
            root[i] += source[i] * source[i]
    for i in range(m):
        root[i] = np.sqrt(root[i])
    return wrong


@_fused
def outputs(  # type: ignore[no-untyped-def]
    plan,
    tiles,
    t,
    b0,
    nb,
    total,
    root,
    front,
    keys,
    vectors,
    weights,
    constant,
    clipped,
    acc,
    out,
    marks,
):
    """What follows a library's product, total (columns, lanes), of a block; see `lanes`.

    acc (pairs, lanes) carries the sums from the first of a block's tiles to the last.
    """
    p = _unpacked(plan)
    m = nb * p.out_h * p.out_w
    ids = np.empty(m, U32)
    _numbers(p, nb, ids)
    if p.pairs and t == 0:
        for j in range(acc.shape[0]):
            acc[j, :m] = constant[j]
    _outputs(
        p,
        t,
        tiles[1, t],
        b0,
        nb,
        ids,
        front,
        keys,
        vectors,
        root,
        weights,
        total,
        clipped,
        acc,
        out,
        marks,
    )
    if p.pairs and t == tiles.shape[1] - 1:
        _deliver(p, b0, nb, acc, out)
