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

from cimlab.gui.mappanel import clock
from cimlab.gui.snapshot import Columns, Snapshot

_TITLES = (
    "loss",
    "test accuracy (%)",
    "device updates a batch",
    "clipped ADC results, worst tile (%)",
)
_SILENCE = 60.0  # seconds without a row before it is mentioned
_BLUE, _ORANGE, _GREY = (31, 119, 180), (255, 127, 14), (128, 128, 128)


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
        self.plots.setMinimumSize(260, 340)
        self.plots.ci.layout.setSpacing(2)
        self._axes = [self._plot(k) for k in range(4)]
        loss, accuracy, updates, clipped = self._axes
        self._loss = loss.plot(pen=pg.mkPen(_BLUE), name="batch")
        self._mean = loss.plot(pen=pg.mkPen(_ORANGE, width=2), symbol="o", symbolSize=6)
        self._accuracy = accuracy.plot(pen=pg.mkPen(_BLUE, width=2), symbol="o", symbolSize=6)
        self._baseline = accuracy.plot(pen=pg.mkPen(_GREY, width=2, style=pg.QtCore.Qt.DashLine))
        self._updates = updates.plot(pen=pg.mkPen(_BLUE))
        self._clipped = clipped.plot(pen=pg.mkPen(_BLUE))
        self._drawn: tuple[int, ...] = ()
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
        plot.getAxis("left").setTickDensity(0.5)
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        plot.getAxis("bottom").setStyle(showValues=row == 3)
        # ranges are set in steps by _fit: an axis that is drawn anew for every batch, and a grid
        # of half-transparent lines, cost more than the map
        plot.disableAutoRange()
        plot.hideButtons()
        plot.getViewBox().sigRangeChangedManually.connect(lambda *_: self.fit.setChecked(False))
        if row:
            plot.setXLink(self.plots.getItem(0, 0))
        if row == 3:
            plot.setLabel("bottom", "batch")
        return plot

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

    def clear(self) -> None:
        """Empty the curves."""
        self.show_snapshot(Snapshot(""))
        self.show_baseline(Snapshot(""))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw the curves, if they have grown."""
        epochs, steps = snapshot.epochs, snapshot.steps
        running = snapshot.status == "running" and snapshot.kind == "train"
        for button in (self.pause, self.resume, self.stop):
            button.setEnabled(running)
        self._snapshot = snapshot
        self._describe()
        drawn = (len(_column(epochs, "step")), len(_column(steps, "step")))
        last = int(_column(steps, "step")[-1]) if drawn[1] else 0
        if (*drawn, last) == self._drawn:
            return
        self._drawn = (*drawn, last)
        batch, epoch = _column(steps, "step"), _column(epochs, "step")
        self._loss.setData(batch, _column(steps, "loss"))
        self._mean.setData(epoch, _column(epochs, "loss"))
        self._accuracy.setData(epoch, 100 * _column(epochs, "accuracy"))
        self._updates.setData(batch, _column(steps, "device_updates"))
        self._clipped.setData(batch, 100 * _column(steps, "saturated"))
        self._fit_all()

    def _describe(self) -> None:
        self.summary.setText(describe(self._snapshot, time.time()))

    def show_baseline(self, snapshot: Snapshot) -> None:
        """Draw another run's accuracy."""
        epochs = snapshot.epochs
        self._baseline.setData(_column(epochs, "step"), 100 * _column(epochs, "accuracy"))
        self._fit_all()

    def _fit_all(self) -> None:
        if not self.fit.isChecked():
            return
        for plot in self._axes:
            drawn = [item.getOriginalDataset() for item in plot.listDataItems()]
            views = zip(plot.viewRange(), (plot.setXRange, plot.setYRange), strict=True)
            for k, (now, set_range) in enumerate(views):
                values = [data[k] for data in drawn if data[k] is not None and len(data[k])]
                wanted = better_range(np.concatenate(values), now) if values else None
                if wanted is not None:
                    set_range(*wanted, padding=0)


def _column(columns: Columns, name: str) -> NDArray[np.float64]:
    return np.asarray(columns.get(name, ()), np.float64)


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


def remaining(snapshot: Snapshot) -> float | None:
    """Seconds left of a run, judged by its epochs so far, or by its batches before the first."""
    planned = snapshot.plan.get("epochs")
    if not isinstance(planned, int) or snapshot.status != "running":
        return None
    seconds = _column(snapshot.epochs, "seconds")
    if seconds.size:
        # the newest epochs tell best; the running one has its batches behind it
        pace = float(seconds[-3:].mean())
        since = float(_last(snapshot.steps, "time") - _last(snapshot.epochs, "time"))
        return max((planned - seconds.size) * pace - max(since, 0.0), 0.0)
    batches, done = snapshot.plan.get("batches"), _last(snapshot.steps, "step")
    if not isinstance(batches, int) or not done:
        return None
    elapsed = _last(snapshot.steps, "time") - float(_column(snapshot.steps, "time")[0])
    return float(elapsed / done * (planned * batches - done))


def _last(columns: Columns, name: str) -> float:
    values = _column(columns, name)
    return float(values[-1]) if values.size else 0.0


def describe(snapshot: Snapshot, now: float) -> str:
    """The run in a few lines; now is in s since 1970."""
    if not snapshot.kind:
        return "no training yet"
    plan, epochs = snapshot.plan, snapshot.epochs
    parts = [f"{snapshot.kind} run, {snapshot.status}"]
    if "mode" in plan:
        parts.append(f"mode {plan['mode']}")
    accuracy = _column(epochs, "accuracy")
    if accuracy.size:
        number = int(_last(epochs, "number"))
        of = f" of {plan['epochs']}" if "epochs" in plan else ""
        parts.append(f"epoch {number}{of}")
        parts.append(f"accuracy {100 * accuracy[-1]:.2f} % (best {100 * accuracy.max():.2f} %)")
        parts.append(f"{int(_column(epochs, 'device_updates').sum())} device updates")
        parts.append(f"{int(_column(epochs, 'pulses').sum())} pulses")
    left = remaining(snapshot)
    if left is not None:
        parts.append(f"about {clock(left)} left")
    silent = now - snapshot.modified
    if snapshot.status == "running" and silent > _SILENCE:
        parts.append(f"nothing new for {clock(silent)}: paused, or its process has ended")
    return ",  ".join(parts)
