"""The tiles of the chip as images in a grid, zoomed and selected together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtWidgets import QGraphicsRectItem

from cimlab.gui.colours import pixels
from cimlab.gui.raster import Raster

PAGE = 16
"""Tiles on screen at once."""

_MARKS = pixels(  # fine, not read, missed, stuck
    np.array([(0, 0, 0, 0), (0, 0, 0, 0), (255, 0, 200, 255), (255, 60, 0, 255)], np.uint8)
)
_SELECTION = (255, 140, 0)


class TileView(pg.ViewBox):  # type: ignore[misc]  # pyqtgraph has no types
    """A view whose left drag selects while `selecting` (or with Shift) and pans otherwise.

    Signals:
        clicked: Left click, at a point in cell coordinates (column, row).
        dragged: A rectangle in the same coordinates.
    """

    clicked = Signal(QPointF)
    dragged = Signal(QRectF)

    def __init__(self) -> None:
        super().__init__(invertY=True, enableMenu=False)
        self.selecting = False

    def mouseClickEvent(self, ev: Any) -> None:  # noqa: N802 - Qt's name
        """Select a cell."""
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self.clicked.emit(self.mapToView(ev.pos()))

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:  # noqa: N802
        """Select a rectangle, or pan."""
        shift = bool(ev.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if ev.button() != Qt.MouseButton.LeftButton or self.selecting == shift:
            super().mouseDragEvent(ev, axis)
            return
        ev.accept()
        start, end = ev.buttonDownPos(), ev.pos()
        if ev.isFinish():
            self.rbScaleBox.hide()
            self.dragged.emit(QRectF(self.mapToView(start), self.mapToView(end)).normalized())
        else:
            self.updateScaleBox(start, end)


class Tile:
    """One tile's plot: image, overlay, selection.

    Args:
        number: Of the tile, for its title.
        rows, cols: Size.
    """

    def __init__(self, number: int, rows: int, cols: int) -> None:
        self.number = number
        self.rows, self.cols = rows, cols
        self.view = TileView()
        self.plot = pg.PlotItem(viewBox=self.view, title=f"tile {number}", enableMenu=False)
        self.plot.hideButtons()
        self.plot.titleLabel.setMaximumHeight(18)
        self.plot.layout.setRowFixedHeight(0, 18)
        cells = QRectF(-0.5, -0.5, cols, rows)
        self.image, self._marks = Raster(cells), Raster(cells)
        self._box = QGraphicsRectItem()
        self._box.setPen(pg.mkPen(_SELECTION, width=2))
        self._box.hide()
        for item in (self.image, self._marks, self._box):
            self.plot.addItem(item, ignoreBounds=True)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setStyle(tickLength=-4, tickTextOffset=2)
            axis.enableAutoSIPrefix(False)
        self.plot.getAxis("left").setWidth(30)
        self.home()

    def home(self) -> None:
        """Show all cells."""
        self.view.setRange(
            xRange=(-0.5, self.cols - 0.5), yRange=(-0.5, self.rows - 0.5), padding=0
        )

    def set_marks(self, marks: NDArray[np.uint8] | None) -> None:
        """Draw the health overlay, (rows, cols), or hide it."""
        self._marks.setVisible(marks is not None)
        if marks is not None:
            self._marks.set_pixels(_MARKS[marks])

    def set_selection(self, box: QRectF | None) -> None:
        """Frame these cells."""
        self._box.setVisible(box is not None)
        if box is not None:
            self._box.setRect(box)

    def cell(self, point: QPointF) -> tuple[int, int] | None:
        """(row, column) under a point of the view, or None beside the tile."""
        row, col = int(np.floor(point.y() + 0.5)), int(np.floor(point.x() + 0.5))
        return (row, col) if 0 <= row < self.rows and 0 <= col < self.cols else None


class TileGrid(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """A page of tiles beside the colour bar.

    Args:
        bar: Plot item of the colour bar.

    Signals:
        hovered: (tile, row, column) under the pointer, or None.
        selected: Addresses (n,) of the cells clicked or dragged over.
    """

    hovered = Signal(object)
    selected = Signal(object)

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self.setMinimumSize(320, 240)
        self.tiles: list[Tile] = []
        self._shape = (0, 0, 0)
        self._bar = bar
        self.addLabel("row (word line)", row=0, col=0, angle=-90)
        self._grid = self.addLayout(row=0, col=1)
        self._grid.layout.setSpacing(4)
        self.addItem(bar, row=0, col=2)
        self.addLabel("column (bit line)", row=1, col=1)
        self.ci.layout.setColumnStretchFactor(1, 1)
        self.ci.layout.setColumnFixedWidth(0, 20)
        self.ci.layout.setRowFixedHeight(1, 20)
        self._hover = pg.SignalProxy(
            self.scene().sigMouseMoved, rateLimit=60, slot=lambda args: self._moved(args[0])
        )

    def arrange(self, shape: tuple[int, int, int], first: int) -> None:
        """Make plots for the tiles from `first` on; nothing happens if they are there already."""
        tiles, rows, cols = shape
        numbers = range(first, min(first + PAGE, tiles))
        if shape == self._shape and [t.number for t in self.tiles] == list(numbers):
            return
        self._grid.clear()
        self._shape = shape
        self.tiles = [Tile(number, rows, cols) for number in numbers]
        across = _across(len(self.tiles))
        for k, tile in enumerate(self.tiles):
            self._grid.addItem(tile.plot, row=k // across, col=k % across)
            tile.view.clicked.connect(lambda point, t=tile: self._clicked(t, point))
            tile.view.dragged.connect(lambda box, t=tile: self._dragged(t, box))
            if k:
                tile.view.setXLink(self.tiles[0].view)
                tile.view.setYLink(self.tiles[0].view)

    def home(self) -> None:
        """Show all cells of all tiles."""
        for tile in self.tiles[:1]:
            tile.home()

    def set_selecting(self, on: bool) -> None:
        """What a left drag does: select, or pan."""
        for tile in self.tiles:
            tile.view.selecting = on

    def mark_selection(self, cells: NDArray[np.int64] | None) -> None:
        """Frame the cells' bounding box in each tile."""
        _, rows, cols = self._shape
        for tile in self.tiles:
            box = None
            if cells is not None:
                inside = cells[cells // (rows * cols) == tile.number] % (rows * cols)
                if inside.size:
                    r, c = inside // cols, inside % cols
                    top, left = float(r.min()) - 0.5, float(c.min()) - 0.5
                    box = QRectF(left, top, float(np.ptp(c)) + 1, float(np.ptp(r)) + 1)
            tile.set_selection(box)

    def _clicked(self, tile: Tile, point: QPointF) -> None:
        cell = tile.cell(point)
        if cell is not None:
            self.selected.emit(self._addresses(tile, *(range(x, x + 1) for x in cell)))

    def _dragged(self, tile: Tile, box: QRectF) -> None:
        # every cell that the rectangle touches
        top, bottom = (int(np.floor(y + 0.5)) for y in (box.top(), box.bottom()))
        left, right = (int(np.floor(x + 0.5)) for x in (box.left(), box.right()))
        rows = range(max(top, 0), min(bottom + 1, tile.rows))
        cols = range(max(left, 0), min(right + 1, tile.cols))
        if rows and cols:
            self.selected.emit(self._addresses(tile, rows, cols))

    def _addresses(self, tile: Tile, rows: range, cols: range) -> NDArray[np.int64]:
        first = tile.number * tile.rows * tile.cols
        grid = np.asarray(rows)[:, None] * tile.cols + np.asarray(cols)
        return np.asarray(first + grid.reshape(-1), np.int64)

    def _moved(self, where: QPointF) -> None:
        for tile in self.tiles:
            if tile.view.sceneBoundingRect().contains(where):
                cell = tile.cell(tile.view.mapSceneToView(where))
                self.hovered.emit(None if cell is None else (tile.number, *cell))
                return
        self.hovered.emit(None)


def _across(tiles: int) -> int:
    """Columns of the grid: as square as it gets, rather wide."""
    return max(1, int(np.ceil(np.sqrt(tiles)))) if tiles != 8 else 4
