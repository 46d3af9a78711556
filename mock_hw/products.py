"""Products of a chip's tiles with their converters, compiled: activations in, currents out.

A block of vectors goes through everything while it lies in the cache: input codes, the product,
one normal an output (see `converters`), the ADC, and what the caller wants of the codes. The same
is done in two orders: along the vectors (`lanes`, for maps and narrow tiles) and along a tile's
columns (`columns`, for plain vectors).

Sums run over the rows in order, a fused multiply-add at a time (contraction is allowed, nothing
else is), so both give the same bits, however a batch is cut. What is added up after the
conversion is exact: codes have 8 bits, weights 16 (`wire.scaling.pair_weights`).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from cimlab.mock_hw.outer import STRIP, strip_of_1, strip_of_4, strip_of_8
from cimlab.mock_hw.philox import U32, U64
from cimlab.mock_hw.threefry import normal_pair, threefry

LANES = 512
"""Vectors of a block, unless one image has more."""
FEW = 64
"""Plain vectors of a block along the columns."""
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
def _weights_of_codes(tiles, lsb, weights, scales):  # type: ignore[no-untyped-def]
    """Output units a code, (t, cols) for pairs (see `scaling.pair_weights`), else (t, 1)."""
    t = tiles.shape[1]
    out = np.empty((t, max(1, weights.shape[1])), np.float32)
    for k in range(t):
        each = lsb[tiles[1, k]]
        if not weights.size:
            out[k, 0] = np.float32(each)
            continue
        scale = np.float32(np.float64(scales[k]) * each)
        for c in range(weights.shape[1]):
            bits = np.float32(weights[k, c] * scale).view(np.int32)
            out[k, c] = np.int32((bits + np.int32(0x80)) & np.int32(~0xFF)).view(np.float32)
    return out


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
def _outer(s, s0, row_step, next_step, n, v, at, lanes, o, line):  # type: ignore[no-untyped-def]
    """o[k * line + i] = sum over rows r of s[s0 + r * row_step + k * next_step] * v[at[r] + i].

    k < n and i < lanes; up to a strip's end more lanes are read and written.
    """
    step = np.array([row_step, next_step, 0, line])
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


@_fused
def _lengths(y, at, m, floor, root):  # type: ignore[no-untyped-def]
    """root[:m] = lengths of a block's vectors, with the converters' noise floor."""
    root[:m] = ZERO
    for r in range(at.size):
        line = y[at[r] : at[r] + m]
        for i in range(m):
            root[i] += line[i] * line[i]
    for i in range(m):
        root[i] = np.sqrt(root[i] + floor)


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
    p,
    t,
    tile,
    b0,
    nb,
    ids,
    front,
    keys,
    vectors,
    root,
    weights,
    targets,
    total,
    clipped,
    acc,
    out,
    marks,
):
    """ADC of a block's sums, total (columns, lanes), and what the plan wants of the codes."""
    m, positions = nb * p.out_h * p.out_w, p.out_h * p.out_w
    first = vectors[p.kind, tile] + U64(b0 * positions)
    pair0 = p.col0 // 2
    skip = p.col0 - 2 * pair0
    for j in range((p.col0 + p.cols + 1) // 2 - pair0):
        if p.pairs and targets[t, j] < 0:
            continue
        k0, k1 = keys[tile, 0, pair0 + j], keys[tile, 1, pair0 + j]
        plus, minus = total[2 * j], total[2 * j + 1]
        _convert_pair(m, ids, first, k0, k1, root, front[tile], 2 * (pair0 + j), plus, minus)
        if p.pairs:
            w0, w1, sums = weights[t, 2 * j], weights[t, 2 * j + 1], acc[targets[t, j]]
            count = np.int32(0)
            for i in range(m):
                sums[i] = sums[i] + plus[i] * w0 + minus[i] * w1
                count = np.int32(count + (plus[i] == TOP) + (minus[i] == TOP))
            clipped[t] += count
    if not p.pairs:
        for c in range(p.cols):
            lane, weight, count = total[skip + c], weights[t, 0], np.int32(0)
            place = (t * p.images + b0) * positions * p.cols + c
            for i in range(m):
                here = place + np.int64(ids[i]) * p.cols
                out[here] = lane[i] * weight
                marks[here] = lane[i] == TOP
                count = np.int32(count + (lane[i] == TOP))
            clipped[t] += count


@_fused
def _deliver(p, b0, nb, acc, out):  # type: ignore[no-untyped-def]
    """Lanes to (image, output, row, column)."""
    positions = p.out_h * p.out_w
    for j in range(acc.shape[0]):
        for b in range(nb):
            place = ((b0 + b) * p.outputs + p.first + j) * positions
            for oy in range(p.out_h):
                source = acc[j, (oy * nb + b) * p.out_w : (oy * nb + b + 1) * p.out_w]
                target = out[place + oy * p.out_w : place + (oy + 1) * p.out_w]
                for ox in range(p.out_w):
                    target[ox] = source[ox]


@_fused
def lanes(  # type: ignore[no-untyped-def]
    x,
    plan,
    tiles,
    g,
    front,
    keys,
    vectors,
    unit,
    lsb,
    weights,
    scales,
    targets,
    constant,
    clipped,
    out,
    marks,
):
    """All of a window's products, along the vectors; returns how many inputs were out of range.

    Args:
        x: Inputs, flat.
        plan: `Plan` as an array.
        tiles: (2, t): where each of the window's tiles is in g, and which tile it is.
        g: (tiles, rows, cols) S.
        front: (tiles, 4, columns): what turns a sum into an ADC code: slope, noise, offset, and
            the noise floor in squared input codes.
        keys: (tiles, 2, pairs) of the converters' noise.
        vectors: (kinds, tiles) conversions so far; advanced here.
        unit: DAC codes a unit of x.
        lsb: Output units a code, (tiles,) float64; for pairs, amperes a code.
        weights: (t, cols); empty for currents.
        scales: (t,); as above.
        targets: (t, pairs): which output each pair adds to, or -1.
        constant: (outputs of this window,) in output units.
        clipped: (t,) conversions that clipped; added up here.
        out: (images, outputs, positions), or (t, vectors, cols), flat.
        marks: What clipped, as out; empty if sums of pairs are wanted.
    """
    p, unit = _unpacked(plan), np.float32(unit)
    weights = _weights_of_codes(tiles, lsb, weights, scales)
    positions = p.out_h * p.out_w
    most = max(1, min(p.images, LANES // positions))
    rows = p.group * p.kernel_h * p.kernel_w
    stride = -(-most * positions // STRIP) * STRIP + PADDING
    pairs = (p.col0 + p.cols + 1) // 2 - p.col0 // 2
    skip = p.col0 % 2
    y, at = np.empty(_scratch(p, most) + STRIP, np.float32), np.empty(rows, np.int64)
    y[-STRIP:] = ZERO
    total, root = np.zeros((2 * pairs, stride), np.float32), np.empty(stride, np.float32)
    sums, cells = total[skip:].reshape(-1), g.reshape(-1)
    acc, ids = np.empty((constant.size, stride), np.float32), np.empty(stride, U32)
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
            first = (tiles[0, t] * g.shape[1] + p.row0) * g.shape[2] + p.col0
            _outer(cells, first, g.shape[2], 1, p.cols, y, at, m, sums, stride)
            _lengths(y, at, m, front[tiles[1, t], 3, 0], root)
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
                targets,
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
def _codes_of_columns(count, root, k0, k1, slope, noise, offset, z, total):  # type: ignore[no-untyped-def]
    """ADC codes of one vector, in place of its sums, total (columns,); z (columns,) is scratch."""
    low, high = U32(count & LOW), U32(count >> U64(32))
    for j in range(k0.size):
        u, w = threefry(low, high, k0[j], k1[j])
        z[2 * j], z[2 * j + 1] = normal_pair(u, w)
    for c in range(total.size):
        code = (offset[c] + root * noise[c] * z[c]) + total[c] * slope[c]
        total[c] = min(max(np.rint(code), ZERO), TOP)


@_fused
def _columns_out(p, t, tile, b, codes, weights, targets, constant, out, marks):  # type: ignore[no-untyped-def]
    """What the plan wants of one vector's codes (columns,); returns how many clipped."""
    clips = np.int32(0)
    if p.pairs:
        place = b * p.outputs + p.first
        sums, weight = out[place : place + constant.size], weights[t]
        if t == 0:
            sums[:] = constant
        for j in range(p.cols // 2):
            k = targets[t, j]
            if k >= 0:
                plus, minus = codes[2 * j], codes[2 * j + 1]
                sums[k] = sums[k] + plus * weight[2 * j] + minus * weight[2 * j + 1]
                clips = np.int32(clips + (plus == TOP) + (minus == TOP))
    else:
        place = (t * p.images + b) * p.cols
        current, mark = out[place : place + p.cols], marks[place : place + p.cols]
        lsb = weights[t, 0]
        for c in range(p.cols):
            current[c] = codes[c] * lsb
            mark[c] = codes[c] == TOP
            clips = np.int32(clips + (codes[c] == TOP))
    return clips


@_fused
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
    weights,
    targets,
    constant,
    clipped,
    out,
    marks,
):
    """ADC of a block's sums (vectors, columns) of plain vectors, and what the plan wants of it."""
    tile = tiles[1, t]
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
        clipped[t] += _columns_out(
            p, t, tile, b0 + b, total[skip:], weights, targets, constant, out, marks
        )


@_fused
def _plain_inputs(x, p, t, b0, nb, unit, floor, matrix, root):  # type: ignore[no-untyped-def]
    """Input codes (vectors, rows) of a block of plain vectors, and their lengths (vectors,)."""
    present = min(p.group, p.channels - t * p.group)
    wrong = 0
    for b in range(nb):
        start = t * p.tile_step + (b0 + b) * p.image_step
        line = matrix[b]
        wrong += _codes(x[start : start + present], 1, unit, line[:present])
        line[present:] = ZERO
        power = np.int32(0)  # in integers, so that the order does not matter
        for r in range(present):
            power = np.int32(power + np.int32(line[r]) * np.int32(line[r]))
        root[b] = np.sqrt(np.float32(power) + floor)
    return wrong


@_fused
def columns(  # type: ignore[no-untyped-def]
    x,
    plan,
    tiles,
    g,
    front,
    keys,
    vectors,
    unit,
    lsb,
    weights,
    scales,
    targets,
    constant,
    clipped,
    out,
    marks,
):
    """The same as `lanes` for plain vectors, along a tile's columns."""
    p, unit = _unpacked(plan), np.float32(unit)
    weights = _weights_of_codes(tiles, lsb, weights, scales)
    most, line = min(p.images, FEW), -(-p.cols // STRIP) * STRIP
    matrix, root = np.empty((most, p.group), np.float32), np.empty(most, np.float32)
    sums, at = np.empty((most, line), np.float32), np.empty(p.group, np.int64)
    padded = np.empty((p.group if line > p.cols else 0, line), np.float32)
    wrong = 0
    for b0 in range(0, p.images, most):
        nb = min(most, p.images - b0)
        for t in range(tiles.shape[1]):
            wrong += _plain_inputs(x, p, t, b0, nb, unit, front[tiles[1, t], 3, 0], matrix, root)
            if wrong and p.strict:
                return wrong
            if padded.size:  # whole strips, so that nothing beyond the chip is read
                padded[:, : p.cols] = g[
                    tiles[0, t], p.row0 : p.row0 + p.group, p.col0 : p.col0 + p.cols
                ]
                cells, first, step = padded.reshape(-1), 0, line
            else:
                first = (tiles[0, t] * g.shape[1] + p.row0) * g.shape[2] + p.col0
                cells, step = g.reshape(-1), g.shape[2]
            for r in range(p.group):
                at[r] = first + r * step
            _outer(matrix.reshape(-1), 0, 1, p.group, nb, cells, at, p.cols, sums.reshape(-1), line)
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
                weights,
                targets,
                constant,
                clipped,
                out,
                marks,
            )
    for t in range(tiles.shape[1]):
        vectors[p.kind, tiles[1, t]] += U64(p.images)
    return wrong
