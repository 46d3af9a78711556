"""One image in a plot: a colour a cell, drawn as a single picture without smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter


class Raster(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no types
    """Cells as rectangles of equal size.

    Colours are looked up with numpy and handed to Qt as 32-bit pixels: several times faster to
    draw than an indexed image, whose pixels Qt looks up again at every paint.

    Args:
        rect: Where the image lies in its plot.
    """

    def __init__(self, rect: QRectF) -> None:
        super().__init__()
        self._rect = rect
        self._pixels: NDArray[np.uint32] | None = None
        self._image = QImage()

    def set_pixels(self, pixels: NDArray[np.uint32]) -> None:
        """Draw these: (rows, cols), 0xAARRGGBB with colours premultiplied by A."""
        self._pixels = np.ascontiguousarray(pixels)  # Qt borrows the memory
        rows, cols = self._pixels.shape
        self._image = QImage(
            self._pixels.data, cols, rows, 4 * cols, QImage.Format.Format_ARGB32_Premultiplied
        )
        self.update()

    def set_rect(self, rect: QRectF) -> None:
        """Move the image."""
        self.prepareGeometryChange()
        self._rect = rect
        self.update()

    def boundingRect(self) -> QRectF:  # noqa: N802 - Qt's name
        """Where the image lies."""
        return self._rect

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Draw the image."""
        painter.drawImage(self._rect, self._image)
