"""The main window: one source of data, the map in the middle, panels around it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFileDialog,
    QLabel,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from cimlab.core.errors import CimError
from cimlab.gui import export, menus, theme
from cimlab.gui.bench import Bench, BenchState
from cimlab.gui.benchpanel import BenchPanel
from cimlab.gui.follow import Follower
from cimlab.gui.inbox import Inbox
from cimlab.gui.inspector import Inspector
from cimlab.gui.mappanel import MapPanel
from cimlab.gui.snapshot import Snapshot
from cimlab.gui.trainpanel import TrainPanel
from cimlab.records.control import Request, ask

RUNS = "Run files (*.h5);;All files (*)"


class Window(QMainWindow):
    """Follows a run file or drives a station; see docs/gui.md.

    Args:
        settings: Where the window's state is remembered.

    Attributes:
        follower: Of the run file shown, or None.
        baseline: Of the run compared with, or None.
    """

    def __init__(self, settings: QSettings) -> None:
        super().__init__()
        self.setObjectName("cimlab")
        self._settings = settings
        self.follower: Follower | None = None
        self.baseline: Follower | None = None
        self._inbox = Inbox()
        self._baseline_inbox = Inbox()
        self.map = MapPanel()
        self.training = TrainPanel()
        self.inspector = Inspector()
        self.bench = BenchPanel()
        self.message = QLabel()
        self.message.setObjectName("message")
        self.message.setWordWrap(True)
        self.message.setStyleSheet("background: #c62828; color: white; padding: 4px;")
        self.message.hide()
        self.ground = QPushButton("Ground")
        self.ground.setStyleSheet(theme.DANGER)
        self.ground.setToolTip("abort, then put every line at 0 V (F12)")
        self._lay_out()
        menus.build(self)
        self._connect()
        self._restore()

    def open_run(self, path: str | os.PathLike[str]) -> None:
        """Follow a run file; a connected station is let go."""
        self._let_go()
        self._inbox = self._fresh_inbox()
        self.follower = Follower(path, self._inbox.post)
        self.follower.start()
        self.setWindowTitle(f"{Path(path).name} - cimlab")
        self._docks["Run"].raise_()

    def open_baseline(self, path: str | os.PathLike[str]) -> None:
        """Draw another run's accuracy beside this one's."""
        if self.baseline is not None:
            self.baseline.stop()
        self._baseline_inbox.shut()
        self._baseline_inbox = Inbox()
        self._baseline_inbox.arrived.connect(self._show_baseline)
        self.baseline = Follower(path, self._baseline_inbox.post)
        self.baseline.start()

    def open_station(self, station: str) -> None:
        """Connect a station; a followed run is let go."""
        self._let_go()
        self._inbox = self._fresh_inbox()
        bench = Bench(station, self._inbox.post)
        self.bench.station.setCurrentText(station)
        self.bench.set_bench(bench)
        self.bench.select(None)
        bench.start()
        self.setWindowTitle(f"{station} - cimlab")
        self._docks["Bench"].raise_()

    def close_station(self) -> None:
        """Disconnect; the lines are grounded."""
        self._let_go()

    def put_to_ground(self) -> None:
        """Abort, then put every line at 0 V."""
        if self.bench.bench is None:
            self.say(
                "No station is connected here, so there is nothing to ground. "
                "A followed run has its own; ask it to stop."
            )
        else:
            self.bench.bench.ground()

    def say(self, text: str) -> None:
        """Show a message above the map; an empty one hides it."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def choose_run(self) -> None:
        """Ask for a run file, and follow it."""
        if path := QFileDialog.getOpenFileName(self, "Open a run", "runs", RUNS)[0]:
            self.open_run(path)

    def choose_baseline(self) -> None:
        """Ask for a run file to compare with."""
        if path := QFileDialog.getOpenFileName(self, "Open the baseline's run", "runs", RUNS)[0]:
            self.open_baseline(path)

    def export_picture(self, panel: str) -> None:
        """Ask for a name, and draw a panel's plots into it."""
        view = {
            "map": self.map.grid,
            "run": self.training.plots,
            "cells": self.inspector.view,
        }[panel]
        kinds = "PNG (*.png);;SVG (*.svg)"
        if path := QFileDialog.getSaveFileName(self, "Export", f"{panel}.png", kinds)[0]:
            self._try(lambda: export.picture(view, Path(path), self.windowTitle()))

    def export_table(self) -> None:
        """Ask for a name, and write the selected cells, or all, as CSV."""
        frame = self.map.frame
        if frame is None:
            self.say("There is no map to export yet.")
        elif path := QFileDialog.getSaveFileName(self, "Export", "cells.csv", "CSV (*.csv)")[0]:
            self._try(lambda: export.table(frame, self.map.selection, Path(path)))

    def set_theme(self, name: str) -> None:
        """One of theme.THEMES."""
        self._settings.setValue("theme", name)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.apply(application, self, name)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Remember the window; let go of run and station."""
        settings = self._settings
        settings.setValue("geometry", self.saveGeometry())
        settings.setValue("state", self.saveState())
        settings.setValue("station", self.bench.station.currentText())
        self.map.save(settings)
        self._let_go()
        if self.baseline is not None:
            self.baseline.stop()
        self._baseline_inbox.shut()
        settings.sync()
        super().closeEvent(event)

    def _lay_out(self) -> None:
        middle = QWidget()
        layout = QVBoxLayout(middle)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.message)
        layout.addWidget(self.map, 1)
        self.setCentralWidget(middle)
        right = Qt.DockWidgetArea.RightDockWidgetArea
        panels = {
            "Run": self.training,
            "Bench": self.bench,
            "Cells": self.inspector,
        }
        self._docks: dict[str, QDockWidget] = {}
        for name, panel in panels.items():
            dock = QDockWidget(name, self)
            dock.setObjectName(name)
            dock.setWidget(panel)
            self.addDockWidget(right, dock)
            self._docks[name] = dock
        self.tabifyDockWidget(self._docks["Run"], self._docks["Bench"])
        self._docks["Run"].raise_()
        sized = [self._docks["Run"], self._docks["Cells"]]
        self.resizeDocks(sized, [430, 430], Qt.Orientation.Horizontal)
        self.resizeDocks(sized, [540, 260], Qt.Orientation.Vertical)
        self.resize(1360, 860)

    @property
    def docks(self) -> dict[str, QDockWidget]:
        """The panels around the map."""
        return self._docks

    def _connect(self) -> None:
        self.ground.clicked.connect(self.put_to_ground)
        self.map.selected.connect(self._select)
        self.map.wanted.connect(self._want)
        self.training.asked.connect(self._ask)
        self.training.baseline_wanted.connect(self.choose_baseline)
        self.bench.connect_wanted.connect(self.open_station)
        self.bench.disconnect_wanted.connect(self.close_station)

    def _restore(self) -> None:
        settings = self._settings
        if (geometry := settings.value("geometry")) is not None:
            self.restoreGeometry(geometry)
        if (state := settings.value("state")) is not None:
            self.restoreState(state)
        if station := str(settings.value("station", "")):
            self.bench.station.setCurrentText(station)
        self.map.restore(settings)
        self.set_theme(str(settings.value("theme", "system")))
        self.setWindowTitle("cimlab")
        self.statusBar().showMessage("open a run file (Ctrl+O), or connect a station")

    def _fresh_inbox(self) -> Inbox:
        inbox = Inbox()
        inbox.arrived.connect(self._show)
        return inbox

    def _show(self, letter: Snapshot | BenchState) -> None:
        if isinstance(letter, BenchState):
            self.bench.show_state(letter)
            snapshot = letter.view
        else:
            snapshot = letter
            self.training.show_snapshot(snapshot)
        self.say(snapshot.message)
        self.map.show_snapshot(snapshot)
        self.inspector.show_snapshot(snapshot)
        if snapshot.identity:
            self.statusBar().showMessage(
                f"{snapshot.source}   {snapshot.identity} ({snapshot.origin}, "
                f"{snapshot.vmm} VMM),  {snapshot.status}"
            )

    def _show_baseline(self, snapshot: Snapshot) -> None:
        self.training.show_baseline(snapshot)
        if snapshot.message:
            self.say(snapshot.message)

    def _select(self, cells: NDArray[np.int64] | None) -> None:
        self.inspector.inspect(cells)
        self.bench.select(cells)
        if self.follower is not None:
            self.follower.inspect(cells)

    def _want(self, index: int | None) -> None:
        if self.follower is not None:
            self.follower.show(index)

    def _ask(self, request: Request) -> None:
        follower = self.follower
        if follower is not None and self._try(lambda: ask(follower.path, request)):
            self.statusBar().showMessage(f"asked the run to {request}", 5000)

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except (CimError, OSError) as error:
            self.say(str(error))
            return False
        return True

    def _let_go(self) -> None:
        self._inbox.shut()
        if self.follower is not None:
            self.follower.stop()
            self.follower = None
        if self.bench.bench is not None:
            answered = self.bench.bench.close()
            self.bench.set_bench(None)
            self.say(
                ""
                if answered
                else "The station did not answer in time. It is told to "
                "ground its lines as soon as it does; make sure by hand."
            )
        else:
            self.say("")
        self.map.clear()
        self.training.clear()
        self.inspector.show_snapshot(Snapshot(""))
