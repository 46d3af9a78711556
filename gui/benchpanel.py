"""The bench panel: connect a station, run procedures on the selection, abort, see what happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from cimlab.core.array import ArraySpec
from cimlab.gui.bench import Bench, BenchState, Job
from cimlab.gui.catalogue import Procedure, catalogue
from cimlab.gui.form import PlanForm
from cimlab.protocols import Plan
from cimlab.protocols.characterisation import CellPlan

_STATIONS = (
    "model:",
    "mock:",
    "bench:",
    "tcp://127.0.0.1:5000",
    "serial:///dev/ttyUSB0?baud=3000000",
)
_SILENCE = 3.0
"""Seconds without an answer before the panel says so."""
_WATCHED = {"on_board": "never"}
"""Fields that begin with another value than the plan's: beside the chip nothing can be watched."""


class BenchPanel(QWidget):
    """Controls of one bench.

    Args:
        confirm: Shows a text and asks whether to go on; the panel's own dialog by default.

    Signals:
        connect_wanted: Station to connect.
        disconnect_wanted: Let it go.

    Attributes:
        bench: What the controls act on; None while nothing is connected.
    """

    connect_wanted = Signal(str)
    disconnect_wanted = Signal()

    def __init__(self, confirm: Callable[[str], bool] | None = None) -> None:
        super().__init__()
        self.bench: Bench | None = None
        self._confirm = confirm or self._ask
        self._state: BenchState | None = None
        self._cells: NDArray[np.int64] | None = None
        self._form: PlanForm[Any] | None = None
        self._procedures: list[Procedure] = []
        self.station = QComboBox()
        self.station.setEditable(True)
        self.station.addItems(_STATIONS)
        self.station.setToolTip("a station file (TOML), or a short form")
        self.connect_button = QPushButton("Connect")
        self.identity = QLabel("not connected")
        self.identity.setWordWrap(True)
        self.procedure = QComboBox()
        self.where = QLabel("on all cells")
        self.target = pg.SpinBox(
            value=2e-6, bounds=(0, 1), suffix="A", siPrefix=True, dec=True, compactHeight=False
        )
        self.target.setToolTip("wanted current of every selected cell, A at the read voltage")
        self.record = QCheckBox("Record to runs/")
        self.record.setChecked(True)
        self.record.setToolTip("every procedure that pulses makes a run file")
        self.start, self.abort = QPushButton("Run"), QPushButton("Abort")
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMinimumHeight(90)
        self._silence = QTimer(self)
        self._silence.setInterval(500)
        self._lay_out()
        self._connect()
        self._enable()

    def show_state(self, state: BenchState) -> None:
        """Take up a newer state of the bench."""
        old, self._state = self._state, state
        if old is None or old.log != state.log:
            self.log.setPlainText("\n".join(state.log))
            bar = self.log.verticalScrollBar()
            bar.setValue(bar.maximum())
        self._describe()
        self._enable()

    def set_bench(self, bench: Bench | None) -> None:
        """Act on this bench from now on."""
        self.bench, self._state = bench, None
        if bench is not None and not self._procedures:
            self._list_procedures()
        if bench is None:
            self._silence.stop()
        else:
            self._silence.start()
        self._describe()
        self._enable()

    def select(self, cells: NDArray[np.int64] | None) -> None:
        """Run on these cells; None means all."""
        self._cells = cells
        self.where.setText("on all cells" if cells is None else f"on {cells.size} selected cells")
        if self.bench is not None:
            self.bench.inspect(cells)

    def _lay_out(self) -> None:
        line, buttons, form = QHBoxLayout(), QHBoxLayout(), QFormLayout()
        line.addWidget(self.station, 1)
        line.addWidget(self.connect_button)
        buttons.addWidget(self.record)
        buttons.addWidget(self.start, 1)
        buttons.addWidget(self.abort, 1)
        form.addRow("procedure", self.procedure)
        form.addRow("target", self.target)
        self._target_label = form.labelForField(self.target)
        self._holder = QScrollArea()
        self._holder.setWidgetResizable(True)
        self._holder.setMinimumHeight(140)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(line)
        layout.addWidget(self.identity)
        layout.addLayout(form)
        layout.addWidget(self.where)
        layout.addWidget(self._holder, 3)
        layout.addLayout(buttons)
        layout.addWidget(self.log, 1)

    def _connect(self) -> None:
        self.connect_button.clicked.connect(self._toggle)
        self.procedure.currentIndexChanged.connect(self._choose)
        self.start.clicked.connect(self._run)
        self.abort.clicked.connect(self._abort)
        self._silence.timeout.connect(self._describe)

    def _list_procedures(self) -> None:
        self._procedures = catalogue()
        self.procedure.addItems([p.title for p in self._procedures])

    def _toggle(self) -> None:
        if self.bench is None:
            self.connect_wanted.emit(self.station.currentText().strip())
        else:
            self.disconnect_wanted.emit()

    def _choose(self, index: int) -> None:
        procedure = self._procedures[index]
        self._form = PlanForm(procedure.plan, _WATCHED)
        self._form.changed.connect(self._enable)
        self._holder.setWidget(self._form)
        for widget in (self.target, self._target_label):
            widget.setVisible("target" in procedure.needs)
        self._enable()

    def _run(self) -> None:
        plan = None if self._form is None else self._form.plan()
        if plan is None or self.bench is None or self._state is None:
            return
        procedure = self._procedures[self.procedure.currentIndex()]
        cells = self._cells if "cells" in procedure.needs else None
        if not procedure.harmless:
            how_many = "all cells" if cells is None else f"{cells.size} cells"
            question = f"{procedure.title} on {how_many} of {self.bench.station}?\n\n"
            if not self._confirm(question + stress_text(plan, self._state.spec)):
                return
        target = self.target.value() if "target" in procedure.needs else None
        folder = Path("runs") if self.record.isChecked() else None
        self.bench.run(Job(procedure, plan, cells, target, folder))

    def _abort(self) -> None:
        if self.bench is not None:
            self.bench.abort()

    def _ask(self, text: str) -> bool:
        answer = QMessageBox.warning(
            self,
            "Pulses change the devices",
            text,
            QMessageBox.StandardButton.Ok | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return answer == QMessageBox.StandardButton.Ok

    def _describe(self) -> None:
        bench, state = self.bench, self._state
        if bench is None:
            self.identity.setText("not connected")
            return
        view = None if state is None else state.view
        who = f"{view.identity} ({view.origin})" if view and view.identity else bench.station
        phase = "connecting" if state is None else state.phase
        text = f"{who}: {phase}"
        if state is not None and phase == "running":
            text += f", {state.activity}, {state.events} events"
            text += "" if state.done is None else f", {100 * state.done:.0f} % done"
        if state is not None and state.link:
            text += f"\n{state.link}"
        silent = time.monotonic() - bench.heard
        if phase in ("connecting", "running") and silent > _SILENCE:
            text += f"; no answer for {silent:.0f} s"
        if view is not None and view.message:
            text += f"\n{view.message}"
        self.identity.setText(text)

    def _enable(self) -> None:
        phase = None if self._state is None else self._state.phase
        self.connect_button.setText("Connect" if self.bench is None else "Disconnect")
        self.station.setEnabled(self.bench is None)
        ready = phase == "idle" and self._form is not None and self._form.plan() is not None
        self.start.setEnabled(ready)
        self.abort.setEnabled(phase == "running")


def stress_text(plan: Plan, spec: ArraySpec | None) -> str:
    """What the plan does to a cell, and the limits, for who is about to pulse the devices."""
    if spec is None:
        return ""
    limits, text = spec.limits, ""
    if isinstance(plan, CellPlan):
        stress = plan.stress(spec)
        text = (
            f"At most {stress.pulses} pulses a cell, {_volts(stress.v_min)} to "
            f"{_volts(stress.v_max)}.\n"
        )
    return text + (
        f"Refused beyond: SET {limits.v_set:g} V, RESET {_volts(-limits.v_reset)}, "
        f"read {limits.v_read:g} V,\n"
        f"width {limits.width_min:g} to {limits.width_max:g} s, "
        f"{limits.count_max} pulses a cell and call."
    )


def _volts(volts: float) -> str:
    return f"{volts:g} V".replace("-", "\N{MINUS SIGN}")
