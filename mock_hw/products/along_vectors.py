"""Products along the vectors: for maps and narrow tiles."""

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

LANES = 512
"""Vectors of a block, unless one image has more."""
PADDING = 16
"""Floats between the lines of a block, so that they do not all fall on the same cache sets."""


@fused
def _scratch(p, nb):  # type: ignore[no-untyped-def]
    """Floats that `_fill` needs for nb images."""
    lines = p.out_h + (p.kernel_h - 1) * p.dilation_h // p.stride_h
    return p.group * p.kernel_w * p.stride_h * lines * nb * p.out_w


@fused
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
            wrong += input_codes(x[start : start + present], 1, unit, line[:present])
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
                        wrong += input_codes(source, p.stride_w, unit, piece)
    return wrong


@fused
def _lengths(y, at, m, floor, root):  # type: ignore[no-untyped-def]
    """root[:m] = lengths of a block's vectors, with the converters' noise floor."""
    root[:m] = ZERO
    for r in range(at.size):
        line = y[at[r] : at[r] + m]
        for i in range(m):
            root[i] += line[i] * line[i]
    for i in range(m):
        root[i] = np.sqrt(root[i] + floor)


@fused
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


@fused
def _numbers(p, nb, ids):  # type: ignore[no-untyped-def]
    """Which vector of the block each lane is."""
    for oy in range(p.out_h):
        for b in range(nb):
            for ox in range(p.out_w):
                ids[(oy * nb + b) * p.out_w + ox] = U32((b * p.out_h + oy) * p.out_w + ox)


@fused
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
    units,
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
                sums[i] = sums[i] + pair_code(plus[i], w0, minus[i], w1) * units[t]
                count = np.int32(count + (plus[i] == TOP) + (minus[i] == TOP))
            clipped[t] += count
    if not p.pairs:
        for c in range(p.cols):
            lane, unit = total[skip + c], units[t]
            current, mark = out[t, b0 * positions :, c], marks[t, b0 * positions :, c]
            for i in range(m):
                current[ids[i]] = lane[i] * unit
                mark[ids[i]] = lane[i] == TOP


@fused
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


@fused
def lanes(  # type: ignore[no-untyped-def]
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
    """All of a window's products, along the vectors; returns how many inputs were out of range.

    Args:
        x: Inputs, (.., .., ..): only their order counts.
        plan: `Plan` and tiles as an array, see `unpacked`.
        g: (tiles, rows, cols) S.
        front: (tiles, 4, columns): what turns a sum into an ADC code: slope, noise, offset, and
            the noise floor in squared input codes.
        keys: (tiles, 2, pairs) of the converters' noise.
        vectors: (kinds, tiles) conversions so far; advanced here.
        unit: DAC codes a unit of x.
        lsb: Output units a code, (tiles,) float64; for pairs, amperes a code.
        out: Currents (t, vectors, cols), or sums as (1, 1, images * outputs * positions).
        marks: What of the currents clipped, as out; empty for sums.
        weights: (t, cols); empty for currents, like all that follow.
        scales: (t,); as above.
        targets: (t, pairs): which output each pair adds to, or -1.
        constant: (outputs of this window,) in output units.
        clipped: (t,) conversions that clipped; added up here.
    """
    p, places, tiles = unpacked(plan)
    x, unit = x.ravel(), np.float32(unit)
    units, weights = units_of_codes(tiles, lsb, weights, scales)
    positions = p.out_h * p.out_w
    most = max(1, min(p.images, LANES // positions))
    rows = p.group * p.kernel_h * p.kernel_w
    stride = -(-most * positions // STRIP) * STRIP + PADDING
    pairs = (p.col0 + p.cols + 1) // 2 - p.col0 // 2
    skip = p.col0 % 2
    y, at = np.empty(_scratch(p, most) + STRIP, np.float32), np.empty(rows, np.int64)
    y[-STRIP:] = ZERO
    total, root = np.zeros((2 * pairs, stride), np.float32), np.empty(stride, np.float32)
    sums, cells, step = total[skip:].reshape(-1), g.reshape(-1), np.empty(4, np.int64)
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
        for t in range(tiles.size):
            wrong += _fill(x, p, t, b0, nb, unit, y, at)
            if wrong and p.strict:
                return wrong
            first = (places[t] * g.shape[1] + p.row0) * g.shape[2] + p.col0
            outer(cells, first, g.shape[2], 1, p.cols, y, at, m, sums, stride, step)
            _lengths(y, at, m, front[tiles[t], 3, 0], root)
            _outputs(
                p,
                t,
                tiles[t],
                b0,
                nb,
                ids,
                front,
                keys,
                vectors,
                root,
                units,
                weights,
                targets,
                total,
                clipped,
                acc,
                out,
                marks,
            )
        if p.pairs:
            _deliver(p, b0, nb, acc, out[0, 0])
    for t in range(tiles.size):
        vectors[p.kind, tiles[t]] += U64(p.images * positions)
    return wrong
