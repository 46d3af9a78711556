"""Digital gradients, compiled: weights times their tiles' gains, and layers of few channels.

Libraries lay a convolution out for many channels; with a handful of them that costs more than the
arithmetic. Here the output's gradient is spread over the lines of the padded input, so that every
tap of the kernel is a shift, and the loops run along whole images. Stride and dilation 1 only.
"""

from __future__ import annotations

import numba
import numpy as np

FEW = 2048
"""Images times channels times outputs up to which these loops are faster than the library's."""
# numbers are copied one by one: copying slices would compile the text of its error, 8 s of it
_sums = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})


@_sums
def _dots(rows, x, out):  # type: ignore[no-untyped-def]
    """out[k] += rows[k] . x, four at a time."""
    n, whole = x.size, out.size - out.size % 4
    for k in range(0, whole, 4):
        r0, r1, r2, r3 = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        s0, s1, s2, s3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(n):
            s0 += r0[i] * x[i]
            s1 += r1[i] * x[i]
            s2 += r2[i] * x[i]
            s3 += r3[i] * x[i]
        out[k] += s0
        out[k + 1] += s1
        out[k + 2] += s2
        out[k + 3] += s3
    for k in range(whole, out.size):
        r0, s0 = rows[k], np.float32(0)
        for i in range(n):
            s0 += r0[i] * x[i]
        out[k] += s0


@_sums
def _mix(rows, factors, out):  # type: ignore[no-untyped-def]
    """out += sum of factors[k] * rows[k], four at a time."""
    n, whole = out.size, factors.size - factors.size % 4
    for k in range(0, whole, 4):
        r0, r1, r2, r3 = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        for i in range(n):
            out[i] += r0[i] * f0 + r1[i] * f1 + r2[i] * f2 + r3[i] * f3
    for k in range(whole, factors.size):
        r0, f0 = rows[k], factors[k]
        for i in range(n):
            out[i] += r0[i] * f0


@_sums
def effective(weight, gain, part):  # type: ignore[no-untyped-def]
    """Weights times the gains (tiles,) of their tiles; part is the tile of each weight."""
    out = np.empty(weight.shape, np.float32)
    flat, own, tiles = out.reshape(-1), weight.reshape(-1), part.reshape(-1)
    for i in range(flat.size):
        flat[i] = own[i] * gain[tiles[i]]
    return out


@_sums
def split(product, weight, gain, part, to_weight, to_gain):  # type: ignore[no-untyped-def]
    """Gradients of weights and of gains (tiles,) from that of their product."""
    whole, own, tiles = product.reshape(-1), weight.reshape(-1), part.reshape(-1)
    out = to_weight.reshape(-1)
    to_gain[:] = 0
    for i in range(out.size):
        out[i] = whole[i] * gain[tiles[i]]
        to_gain[tiles[i]] += whole[i] * own[i]


@_sums
def conv_gradients(grad, x, weight, gain, part, padding, to_x, to_weight, to_bias, to_gain):  # type: ignore[no-untyped-def]
    """Fill the gradients of a convolution with weights times the gains of their tiles.

    Args:
        grad: Of the output, (images, outputs, h, w).
        x: Input, (images, channels, height, width).
        weight: (outputs, channels, kh, kw).
        gain: Of each tile, (tiles,).
        part: Tile of each weight, as weight.
        padding: (vertical, horizontal).
        to_x: As x, or empty where it is not wanted.
        to_weight: As weight.
        to_bias: (outputs,).
        to_gain: (tiles,).
    """
    images, channels, height, width = x.shape
    outputs, _, kh, kw = weight.shape
    h, w = grad.shape[2], grad.shape[3]
    ph, pw = padding
    line = width + 2 * pw
    size = (height + 2 * ph) * line
    # one image at a time; what is shifted beyond its end meets zeros
    spread = np.zeros((outputs, h * line), np.float32)
    padded = np.zeros((channels, size + kw), np.float32)
    back = np.zeros((channels, size + kw), np.float32)
    product = np.zeros((outputs, channels, kh, kw), np.float32)
    factors = np.empty(outputs, np.float32)
    to_bias[:] = 0
    span = (h - 1) * line + w
    for b in range(images):
        for o in range(outputs):
            total = np.float32(0)
            for y in range(h):
                source, target = grad[b, o, y], spread[o, y * line : y * line + w]
                for i in range(w):
                    target[i] = source[i]
                    total += source[i]
            to_bias[o] += total
        for c in range(channels):
            for y in range(height):
                first = (y + ph) * line + pw
                for i in range(width):
                    padded[c, first + i] = x[b, c, y, i]
            for ky in range(kh):
                for kx in range(kw):
                    shift = ky * line + kx
                    lanes = padded[c, shift : shift + span]
                    _dots(spread, lanes, product[:, c, ky, kx])
            if to_x.size:
                back[c, :] = 0
                for ky in range(kh):
                    for kx in range(kw):
                        shift = ky * line + kx
                        lanes = back[c, shift : shift + span]
                        for o in range(outputs):
                            factors[o] = weight[o, c, ky, kx] * gain[part[o, c, ky, kx]]
                        _mix(spread, factors, lanes)
                for y in range(height):
                    first = (y + ph) * line + pw
                    for i in range(width):
                        to_x[b, c, y, i] = back[c, first + i]
    split(product, weight, gain, part, to_weight, to_gain)


@_sums
def linear_gradients(grad, x, weight, gain, part, to_x, to_weight, to_bias, to_gain):  # type: ignore[no-untyped-def]
    """The same for a Linear layer: grad (n, outputs), x (n, inputs), the others alike."""
    vectors, outputs = grad.shape
    product = np.zeros(weight.shape, np.float32)
    carried = effective(weight, gain, part)
    to_bias[:] = 0
    to_x[:] = 0
    for b in range(vectors):
        for o in range(outputs):
            error = grad[b, o]
            to_bias[o] += error
            line, source = product[o], x[b]
            for i in range(line.size):
                line[i] += error * source[i]
            if to_x.size:
                target, back = to_x[b], carried[o]
                for i in range(target.size):
                    target[i] += error * back[i]
    split(product, weight, gain, part, to_weight, to_gain)
