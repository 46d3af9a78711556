"""How a run goes: curves of a training or a sweep, and what may be asked of its process."""

from __future__ import annotations

import time

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cimlab.gui.curves import HEIGHT, Curves
from cimlab.gui.progress import column, describe, last, link_rates, listens
from cimlab.gui.snapshot import Columns, Snapshot, thin

_LINK = ("link (MB/s)", "requests sent again a second")
_TRAINING = (
    "loss",
    "test accuracy (%)",
    "device updates a batch",
    "clipped ADC results (%): worst tile, thin: each",
    *_LINK,
)
_FIXED = len(_TRAINING) - len(_LINK)  # plots always there; those of the link are where a link is
_SWEEP = (
    "g of the cells (\N{MICRO SIGN}S): mean, thin: lowest and highest",
    "clipped readings (%)",
)
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
        self.summary = QLabel("no run yet")
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
        self._make_plots()
        self._compared = False
        self._drawn: tuple[object, ...] = ()
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

    def _make_plots(self) -> None:
        self.plots = pg.GraphicsLayoutWidget()
        self.plots.setMinimumWidth(260)
        self.plots.ci.layout.setSpacing(2)
        titles = ((_TRAINING, "batch"), (_SWEEP, "point"), (_LINK, "time (s)"))
        rows = (0, len(_TRAINING), len(_TRAINING) + len(_SWEEP))
        self._training, self._sweep, self._link = (
            Curves(self.plots, row, names, bottom, lambda: self.fit.setChecked(False))
            for row, (names, bottom) in zip(rows, titles, strict=True)
        )
        loss, accuracy, updates, clipped, rate, repeats = self._training.plots
        blue, grey = pg.mkPen(_BLUE), pg.mkPen(_GREY)
        self._loss = loss.plot(pen=blue, name="batch")
        self._mean = loss.plot(pen=pg.mkPen(_ORANGE, width=2), symbol="o", symbolSize=6)
        self._accuracy = accuracy.plot(pen=pg.mkPen(_BLUE, width=2), symbol="o", symbolSize=6)
        self._baseline = accuracy.plot(pen=pg.mkPen(_GREY, width=2, style=pg.QtCore.Qt.DashLine))
        self._updates = updates.plot(pen=blue)
        self._tiles = clipped.plot(pen=grey, connect="finite")
        self._clipped = clipped.plot(pen=pg.mkPen(_BLUE, width=2))
        g, saturated = self._sweep.plots
        self._low, self._high = (g.plot(pen=grey, connect="finite") for _ in range(2))
        self._g = g.plot(pen=pg.mkPen(_BLUE, width=2), connect="finite")
        self._saturated = saturated.plot(pen=blue)
        self._rates = [plot.plot(pen=blue) for plot in (rate, self._link.plots[0])]
        self._repeats = [plot.plot(pen=pg.mkPen(_RED)) for plot in (repeats, self._link.plots[1])]

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
        self._snapshot = snapshot
        self._describe()
        steps = snapshot.steps
        drawn = (
            snapshot.kind,
            len(column(snapshot.epochs, "step")),
            len(column(steps, "step")),
            int(last(steps, "step")),
            last(snapshot.points, "readings"),
            len(column(snapshot.link, "time")),
            last(snapshot.link, "time"),
        )
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        self._draw_training(snapshot)
        self._draw_sweep(snapshot.points)
        trained = snapshot.kind in ("", "train")
        at, megabytes, again = link_rates(snapshot.link, snapshot.steps)
        self._rates[not trained].setData(at, megabytes)
        self._repeats[not trained].setData(at, again)
        # one rate alone makes no curve; a training's has the axis of the others
        linked = 2 if again.any() else 1 if at.size > (not trained) else 0
        self._training.show(_FIXED + linked if trained else 0)
        self._sweep.show(len(_SWEEP) if snapshot.points else 0)
        self._link.show(0 if trained else linked)
        count = sum(curves.shown for curves in self._curves)
        self.plots.setVisible(count > 0)
        self.plots.setMinimumHeight(HEIGHT * count)
        self._fit_all()

    def _draw_training(self, snapshot: Snapshot) -> None:
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

    def _draw_sweep(self, points: Columns) -> None:
        index = column(points, "index")
        for curve, name in ((self._g, "g"), (self._low, "low"), (self._high, "high")):
            curve.setData(index, 1e6 * column(points, name))
        self._saturated.setData(index, 100 * column(points, "saturated"))

    def _describe(self) -> None:
        self.summary.setText(describe(self._snapshot, time.time()))

    def show_baseline(self, snapshot: Snapshot) -> None:
        """Draw another run's accuracy, in place of the baseline that the run may have."""
        self._compared = True
        self._compare(snapshot.epochs)
        self._fit_all()

    def _compare(self, epochs: Columns) -> None:
        self._baseline.setData(column(epochs, "step"), 100 * column(epochs, "accuracy"))

    @property
    def _curves(self) -> tuple[Curves, ...]:
        return self._training, self._sweep, self._link

    def _fit_all(self) -> None:
        if self.fit.isChecked():
            for curves in self._curves:
                curves.fit()


def _each_tile(
    batch: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One line of all tiles' shares (rows, tiles), broken by NaN between tiles, and thinned."""
    used = np.flatnonzero(np.isfinite(shares).any(axis=0))[:_TILES]
    few = thin({"batch": batch, "shares": shares[:, used]}, _POINTS)
    broken = np.pad(few["shares"], ((0, 1), (0, 0)), constant_values=np.nan)
    return np.tile(np.append(few["batch"], np.nan), used.size), broken.T.ravel()
