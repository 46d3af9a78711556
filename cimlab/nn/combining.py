"""What the calibration of columns means for the pairs of a layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cimlab.protocols import calibration

from .tiling import Strip


def combination(
    strip: Strip, columns: calibration.ColumnCalibration | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (tiles, columns) and constants (tiles, outputs): column to pair currents.

    Correcting and subtracting are linear: one sum does both.
    """
    window, targets = strip.window, strip.targets
    tiles, own = list(window.tiles), slice(*window.cols)
    shape = (len(tiles), window.n_cols)
    gain, offset = np.ones(shape), np.zeros(shape)
    if columns is not None:
        gain, offset = columns.gain[tiles, own], columns.offset[tiles, own]
    weights = np.tile([1.0, -1.0], window.n_cols // 2) / gain
    pairs_of = -(offset * weights).reshape(*shape[:1], -1, 2).sum(2)
    constants = np.zeros((len(tiles), strip.outputs[1] - strip.outputs[0]), np.float32)
    tile, pair = np.nonzero(targets >= 0)
    constants[tile, targets[tile, pair]] = pairs_of[tile, pair]
    return weights.astype(np.float32), constants
