"""The colour bar that all tiles share: gradient, histogram and two handles for the levels."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRectF, Signal

from cimlab.gui.colours import Scale
from cimlab.gui.raster import Raster

_BINS = 64


class ColourBar(QObject):
    """A plot item with a vertical axis in the quantity's unit.

    Signals:
        scale_dragged: The person moved a handle; carries the new Scale.
    """

    scale_dragged = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.plot = pg.PlotItem(enableMenu=False)
        self.plot.setMaximumWidth(120)
        self.plot.setMinimumWidth(110)
        self.plot.hideAxis("left")
        self.plot.hideAxis("bottom")
        self.plot.showAxis("right")
        self.plot.getAxis("right").enableAutoSIPrefix(False)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self._gradient = Raster(QRectF(0.0, 0.0, 1.0, 1.0))
        self._histogram = pg.PlotCurveItem(pen=(128, 128, 128))
        self._region = pg.LinearRegionItem(
            orientation="horizontal", brush=(0, 0, 0, 0), hoverBrush=(255, 255, 255, 30)
        )
        for line in self._region.lines:
            line.setPen(pg.mkPen((200, 120, 0), width=3))
        for item in (self._gradient, self._histogram, self._region):
            self.plot.addItem(item)
        self.plot.setXRange(0, 1, padding=0)
        self._region.sigRegionChanged.connect(self._dragged)
        self._scale = Scale(0.0, 1.0)
        self._range = (0.0, 1.0)
        self.set_scale(self._scale)

    def set_table(self, colours: NDArray[np.uint32]) -> None:
        """Show these colours."""
        self._gradient.set_pixels(colours[1:, None])

    def set_label(self, title: str, unit: str) -> None:
        """Name the axis."""
        self.plot.getAxis("right").setLabel(f"{title} ({unit})" if unit else title)

    def set_scale(self, scale: Scale) -> None:
        """Show these levels; emits nothing."""
        if scale.log != self._scale.log:
            self.plot.getAxis("right").setLogMode(False, scale.log)
        self._scale = scale
        low, high = _positions(scale)
        self._gradient.set_rect(QRectF(0.0, low, 1.0, high - low))
        self._region.blockSignals(True)
        self._region.setRegion((low, high))
        self._region.blockSignals(False)
        margin = 0.04 * (high - low)
        self.plot.setYRange(
            min(low, self._range[0]) - margin, max(high, self._range[1]) + margin, padding=0
        )

    def set_values(self, values: NDArray[np.float32]) -> None:
        """Show the histogram of these values, and make room for all of them."""
        # double precision: bins may be finer than a single-precision map of equal cells resolves
        finite = values[np.isfinite(values)].astype(np.float64)
        if self._scale.log:
            finite = np.log10(finite[finite > 0])
        if finite.size == 0:
            self._histogram.setData([], [])
            return
        counts, edges = np.histogram(finite, _BINS)
        self._range = (float(edges[0]), float(edges[-1]))
        middles = 0.5 * (edges[1:] + edges[:-1])
        self._histogram.setData(0.9 * counts / counts.max(), middles)
        self.set_scale(self._scale)

    def _dragged(self) -> None:
        low, high = self._region.getRegion()
        if high - low < 1e-12:
            return
        if self._scale.log:
            low, high = 10.0**low, 10.0**high
        self._scale = Scale(float(low), float(high), self._scale.log)
        positions = _positions(self._scale)
        self._gradient.set_rect(QRectF(0.0, positions[0], 1.0, positions[1] - positions[0]))
        self.scale_dragged.emit(self._scale)


def _positions(scale: Scale) -> tuple[float, float]:
    if scale.log:
        return float(np.log10(scale.low)), float(np.log10(scale.high))
    return scale.low, scale.high
