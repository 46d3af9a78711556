"""The inspected cells: their history, and how a region is distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from cimlab.gui.snapshot import Frame, Snapshot, Trail, drawn

_BLUE, _RED, _GREY = (31, 119, 180), (214, 39, 40), (128, 128, 128)
_BINS = 40
_SYMBOLS = 2000  # points of all cells together; of more, only lines are drawn
_NOTHING = "click a cell, or Shift-drag over a region of the map"

_PLOTS = {
    "g over time": ("time (s)", "g (\N{MICRO SIGN}S)"),
    "g over pulses": ("pulses received", "g (\N{MICRO SIGN}S)"),
    "I over V": ("voltage of the reading (V)", "I (\N{MICRO SIGN}A)"),
    "g over pulse V": ("voltage of the pulse before (V)", "g (\N{MICRO SIGN}S)"),
    "histogram": ("g (\N{MICRO SIGN}S)", "cells"),
    "cumulative": ("g (\N{MICRO SIGN}S)", "share of cells"),
}
_FIRST = {
    "sweep:iv": "g over pulse V",
    "sweep:forming": "g over pulse V",
    "sweep:pulses": "g over pulses",
    "sweep:endurance": "g over pulses",
    "sweep:disturb": "g over pulses",
    "sweep:map": "histogram",
    "sweep:screen": "histogram",
}
"""What a kind of run is looked at first by; others by g over time."""


class Inspector(QWidget):
    """Draws one of several views of the selected cells."""

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel(_NOTHING)
        self.title.setWordWrap(True)
        self.choice = QComboBox()
        self.choice.addItems(list(_PLOTS))
        self.log = QCheckBox("Log")
        self.log.setToolTip("logarithm of the magnitude upwards")
        self.view = pg.GraphicsLayoutWidget()
        self.view.setMinimumSize(240, 180)
        self.plot = self.view.addPlot(enableMenu=False)
        for name in ("left", "bottom"):
            self.plot.getAxis(name).enableAutoSIPrefix(False)
        line = QHBoxLayout()
        line.addWidget(self.choice, 1)
        line.addWidget(self.log)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.title)
        layout.addLayout(line)
        layout.addWidget(self.view, 1)
        self.choice.currentIndexChanged.connect(self.redraw)
        self.log.toggled.connect(self.redraw)
        self._cells: NDArray[np.int64] | None = None
        self._snapshot = Snapshot("")
        self._looks = ("", "", False)

    def inspect(self, cells: NDArray[np.int64] | None) -> None:
        """Look at these cells, (n,) addresses."""
        self._cells = cells
        self.redraw()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Take up newer data."""
        before, self._snapshot = self._snapshot, snapshot
        new = (before.kind, before.source) != (snapshot.kind, snapshot.source)
        if snapshot.kind and (new or (snapshot.kind in _FIRST and before.trail is None)):
            self.choice.setCurrentText(_first_view(snapshot))
        nothing = self._cells is None and before.trail is None and snapshot.trail is None
        same = before.frame is snapshot.frame and before.trail is snapshot.trail
        if not (nothing or same):
            self.redraw()

    def redraw(self) -> None:
        """Draw the chosen view."""
        self.plot.clear()
        choice = self.choice.currentText()
        self._label(choice)
        cells, frame, trail = self._cells, self._snapshot.frame, self._snapshot.trail
        if frame is None or (cells is not None and cells[-1] >= frame.current.size):
            self.title.setText(_NOTHING)
            return
        if cells is None and trail is None:
            self.title.setText(_NOTHING)
            return
        if choice in ("histogram", "cumulative"):
            every = np.arange(frame.current.size) if cells is None else cells
            g = _conductances(frame, every)
            self._distribution(frame, every, g[np.isfinite(g)], choice == "cumulative")
        elif trail is not None and (cells is None or _belongs(trail, cells)):
            self._history(trail, choice)
        if cells is not None:
            self.title.setText(_describe(cells, frame, _conductances(frame, cells)))
        elif trail is not None:
            self.title.setText(f"the first {trail.cells.size} cells of the sweep; {_NOTHING}")

    def _label(self, choice: str) -> None:
        self.log.setEnabled(choice not in ("histogram", "cumulative"))
        looks = (*_PLOTS[choice], self.log.isChecked() and self.log.isEnabled())
        if looks != self._looks:  # axes that are labelled anew are painted anew
            self._looks = looks
            self.plot.setLabel("bottom", looks[0])
            self.plot.setLabel("left", looks[1])
            self.plot.setLogMode(False, looks[2])

    def _history(self, trail: Trail, choice: str) -> None:
        current = 1e6 * trail.current
        with np.errstate(divide="ignore", invalid="ignore"):
            across, down = trail.time, np.where(trail.v_read == 0, np.nan, current / trail.v_read)
        if choice == "g over pulses":
            across = trail.pulses
        elif choice == "I over V":
            across, down = trail.v_read, current
        elif choice == "g over pulse V":
            across = np.where(trail.v_pulse == 0, np.nan, trail.v_pulse)
        if self.log.isChecked():
            down = np.abs(down)
            down = np.where(down > 0, down, np.nan)
        symbols = down.size <= _SYMBOLS
        for k in range(down.shape[1]):
            good = np.isfinite(down[:, k]) & np.isfinite(across[:, k])
            look: dict[str, Any] = {"pen": pg.mkPen(_BLUE if not symbols else _GREY)}
            if symbols:
                # SET and RESET are told apart where the voltage of the pulse is known
                colours = [_RED if v < 0 else _BLUE for v in trail.v_pulse[good, k]]
                brushes = [pg.mkBrush(c) for c in colours]
                look |= {"symbol": "o", "symbolSize": 5, "symbolPen": None, "symbolBrush": brushes}
            self.plot.plot(across[good, k], down[good, k], **look)

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


def _first_view(snapshot: Snapshot) -> str:
    """What such a run is looked at first by."""
    view, trail = _FIRST.get(snapshot.kind, "g over time"), snapshot.trail
    if view == "g over pulse V" and trail is not None:
        levels = trail.v_read[np.isfinite(trail.v_read)]
        if np.unique(levels).size > 2:
            return "I over V"  # quasi-static: a reading at every level
    return view


def _belongs(trail: Trail, cells: NDArray[np.int64]) -> bool:
    """Whether the trail is that of these cells: a sweep need not have visited all of them."""
    return bool(np.isin(trail.cells, drawn(cells)).all())


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
