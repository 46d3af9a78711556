"""Products of arrays that cannot multiply: cells are read, and summed in software."""

from __future__ import annotations

import numpy as np

from .array import CimArray, Floats, Product, Window


def product_of_reads(array: CimArray, v: Floats, window: Window | None) -> Product:
    """A VMM with `vmm` "emulated": each cell of the window is read once, at the converters' v_read.

    A column saturates with any of its cells; one that cannot be read (NaN) carries no current.
    """
    spec = array.spec
    window = window or Window.whole(spec)
    address = np.arange(spec.size, dtype=np.int64).reshape(spec.shape)
    cells = address[list(window.tiles), slice(*window.rows), slice(*window.cols)]
    reading = array.read(array.converters.v_read, cells.ravel())
    g = np.nan_to_num(reading.g).reshape(cells.shape)
    saturated = np.any(reading.saturated.reshape(cells.shape), axis=1, keepdims=True)
    current = (np.asarray(v, np.float64) @ g).astype(np.float32)
    return Product(current, np.broadcast_to(saturated, current.shape))
