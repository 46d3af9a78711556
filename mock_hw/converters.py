"""The front end of a tile: input codes to a matrix for the product, analog sums to output codes.

The chip's inputs are bit-serial: eight pulses of constant amplitude v_read, after each of which
the ADC front end adds the sample and halves, D = sum over n of 2**(n-9) V[n] (PAPER 1). A cell's
noise does not change within the 0.72 us of an operation, the sum is linear, and clipping happens
once, at the conversion; so the eight cycles equal one product with code / 256, exactly, and the
full scale is quoted at the input: code / 255 of v_read. tests/mock_hw keeps the eight cycles, cell
by cell, as the oracle.

Read noise is Gaussian, fresh and independent a cell, so a column's sum has the variance
sigma**2 * sum of x**2: one draw an output instead of one a cell, with the same distribution.
"""

from __future__ import annotations

import numba
import numpy as np

from cimlab.mock_hw.philox import BLOCK, U32, U64, box_muller, philox


@numba.njit(cache=True, nogil=True)
def unfolded_inputs(codes, kernel, stride, padding, dilation, size, x):  # type: ignore[no-untyped-def]
    """VMM inputs x of a feature map codes (batch, channels, height, width): im2col.

    size is (output height, output width). x is (t, rows, n), vectors along the last axis, so that
    the innermost loop runs along a line of the map. Tile t takes channels t * k .. (t + 1) * k with
    k = rows // (kernel area); what lies outside the map or the channels is 0.
    """
    batch, channels, height, width = codes.shape
    tiles, rows, _ = x.shape
    area = kernel[0] * kernel[1]
    group = rows // area
    x[:, group * area :] = np.float32(0.0)
    for t in range(tiles):
        for k in range(group):
            channel = t * group + k
            for ky in range(kernel[0]):
                for kx in range(kernel[1]):
                    line = x[t, k * area + ky * kernel[1] + kx]
                    shift = kx * dilation[1] - padding[1]
                    # outputs whose input column lies inside the map
                    left = min(max(0, (stride[1] - 1 - shift) // stride[1]), size[1])
                    right = max(min(size[1], (width - 1 - shift) // stride[1] + 1), left)
                    if left > 0 or right < size[1] or padding[0] > 0 or channel >= channels:
                        line[:] = np.float32(0.0)
                    if channel >= channels:
                        continue
                    for b in range(batch):
                        for oy in range(size[0]):
                            y = oy * stride[0] - padding[0] + ky * dilation[0]
                            if y < 0 or y >= height:
                                continue
                            first = (b * size[0] + oy) * size[1]
                            target = line[first + left : first + right]
                            if stride[1] == 1:  # a loop of its own, because it vectorises
                                source = codes[b, channel, y, left + shift : right + shift]
                                for ox in range(target.size):
                                    target[ox] = np.float32(source[ox])
                            else:
                                source = codes[b, channel, y]
                                for ox in range(target.size):
                                    target[ox] = np.float32(source[(left + ox) * stride[1] + shift])


@numba.njit(cache=True, nogil=True)
def sum_of_squares(x, power):  # type: ignore[no-untyped-def]
    """power (t, n) of x (t, rows, n); exact in float32 for 8-bit codes and 256 rows."""
    tiles, rows, n = x.shape
    power[:] = np.float32(0.0)
    for t in range(tiles):
        total = power[t]
        for r in range(rows):
            line = x[t, r]
            for i in range(n):
                total[i] += line[i] * line[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def digitise(analog, power, scale, sigma, gain, offset, tile, first, col0, stream, key, top, out):  # type: ignore[no-untyped-def]
    """Read noise, converter mismatch, rounding and clipping of one tile's column sums.

    analog (n, cols) code * S; power (n,) code**2; scale and sigma turn them into ADC codes;
    gain and offset (cols,) the converters' own; out (n, cols) uint8. Noise is keyed by the tile,
    the tile's vector counter (first + i) and the column, so a cut batch draws the same numbers.
    """
    n, cols = analog.shape
    group0 = col0 // 4
    groups = (col0 + cols - 1) // 4 - group0 + 1
    words = np.empty((4, BLOCK), U32)
    z = np.empty((4, BLOCK), np.float32)
    bits = z.view(np.int32)
    noise = np.empty((BLOCK, 4 * groups), np.float32)
    owner = U32(U32(tile) << U32(12))
    shift = col0 - 4 * group0
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        vector0 = U64(first) + U64(start)
        for j in range(groups):
            for i in range(m):
                vector = vector0 + U64(i)
                low = U32(vector & U64(0xFFFFFFFF))
                high = U32(vector >> U64(32)) ^ owner
                a, b, c, d = philox(U32(group0 + j), low, high, U32(stream), key[0], key[1])
                words[0, i] = a
                words[1, i] = b
                words[2, i] = c
                words[3, i] = d
            box_muller(m, words[0], words[1], bits[0], z[0], z[1])
            box_muller(m, words[2], words[3], bits[2], z[2], z[3])
            for i in range(m):
                for lane in range(4):
                    noise[i, 4 * j + lane] = z[lane, i]
        for i in range(m):
            spread = sigma * np.sqrt(power[start + i])
            for c in range(cols):
                code = analog[start + i, c] * scale + spread * noise[i, shift + c]
                code = np.rint(code * gain[c] + offset[c])
                # by way of int32: LLVM has no vector conversion from float to uint8
                out[start + i, c] = np.uint8(np.int32(min(max(code, np.float32(0.0)), top)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def narrow_product(  # type: ignore[no-untyped-def]
    x, g, scale, sigma, gain, offset, tile, first, col0, stream, key, top, out
):
    """The product, and all that `digitise` does, in one pass over a narrow tile's inputs.

    x (rows, n) inputs, g (rows, cols). Worth it while the sums of a block of vectors fit the
    first-level cache. A vector's sum runs over the rows in order, however the batch is cut.
    """
    rows, n = x.shape
    cols = g.shape[1]
    total = np.empty((cols, BLOCK), np.float32)
    power = np.empty(BLOCK, np.float32)
    words = np.empty((4, BLOCK), U32)
    z = np.empty((4, BLOCK), np.float32)
    bits = z.view(np.int32)
    codes = np.empty((cols, BLOCK), np.uint8)
    owner = U32(U32(tile) << U32(12))
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        total[:] = np.float32(0.0)
        power[:] = np.float32(0.0)
        for r in range(0, rows - 3, 4):
            x0, x1 = x[r, start : start + m], x[r + 1, start : start + m]
            x2, x3 = x[r + 2, start : start + m], x[r + 3, start : start + m]
            for c in range(cols):
                line = total[c]
                g0, g1, g2, g3 = g[r, c], g[r + 1, c], g[r + 2, c], g[r + 3, c]
                for i in range(m):
                    line[i] = line[i] + x0[i] * g0 + x1[i] * g1 + x2[i] * g2 + x3[i] * g3
            for i in range(m):
                power[i] += x0[i] * x0[i] + x1[i] * x1[i] + x2[i] * x2[i] + x3[i] * x3[i]
        for r in range(rows - rows % 4, rows):
            x0 = x[r, start : start + m]
            for c in range(cols):
                line, g0 = total[c], g[r, c]
                for i in range(m):
                    line[i] += x0[i] * g0
            for i in range(m):
                power[i] += x0[i] * x0[i]
        for i in range(m):
            power[i] = sigma * np.sqrt(power[i])
        vector0 = U64(first) + U64(start)
        for j in range(col0 // 4, (col0 + cols - 1) // 4 + 1):
            for i in range(m):
                vector = vector0 + U64(i)
                low = U32(vector & U64(0xFFFFFFFF))
                high = U32(vector >> U64(32)) ^ owner
                a, b, c, d = philox(U32(j), low, high, U32(stream), key[0], key[1])
                words[0, i] = a
                words[1, i] = b
                words[2, i] = c
                words[3, i] = d
            box_muller(m, words[0], words[1], bits[0], z[0], z[1])
            box_muller(m, words[2], words[3], bits[2], z[2], z[3])
            for k in range(max(4 * j - col0, 0), min(4 * j + 4 - col0, cols)):
                line, noise, target = total[k], z[k + col0 - 4 * j], codes[k]
                slope, shift = gain[k], offset[k]
                for i in range(m):
                    code = np.rint((line[i] * scale + power[i] * noise[i]) * slope + shift)
                    target[i] = np.uint8(np.int32(min(max(code, np.float32(0.0)), top)))
        for i in range(m):
            for k in range(cols):
                out[start + i, k] = codes[k, i]


@numba.njit(cache=True, nogil=True)
def read_cells(  # type: ignore[no-untyped-def]
    g, cells, reads, shape, scale, sigma, gain, offset, averages, stream, key, top, sums, clipped
):
    """Convert cells one by one: sums (n,) of `averages` ADC codes each, and clipped marks.

    g and reads are flat, (size,); gain and offset (tiles, cols); shape is (rows, cols). reads
    counts each cell's conversions and keys its noise; it is advanced here.
    """
    rows, cols = shape
    words = np.empty((2, BLOCK), U32)
    z = np.empty((2, BLOCK), np.float32)
    bits = z.view(np.int32)
    for start in range(0, cells.size, BLOCK):
        m = min(BLOCK, cells.size - start)
        sums[start : start + m] = 0
        clipped[start : start + m] = False
        for _ in range(averages):
            for i in range(m):
                cell = cells[start + i]
                a, b, _c, _d = philox(U32(0), reads[cell], U32(cell), U32(stream), key[0], key[1])
                words[0, i] = a
                words[1, i] = b
                reads[cell] += U32(1)
            box_muller(m, words[0, :m], words[1, :m], bits[0, :m], z[0, :m], z[1, :m])
            for i in range(m):
                cell = cells[start + i]
                tile = cell // (rows * cols)
                col = cell % cols
                code = (g[cell] * scale + sigma * z[0, i]) * gain[tile, col] + offset[tile, col]
                code = min(max(np.rint(code), np.float32(0.0)), top)
                sums[start + i] += np.uint16(code)
                clipped[start + i] |= code == top
