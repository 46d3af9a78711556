"""Ranges of the converters, and calibration of the columns, while a network trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cimlab.core.array import CimArray, Floats
from cimlab.nn import ChipLayer, calibrate
from cimlab.protocols import calibration

from .checkpoint import Arrays, column_arrays, columns_from, ideal_columns
from .events import Calibrated

CLIPPED_MOST = 0.01
"""A tile whose conversions clip more often than this gets a wider range at once."""
WIDER = 1.3


class Ranges:
    """The converters of the array under a network: ranges and columns, fitted to it.

    Args:
        array: The array.
        model: The network.
        layers: Its layers on the array, by name.
        fit: Whether anything is fitted; else the converters stay as they are.
    """

    def __init__(
        self, array: CimArray, model: torch.nn.Module, layers: dict[str, ChipLayer], fit: bool
    ) -> None:
        self.array = array
        self._model, self._layers, self._fit = model, layers, fit
        self._columns = ideal_columns(array.spec)

    def calibrate(self, step: int, images: Tensor) -> Calibrated:
        """Fit ranges and columns to the network as it is."""
        if self._fit:
            self._columns = calibrate(self._model, self._layers, self.array, images)
        elif step == 0:  # the converters stay as they are
            self._columns = calibration.columns(self.array)
            for layer in self._layers.values():
                layer.correct(self._columns)
        residual = float(np.sqrt(np.mean(self._columns.residual**2)))
        return Calibrated(step, self.array.converters.i_vmm, residual)

    def widen(self) -> Floats:
        """Widen the ranges of tiles that clip; returns the share of each, (tiles,), NaN if unused.

        Activations and weights grow fastest in the first epoch, which was calibrated at its start.
        """
        clipped = np.full(self.array.spec.tiles, np.nan)
        for layer in self._layers.values():
            np.fmax.at(clipped, list(layer.placement.tiles), layer.clipped)
        too_often = clipped > CLIPPED_MOST
        if self._fit and too_often.any():
            ranges = np.array(self.array.converters.i_vmm)
            ranges[too_often] *= WIDER
            self._set_ranges(ranges)
        return clipped

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Ranges and columns, for a checkpoint."""
        ranges = np.array(self.array.converters.i_vmm)
        return {"ranges": ranges, **column_arrays(self._columns)}

    def restore(self, arrays: Arrays) -> None:
        """Take over what `arrays` gave."""
        self._set_ranges(np.array(arrays["ranges"], np.float64))
        self._columns = columns_from(arrays)
        for layer in self._layers.values():
            layer.correct(self._columns)

    def _set_ranges(self, ranges: NDArray[np.float64]) -> None:
        i_vmm = tuple(float(x) for x in ranges)
        self.array.configure(replace(self.array.converters, i_vmm=i_vmm))
