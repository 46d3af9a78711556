"""How a training goes: loss, accuracy, device updates, clipping, and what may be asked of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cimlab.gui.progress import column, describe, last, link_rates, listens
from cimlab.gui.snapshot import Columns, Snapshot, thin

_TITLES = (
    "loss",
    "test accuracy (%)",
    "device updates a batch",
    "clipped ADC results (%): worst tile, thin: each",
    "link (MB/s)",
    "requests sent again a second",
)
_FIXED = 4  # plots that are always there; those of the link are where a link is
_HEIGHT = 80  # of a plot, at least
_TILES = 16  # tiles drawn one by one
_POINTS = 250  # of each of them
_BLUE, _ORANGE, _GREY, _RED = (31, 119, 180), (255, 127, 14), (128, 128, 128), (214, 39, 40)


class TrainPanel(QWidget):
    """Curves of a followed run.

    Signals:
        asked: "pause", "run" or "stop", for the run in its own process.
        baseline_wanted: The person wants another run's curve to compare with.
    """

    asked = Signal(str)
    baseline_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.summary = QLabel("no training yet")
        self.summary.setWordWrap(True)
        self.summary.setMinimumHeight(3 * self.summary.fontMetrics().lineSpacing())
        self.pause, self.resume, self.stop = map(QPushButton, ("Pause", "Continue", "Stop"))
        self.compare = QPushButton("Baseline\N{HORIZONTAL ELLIPSIS}")
        self.compare.setToolTip("draw another run's accuracy too, such as one of --mode fp32")
        self.pause.setToolTip("ask the run to pause after this batch (through RUN.h5.control)")
        self.stop.setToolTip("ask the run to store a checkpoint and end; --resume continues it")
        self.fit = QCheckBox("Fit")
        self.fit.setChecked(True)
        self.fit.setToolTip("show all of the curves; zooming ends it")
        self.fit.toggled.connect(lambda on: self._fit_all() if on else None)
        self.plots = pg.GraphicsLayoutWidget()
        self.plots.setMinimumWidth(260)
        self.plots.ci.layout.setSpacing(2)
        self._axes = [self._plot(k) for k in range(len(_TITLES))]
        loss, accuracy, updates, clipped, link, repeats = self._axes
        self._loss = loss.plot(pen=pg.mkPen(_BLUE), name="batch")
        self._mean = loss.plot(pen=pg.mkPen(_ORANGE, width=2), symbol="o", symbolSize=6)
        self._accuracy = accuracy.plot(pen=pg.mkPen(_BLUE, width=2), symbol="o", symbolSize=6)
        self._baseline = accuracy.plot(pen=pg.mkPen(_GREY, width=2, style=pg.QtCore.Qt.DashLine))
        self._updates = updates.plot(pen=pg.mkPen(_BLUE))
        self._tiles = clipped.plot(pen=pg.mkPen(_GREY), connect="finite")
        self._clipped = clipped.plot(pen=pg.mkPen(_BLUE, width=2))
        self._link = link.plot(pen=pg.mkPen(_BLUE))
        self._repeats = repeats.plot(pen=pg.mkPen(_RED))
        self._shown = len(_TITLES)
        self._compared = False
        self._drawn: tuple[float, ...] = ()
        self._snapshot = Snapshot("")
        self._silence = QTimer(self)
        self._silence.setInterval(5000)
        self._silence.timeout.connect(self._describe)
        self._silence.start()
        self._lay_out()
        for button, word in ((self.pause, "pause"), (self.resume, "run"), (self.stop, "stop")):
            button.clicked.connect(lambda _=False, w=word: self.asked.emit(w))
        self.compare.clicked.connect(self.baseline_wanted)
        self.clear()

    def _plot(self, row: int) -> Any:
        plot = self.plots.addPlot(row=row, col=0, enableMenu=False)
        plot.setTitle(_TITLES[row], size="9pt")
        plot.layout.setRowFixedHeight(0, 16)
        plot.getAxis("left").setWidth(48)
        plot.getAxis("left").setTickDensity(0.3)
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        # ranges are set in steps by _fit: an axis that is drawn anew for every batch, and a grid
        # of half-transparent lines, cost more than the map
        plot.disableAutoRange()
        plot.hideButtons()
        plot.getViewBox().sigRangeChangedManually.connect(lambda *_: self.fit.setChecked(False))
        return plot

    def _show_plots(self, count: int) -> None:
        """Show the first so many plots; the last of them has the numbers of the batches."""
        if count == self._shown:
            return
        self._shown = count
        for row, plot in enumerate(self._axes):
            lowest = row == count - 1
            plot.setVisible(row < count)
            # a hidden plot has no place on the screen to align others with
            plot.setXLink(self._axes[0] if 0 < row < count else None)
            plot.getAxis("bottom").setStyle(showValues=lowest)
            plot.getAxis("bottom").setLabel("batch" if lowest else None)
            plot.getAxis("bottom").showLabel(lowest)
        self.plots.setMinimumHeight(_HEIGHT * count)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.pause, self.resume, self.stop, self.compare):
            buttons.addWidget(button)
        buttons.addWidget(self.fit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.summary)
        layout.addWidget(self.plots, 1)
        layout.addLayout(buttons)
        layout.addStretch(0)

    def clear(self) -> None:
        """Empty the curves."""
        self._compared = False
        self.show_snapshot(Snapshot(""))
        self._baseline.setData([], [])

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw the curves, if they have grown."""
        for button in (self.pause, self.resume, self.stop):
            button.setEnabled(snapshot.status in ("running", "paused") and listens(snapshot.kind))
        self.plots.setVisible(snapshot.kind in ("", "train"))
        self._snapshot = snapshot
        self._describe()
        steps = snapshot.steps
        drawn = (
            len(column(snapshot.epochs, "step")),
            len(column(steps, "step")),
            int(last(steps, "step")),
            len(column(snapshot.link, "time")),
            last(snapshot.link, "time"),
        )
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        epochs, steps = snapshot.epochs, snapshot.steps
        batch, epoch = column(steps, "step"), column(epochs, "step")
        self._loss.setData(batch, column(steps, "loss"))
        self._mean.setData(epoch, column(epochs, "loss"))
        self._accuracy.setData(epoch, 100 * column(epochs, "accuracy"))
        self._updates.setData(batch, column(steps, "device_updates"))
        self._clipped.setData(batch, 100 * column(steps, "saturated"))
        self._tiles.setData(*_each_tile(batch, 100 * np.atleast_2d(column(steps, "clipped"))))
        if not self._compared and snapshot.baseline:
            self._compare(snapshot.baseline)
        at, megabytes, again = link_rates(snapshot.link, steps)
        self._link.setData(at, megabytes)
        self._repeats.setData(at, again)
        self._show_plots(_FIXED + (2 if again.any() else 1 if at.size else 0))
        self._fit_all()

    def _describe(self) -> None:
        self.summary.setText(describe(self._snapshot, time.time()))

    def show_baseline(self, snapshot: Snapshot) -> None:
        """Draw another run's accuracy, in place of the baseline that the run may have."""
        self._compared = True
        self._compare(snapshot.epochs)
        self._fit_all()

    def _compare(self, epochs: Columns) -> None:
        self._baseline.setData(column(epochs, "step"), 100 * column(epochs, "accuracy"))

    def _fit_all(self) -> None:
        if not self.fit.isChecked():
            return
        # the axis of the batches is one for all: what one plot lacks must not narrow another
        _fit(self._axes[0].viewRange()[0], self._axes[0].setXRange, self._values(self._axes, 0))
        for plot in self._axes:
            _fit(plot.viewRange()[1], plot.setYRange, self._values([plot], 1))

    def _values(self, plots: list[Any], axis: int) -> NDArray[np.float64]:
        """Everything drawn in these plots, along x (0) or y (1)."""
        drawn = [item.getOriginalDataset()[axis] for p in plots for item in p.listDataItems()]
        return np.concatenate([np.empty(0), *(values for values in drawn if values is not None)])


def _each_tile(
    batch: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One line of all tiles' shares (rows, tiles), broken by NaN between tiles, and thinned."""
    used = np.flatnonzero(np.isfinite(shares).any(axis=0))[:_TILES]
    few = thin({"batch": batch, "shares": shares[:, used]}, _POINTS)
    broken = np.pad(few["shares"], ((0, 1), (0, 0)), constant_values=np.nan)
    return np.tile(np.append(few["batch"], np.nan), used.size), broken.T.ravel()


def _fit(now: Sequence[float], set_range: Any, values: NDArray[np.float64]) -> None:
    wanted = better_range(values, now)
    if wanted is not None:
        set_range(*wanted, padding=0)


def better_range(values: NDArray[np.float64], now: Sequence[float]) -> tuple[float, float] | None:
    """A range for these values with room to grow; None while the present one will do."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    span = max(high - low, 1e-3 * abs(high), 1e-6)
    if now[0] <= low and high <= now[1] and span > 0.5 * (now[1] - now[0]):
        return None
    return low - 0.05 * span, high + 0.2 * span
