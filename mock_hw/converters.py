"""The front end of a tile: input codes to a matrix for the product, analog sums to output codes.

The chip's inputs are bit-serial: eight pulses of constant amplitude v_read, after each of which
the ADC front end adds the sample and halves, D = sum over n of 2**(n-9) V[n] (PAPER 1). A cell's
noise does not change within the 0.72 us of an operation, the sum is linear, and clipping happens once,
at the conversion; so the eight cycles equal one product with code / 256, exactly, and the
full scale is quoted at the input: code / 255 of v_read. tests/mock_hw keeps the eight cycles, cell by
cell, as the oracle.

Read noise is Gaussian, fresh and independent a cell, so a column's sum has the variance
sigma**2 * sum of x**2: one draw an output instead of one a cell, with the same distribution.
"""

from __future__ import annotations

import numba
import numpy as np

from .philox import BLOCK, U32, U64, box_muller, philox


@numba.njit(cache=True, nogil=True)
def plain_inputs(codes, x, power):  # type: ignore[no-untyped-def]
    """x (t, n, rows) float32 and power (t, n) = sum of squares, from codes of the same shape."""
    tiles, n, rows = codes.shape
    for t in range(tiles):
        for i in range(n):
            total = np.float32(0.0)
            for r in range(rows):
                value = np.float32(codes[t, i, r])
                x[t, i, r] = value
                total += value * value
            power[t, i] = total


@numba.njit(cache=True, nogil=True)
def unfolded_inputs(codes, kernel, stride, padding, dilation, size, x, power):  # type: ignore[no-untyped-def]
    """As plain_inputs, from a feature map codes (batch, channels, height, width) (im2col).

    size is (output height, output width); tile t takes channels t * k .. (t + 1) * k with
    k = rows // (kernel area); what lies outside the map or the channels is 0.
    """
    batch, channels, height, width = codes.shape
    tiles, _, rows = x.shape
    area = kernel[0] * kernel[1]
    group = rows // area
    for t in range(tiles):
        for b in range(batch):
            for oy in range(size[0]):
                for ox in range(size[1]):
                    i = (b * size[0] + oy) * size[1] + ox
                    total = np.float32(0.0)
                    for k in range(group):
                        channel = t * group + k
                        for ky in range(kernel[0]):
                            y = oy * stride[0] - padding[0] + ky * dilation[0]
                            row = k * area + ky * kernel[1]
                            inside = channel < channels and 0 <= y and y < height
                            for kx in range(kernel[1]):
                                xx = ox * stride[1] - padding[1] + kx * dilation[1]
                                value = np.float32(0.0)
                                if inside and 0 <= xx and xx < width:
                                    value = np.float32(codes[b, channel, y, xx])
                                x[t, i, row + kx] = value
                                total += value * value
                    for row in range(group * area, rows):
                        x[t, i, row] = np.float32(0.0)
                    power[t, i] = total


@numba.njit(cache=True, nogil=True)
def digitise(analog, power, scale, sigma, gain, offset, tile, first, col0, stream, key, top, out):  # type: ignore[no-untyped-def]
    """Read noise, converter mismatch, rounding and clipping of one tile's column sums.

    analog (n, cols) code * S; power (n,) code**2; scale and sigma turn them into ADC codes;
    gain and offset (cols,) the converters' own; out (n, cols) uint8. Noise is keyed by the tile, the
    tile's vector counter (first + i) and the column, so a cut batch draws the same numbers.
    """
    n, cols = analog.shape
    group0 = col0 // 4
    groups = (col0 + cols - 1) // 4 - group0 + 1
    step = max(1, BLOCK // groups)
    words = np.empty((4, step * groups), U32)
    z = np.empty((4, step * groups), np.float32)
    bits = z.view(np.int32)
    row = np.empty(4 * groups, np.float32)
    for start in range(0, n, step):
        m = min(step, n - start)
        for i in range(m):
            vector = U64(first) + U64(start + i)
            low = U32(vector & U64(0xFFFFFFFF))
            high = U32(vector >> U64(32)) ^ U32(U32(tile) << U32(12))
            for j in range(groups):
                a, b, c, d = philox(
                    U32(group0 + j), low, high, U32(stream), key[0], key[1]
                )
                k = i * groups + j
                words[0, k] = a
                words[1, k] = b
                words[2, k] = c
                words[3, k] = d
        size = m * groups
        box_muller(size, words[0, :size], words[1, :size], bits[0, :size], z[0, :size], z[1, :size])
        box_muller(size, words[2, :size], words[3, :size], bits[2, :size], z[2, :size], z[3, :size])
        for i in range(m):
            for j in range(groups):
                k = i * groups + j
                row[4 * j] = z[0, k]
                row[4 * j + 1] = z[1, k]
                row[4 * j + 2] = z[2, k]
                row[4 * j + 3] = z[3, k]
            spread = sigma * np.sqrt(power[start + i])
            shift = col0 - 4 * group0
            for c in range(cols):
                code = (analog[start + i, c] * scale + spread * row[shift + c]) * gain[c]
                code = np.rint(code + offset[c])
                out[start + i, c] = np.uint8(min(max(code, np.float32(0.0)), top))


@numba.njit(cache=True, nogil=True)
def read_cells(g, cells, reads, shape, scale, sigma, gain, offset, averages, stream, key, top, sums, clipped):  # type: ignore[no-untyped-def]
    """Convert cells one by one: sums (n,) of `averages` ADC codes each, and clipped marks.

    g and reads are flat, (size,); gain and offset (tiles, cols); shape is (rows, cols). reads counts
    each cell's conversions and keys its noise; it is advanced here.
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
                a, b, _c, _d = philox(
                    U32(0), reads[cell], U32(cell), U32(stream), key[0], key[1]
                )
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
