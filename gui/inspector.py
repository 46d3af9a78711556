"""The inspected cells: their history, and how a region is distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from cimlab.gui.snapshot import Frame, Snapshot, Trail

_BLUE, _RED, _GREY = (31, 119, 180), (214, 39, 40), (128, 128, 128)
_BINS = 40
_LINES = 32  # cells drawn one by one; of more, every so many

_PLOTS = {
    "g over time": ("time (s)", "g (\N{MICRO SIGN}S)"),
    "g over pulses": ("pulses received", "g (\N{MICRO SIGN}S)"),
    "I over V": ("read voltage (V)", "I (\N{MICRO SIGN}A)"),
    "histogram": ("g (\N{MICRO SIGN}S)", "cells"),
    "cumulative": ("g (\N{MICRO SIGN}S)", "share of cells"),
}


class Inspector(QWidget):
    """Draws one of several views of the selected cells."""

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel("click a cell, or Shift-drag over a region of the map")
        self.title.setWordWrap(True)
        self.choice = QComboBox()
        self.choice.addItems(list(_PLOTS))
        self.view = pg.GraphicsLayoutWidget()
        self.view.setMinimumSize(240, 180)
        self.plot = self.view.addPlot(enableMenu=False)
        for name in ("left", "bottom"):
            self.plot.getAxis(name).enableAutoSIPrefix(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for widget, stretch in ((self.title, 0), (self.choice, 0), (self.view, 1)):
            layout.addWidget(widget, stretch)
        self.choice.currentIndexChanged.connect(self.redraw)
        self._cells: NDArray[np.int64] | None = None
        self._snapshot = Snapshot("")

    def inspect(self, cells: NDArray[np.int64] | None) -> None:
        """Look at these cells, (n,) addresses."""
        self._cells = cells
        self.redraw()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Take up newer data."""
        before, self._snapshot = self._snapshot, snapshot
        if self._cells is not None and (
            before.frame is not snapshot.frame or before.trail is not snapshot.trail
        ):
            self.redraw()

    def redraw(self) -> None:
        """Draw the chosen view."""
        self.plot.clear()
        cells, frame = self._cells, self._snapshot.frame
        if cells is None or frame is None or cells[-1] >= frame.current.size:
            self.title.setText("click a cell, or Shift-drag over a region of the map")
            return
        choice = self.choice.currentText()
        bottom, left = _PLOTS[choice]
        self.plot.setLabel("bottom", bottom)
        self.plot.setLabel("left", left)
        g = _conductances(frame, cells)
        self.title.setText(_describe(cells, frame, g))
        if choice in ("histogram", "cumulative"):
            self._distribution(frame, cells, g[np.isfinite(g)], choice == "cumulative")
            return
        trail = self._snapshot.trail
        if trail is not None and np.array_equal(trail.cells, cells):
            self._history(trail, choice)

    def _history(self, trail: Trail, choice: str) -> None:
        every = -(-trail.cells.size // _LINES)
        current = 1e6 * trail.current[:, ::every]
        across: NDArray[Any] = np.broadcast_to(trail.time[:, None], current.shape)
        down = current / trail.v_read[:, None]
        if choice == "g over pulses":
            across = trail.pulses[:, ::every]
        elif choice == "I over V":
            across, down = np.broadcast_to(trail.v_read[:, None], current.shape), current
        v_pulse = trail.v_pulse[:, ::every]
        for k in range(current.shape[1]):
            good = np.isfinite(down[:, k])
            # SET and RESET are told apart where the voltage of the pulse is known
            colours = [_RED if v < 0 else _BLUE for v in v_pulse[good, k]]
            self.plot.plot(
                across[good, k],
                down[good, k],
                pen=None if choice == "I over V" else pg.mkPen(_GREY),
                symbol="o",
                symbolSize=5,
                symbolPen=None,
                symbolBrush=[pg.mkBrush(c) for c in colours],
            )

    def _distribution(
        self, frame: Frame, cells: NDArray[np.int64], g: NDArray[np.float64], cumulative: bool
    ) -> None:
        if g.size == 0:
            return
        if cumulative:
            self.plot.plot(np.sort(g), (np.arange(g.size) + 0.5) / g.size, pen=pg.mkPen(_BLUE))
        else:
            counts, edges = np.histogram(g, _BINS)
            self.plot.plot(
                edges, counts, stepMode="center", fillLevel=0, brush=(*_BLUE, 120), pen=None
            )
        for level in _levels(frame, cells):
            self.plot.addItem(pg.InfiniteLine(level, pen=pg.mkPen(_RED)))


def _conductances(frame: Frame, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    return frame.current.reshape(-1)[cells].astype(np.float64) * (1e6 / frame.v_read)


def _levels(frame: Frame, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Target levels of the cells, uS; none if they are no few levels."""
    if frame.target is None:
        return np.empty(0)
    wanted = frame.target.reshape(-1)[cells].astype(np.float64) * (1e6 / frame.v_read)
    levels = np.unique(np.round(wanted[np.isfinite(wanted)], 4))
    return levels if levels.size <= 64 else np.empty(0)


def _describe(cells: NDArray[np.int64], frame: Frame, g: NDArray[np.float64]) -> str:
    _, rows, cols = frame.current.shape
    tile, rest = divmod(int(cells[0]), rows * cols)
    row, col = divmod(rest, cols)
    if cells.size == 1:
        return f"tile {tile}, row {row}, column {col}: g = {g[0]:.3f} \N{MICRO SIGN}S"
    good = g[np.isfinite(g)]
    if good.size == 0:
        return f"{cells.size} cells of tile {tile}, not read"
    return (
        f"{cells.size} cells of tile {tile} from row {row}, column {col}: g = {good.mean():.3f} "
        f"\N{PLUS-MINUS SIGN} {good.std():.3f} \N{MICRO SIGN}S, "
        f"{good.min():.3f} to {good.max():.3f}"
    )
