"""From numbers to colours: one scale for all tiles, and perceptually uniform maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

MAPS = ("viridis", "cividis", "inferno", "magma", "CET-L1")
"""Perceptually uniform, light = high; cividis is the same to colour-blind eyes."""
DIVERGING = "CET-D1A"
"""For signed quantities: blue - light grey - red."""

_SAMPLE = 8192  # cells looked at for the automatic range: enough for its percentiles
_LEAST = 1e-30  # smaller numbers are zero: single precision divides no further
_NOTHING = (32, 32, 32, 64)  # not read: a shade of the paper


def table(name: str) -> NDArray[np.uint32]:
    """Pixels (256,) of the codes 0 (nothing there) and 1 (lowest) to 255 (highest)."""
    colours = np.empty((256, 4), np.uint8)
    colours[0] = _NOTHING
    colours[1:] = pg.colormap.get(name).getLookupTable(nPts=255, alpha=True, mode="byte")
    return pixels(colours)


def pixels(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """0xAARRGGBB (n,) of RGBA (n, 4); RGB premultiplied by A already."""
    r, g, b, a = colours.astype(np.uint32).T
    return np.asarray(a << 24 | r << 16 | g << 8 | b, np.uint32)


@dataclass(frozen=True, slots=True)
class Scale:
    """Levels of a map.

    Attributes:
        low, high: Values of the first and the last colour, low < high.
        log: Colours over the logarithm; then both are > 0.
    """

    low: float
    high: float
    log: bool = False

    def codes(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Indices into `table`, in the shape of values; NaN becomes 0."""
        low, high, scaled = self.low, self.high, values
        if self.log:
            low, high = float(np.log10(low)), float(np.log10(high))
            with np.errstate(divide="ignore", invalid="ignore"):
                scaled = np.log10(values)  # zero: far below every level
        position = (scaled - np.float32(low)) * np.float32(254.0 / (high - low))
        np.clip(position, 0.0, 254.0, out=position)
        position += 1.5  # rounds, and leaves 0 to NaN
        position[np.isnan(values)] = 0.0
        np.nan_to_num(position, copy=False, nan=1.0)
        return position.astype(np.uint8)

    def near(self, other: Scale) -> bool:
        """True if the other's colours would hardly differ: a bar that trembles tires the eye."""
        slack = 0.02 * (self.high - self.low)
        return (
            self.log == other.log
            and abs(self.low - other.low) <= slack
            and abs(self.high - other.high) <= slack
        )


def auto_scale(values: NDArray[np.float32], *, signed: bool, log: bool) -> Scale:
    """Levels that leave out the lowest and the highest half percent; symmetric if signed."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLE)]
    sample = np.sort(sample[np.isfinite(sample) & (sample > _LEAST if log else True)])
    if sample.size == 0:
        return Scale(0.1, 1.0, True) if log else Scale(0.0, 1.0)
    edge = sample.size // 200
    low, high = float(sample[edge]), float(sample[-1 - edge])
    if signed:
        high = max(abs(low), abs(high), 1e-9)
        return Scale(-high, high)
    if high - low <= max(1e-6 * abs(high), _LEAST):  # all the same: colours to both sides
        margin = 0.1 * abs(low) if abs(low) > _LEAST else 0.5
        low, high = low - margin, high + margin
    return Scale(low, high, log)
