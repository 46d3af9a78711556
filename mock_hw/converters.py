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

from cimlab.mock_hw.philox import BLOCK, U32, first_normals


@numba.njit(cache=True, nogil=True)
def read_cells(  # type: ignore[no-untyped-def]
    g, cells, reads, shape, scale, sigma, gain, offset, averages, stream, key, top, sums, clipped
):
    """Convert cells one by one: sums (n,) of `averages` ADC codes each, and clipped marks.

    g and reads are flat, (size,); gain and offset (tiles, cols); shape is (rows, cols). reads
    counts each cell's conversions and keys its noise; it is advanced here.
    """
    rows, cols = shape
    words, z = np.empty((2, BLOCK), U32), np.empty((2, BLOCK), np.float32)
    owners, events = np.empty(BLOCK, U32), np.empty(BLOCK, U32)
    for start in range(0, cells.size, BLOCK):
        m = min(BLOCK, cells.size - start)
        sums[start : start + m] = 0
        clipped[start : start + m] = False
        for _ in range(averages):
            for i in range(m):
                cell = cells[start + i]
                owners[i], events[i] = cell, reads[cell]
                reads[cell] += U32(1)
            first_normals(m, owners, events, stream, key[0], key[1], words, z)
            for i in range(m):
                cell = cells[start + i]
                tile = cell // (rows * cols)
                col = cell % cols
                code = (g[cell] * scale + sigma * z[0, i]) * gain[tile, col] + offset[tile, col]
                code = min(max(np.rint(code), np.float32(0.0)), top)
                sums[start + i] += np.uint16(code)
                clipped[start + i] |= code == top
