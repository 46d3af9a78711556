"""Errors that go back through the array: columns are driven, rows are read.

A weight is ``scale * (plus - minus)``. Positive errors drive the plus columns and negative ones
the minus columns; a second product with the two exchanged is subtracted, which also cancels what
the converters at the rows add to both. Each vector of errors is scaled to the read voltage by its
own largest magnitude, because errors of single images differ by orders of magnitude.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import CimArray, Floats, Window

from .mapping import DeviceWindow
from .tiling import Placement

MARGIN = 1.1
"""Full scale over the largest current that cells inside the device window can make."""


def back(
    array: CimArray,
    placement: Placement,
    gain: NDArray[np.float32],
    scale: float,
    cells: DeviceWindow,
    errors: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Errors at a layer's inputs, (n, inputs), from those at its outputs, (n, outputs).

    Args:
        array: Where the layer is; capability "transpose".
        placement: Its tiles.
        gain: Digital scale of each part's sums, (parts,).
        scale: Weight units of an ampere of difference at the read voltage.
        cells: Where their currents lie.
        errors: Signed.
    """
    cut = placement.cut
    top = np.maximum(np.abs(errors).max(axis=1, keepdims=True), np.float32(1e-30))
    out = np.zeros((len(errors), cut.groups * cut.inputs), np.float32)
    before, done = array.converters, 0
    for strip in placement.strips():
        window, (first, last) = strip.window, strip.inputs
        share = errors[:, slice(*strip.outputs)] / top
        v = np.zeros((len(window.tiles), len(errors), window.n_cols), np.float32)
        tile, pair = np.nonzero(strip.targets >= 0)
        own = share[:, strip.targets[tile, pair]].T
        v[tile, :, 2 * pair], v[tile, :, 2 * pair + 1] = np.maximum(own, 0), np.maximum(-own, 0)
        sums = _both(array, window, v, cells)
        sums *= (gain[done : done + len(sums)] * np.float32(scale))[:, None, None]
        flat = sums.transpose(1, 0, 2).reshape(len(errors), -1)
        out[:, first:last] += flat[:, : last - first]
        done += len(sums)
    array.configure(before)
    out *= top
    return out


def _both(array: CimArray, window: Window, share: Floats, cells: DeviceWindow) -> Floats:
    """Difference of the two products, A, for shares of the read voltage (tiles, n, columns)."""
    ranges = np.array(array.converters.i_vmm)
    largest = share.sum(axis=2).max(axis=1) * cells.high * MARGIN
    ranges[list(window.tiles)] = np.maximum(largest, cells.high)
    array.configure(replace(array.converters, i_vmm=tuple(float(x) for x in ranges)))
    v = share * np.float32(array.converters.v_read)
    exchanged = np.ascontiguousarray(v.reshape(*v.shape[:2], -1, 2)[..., ::-1]).reshape(v.shape)
    forth = array.vmm_transposed(v, window).current
    return forth - array.vmm_transposed(exchanged, window).current
