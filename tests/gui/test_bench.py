"""The bench panel on an emulated array: real clicks, real threads."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QMessageBox

from cimlab import records
from cimlab.gui import benchpanel
from cimlab.gui.catalogue import PulsePlan, catalogue
from cimlab.gui.form import PlanForm
from cimlab.gui.window import Window
from cimlab.protocols import Ispp, WriteVerify
from cimlab.protocols.noise import ReadNoisePlan

Until = Callable[[Callable[[], object]], None]
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def asked(window: Window) -> list[str]:
    """What the panel asked before dangerous actions; every answer is yes."""
    questions: list[str] = []

    def confirm(text: str) -> bool:
        questions.append(text)
        return True

    window.bench._confirm = confirm
    return questions


@pytest.fixture
def bench(
    qtbot: object,
    window: Window,
    asked: list[str],
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Window:
    """The window, connected by a click."""
    monkeypatch.chdir(tmp_path)  # where runs/ is made
    window.bench.station.setCurrentText("model:?tiles=2&rows=8&cols=6")
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    until(lambda: window.map.frame is not None and np.isfinite(window.map.frame.current).all())
    return window


def _choose(window: Window, title: str) -> None:
    window.bench.procedure.setCurrentIndex(window.bench.procedure.findText(title))


def _field(window: Window, name: str) -> object:
    return window.bench._form.findChild(object, name)


def _log(window: Window) -> str:
    return window.bench.log.toPlainText()


def test_connecting_names_the_instrument_and_reads_its_cells(bench: Window) -> None:
    assert "cimlab emulated board" in bench.bench.identity.text()
    assert bench.map.frame.current.shape == (2, 8, 6)


def test_a_selection_is_programmed_after_one_question_with_the_limits(
    qtbot: object, bench: Window, asked: list[str], until: Until
) -> None:
    bench.map.select(np.arange(6))
    _choose(bench, "Program: WriteVerify")
    bench.bench.target.setValue(2.5e-6)
    qtbot.mouseClick(bench.bench.start, LEFT)
    until(lambda: "done in" in _log(bench) and bench.bench.start.isEnabled())
    assert len(asked) == 1
    assert "6 cells" in asked[0]
    assert "SET 3.3 V" in asked[0]
    g = bench.map.frame.current.reshape(-1)
    assert np.abs(g[:6] - 2.5e-6).max() < 1.2e-6
    assert (bench.map.frame.pulses.reshape(-1)[:6] > 0).all()
    assert not bench.map.frame.pulses.reshape(-1)[6:].any()
    (made,) = Path("runs").iterdir()
    with records.load(made) as run:
        assert (run.kind, run.status, run.plan["procedure"]) == (
            "bench",
            "finished",
            "Program: WriteVerify",
        )
        assert np.isfinite(run.column("programming", "target")).sum() == 6
        np.testing.assert_allclose(run.column("maps", "current")[-1].reshape(-1), g, rtol=1e-6)
    # the pulses' effect on the inspected cells was kept
    bench.inspector.choice.setCurrentText("g over pulses")
    until(lambda: len(bench.inspector.plot.listDataItems()) == 6)


def test_refusing_the_question_leaves_the_cells_alone(qtbot: object, bench: Window) -> None:
    bench.bench._confirm = lambda text: False
    _choose(bench, "Pulse cells")
    qtbot.mouseClick(bench.bench.start, LEFT)
    assert not bench.map.frame.pulses.any()
    assert "Pulse cells" not in _log(bench)


def test_a_pulse_beyond_the_limits_is_refused_with_a_message(
    qtbot: object, bench: Window, until: Until
) -> None:
    _choose(bench, "Pulse cells")
    _field(bench, "v").setValue(9.0)
    qtbot.mouseClick(bench.bench.start, LEFT)
    until(lambda: "Pulse cells:" in bench.message.text())
    assert not bench.map.frame.pulses.any()
    until(bench.bench.start.isEnabled)  # and the bench goes on
    (made,) = Path("runs").iterdir()
    with records.load(made) as run:
        assert run.status == "failed"


def test_a_folder_that_cannot_be_written_stops_the_procedure_before_it_pulses(
    qtbot: object, bench: Window, until: Until
) -> None:
    Path("runs").write_text("in the way")
    _choose(bench, "Pulse cells")
    qtbot.mouseClick(bench.bench.start, LEFT)
    until(lambda: "cannot write" in bench.message.text())
    assert not bench.map.frame.pulses.any()


def test_reading_asks_nothing_and_is_drawn_over_its_voltage(
    qtbot: object, bench: Window, asked: list[str], until: Until
) -> None:
    bench.map.select(np.array([3]))
    for volts in (0.05, 0.1):
        _field(bench, "v").setValue(volts)
        before = _log(bench).count("done in")
        qtbot.mouseClick(bench.bench.start, LEFT)
        until(lambda n=before: _log(bench).count("done in") > n and bench.bench.start.isEnabled())
    assert asked == []
    bench.inspector.choice.setCurrentText("I over V")
    until(lambda: bench.inspector.plot.listDataItems())
    volts = bench.inspector.plot.listDataItems()[0].getData()[0]
    np.testing.assert_allclose(np.unique(np.round(volts, 2)), [0.05, 0.1])


def test_a_sweep_is_watched_and_leaves_its_points(
    qtbot: object, bench: Window, asked: list[str], until: Until
) -> None:
    bench.map.select(np.array([3, 40]))
    _choose(bench, "I-V curve")
    _field(bench, "v_stop").setValue(1.2)
    _field(bench, "v_stop_reset").setValue(-1.2)
    qtbot.mouseClick(bench.bench.start, LEFT)
    until(lambda: "done in" in _log(bench) and bench.bench.start.isEnabled())
    assert "pulses a cell, \N{MINUS SIGN}1.2 V to 1.2 V" in asked[0]
    (made,) = Path("runs").iterdir()
    with records.load(made) as run:
        assert (run.kind, run.status, run.done) == ("sweep:iv", "finished", 1.0)
        assert run.plan["v_stop"] == 1.2
        cells, counts = np.unique(run.column("points", "cell"), return_counts=True)
        assert cells.tolist() == [3, 40]
        assert (counts > 40).all()
    bench.inspector.choice.setCurrentText("g over pulse V")
    assert len(bench.inspector.plot.listDataItems()) == 2
    volts = bench.inspector.plot.listDataItems()[0].getData()[0]
    assert volts.min() == pytest.approx(-1.2) and volts.max() == pytest.approx(1.2)


def test_a_bench_of_instruments_is_driven_and_watched(
    qtbot: object,
    window: Window,
    asked: list[str],
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real drivers on emulated instruments in a process of their own: quasi-static curves."""
    monkeypatch.chdir(tmp_path)
    window.bench.station.setCurrentText("bench:?dut=crossbar:2x2:brram")
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    until(lambda: window.map.frame is not None and np.isfinite(window.map.frame.current).all())
    assert "2450" in window.bench.identity.text()
    window.map.select(np.array([2]))
    _choose(window, "I-V curve")
    _field(window, "step").setValue(0.5)
    qtbot.mouseClick(window.bench.start, LEFT)
    until(lambda: "done in" in _log(window) and window.bench.start.isEnabled())
    assert "mode dc" in _log(window)
    window.inspector.choice.setCurrentText("I over V")
    (curve,) = window.inspector.plot.listDataItems()
    volts, current = curve.getData()
    assert volts.max() == pytest.approx(2.5) and volts.min() == pytest.approx(-2.8)
    assert current[volts.argmax()] > 10 > abs(current[np.abs(volts).argmin()])


def _run_without_end(qtbot: object, bench: Window, until: Until) -> None:
    _choose(bench, "Read noise and telegraph noise")
    _field(bench, "reads").setValue(2_000_000)
    qtbot.mouseClick(bench.bench.start, LEFT)
    until(lambda: bench.bench._state.phase == "running" and bench.bench._state.events > 10)


def test_abort_stops_a_procedure_in_its_midst(qtbot: object, bench: Window, until: Until) -> None:
    _run_without_end(qtbot, bench, until)
    qtbot.mouseClick(bench.bench.abort, LEFT)
    until(lambda: "aborted after" in _log(bench) and bench.bench.start.isEnabled())
    (made,) = Path("runs").iterdir()
    with records.load(made) as run:
        assert run.status == "stopped"


def test_ground_overtakes_a_procedure(qtbot: object, bench: Window, until: Until) -> None:
    _run_without_end(qtbot, bench, until)
    qtbot.keyClick(bench, Qt.Key.Key_F12)
    until(lambda: "all lines grounded" in _log(bench))
    assert "aborted after" in _log(bench)


def test_closing_the_window_ends_a_procedure(qtbot: object, bench: Window, until: Until) -> None:
    _run_without_end(qtbot, bench, until)
    bench.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("cimlab-")]


def test_a_wrong_station_gives_a_message(qtbot: object, window: Window, until: Until) -> None:
    window.bench.station.setCurrentText("modle:")
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    until(lambda: "did you mean 'model:'" in window.message.text())
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    assert window.bench.connect_button.text() == "Connect"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_station_that_does_not_answer_is_reported_and_can_be_left(
    qtbot: object,
    window: Window,
    silent: int,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchpanel, "_SILENCE", 0.5)
    window.bench.station.setCurrentText(f"tcp://127.0.0.1:{silent}")
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    said = window.bench.identity.text
    until(lambda: "no answer for" in said() or "failed" in said())
    qtbot.mouseClick(window.bench.connect_button, LEFT)
    assert window.bench.connect_button.text() == "Connect"


def test_the_dialog_asks_and_cancel_is_the_default(qtbot: object, window: Window) -> None:
    def answer() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        button: QAbstractButton = box.button(QMessageBox.StandardButton.Cancel)
        assert box.defaultButton() is button
        qtbot.mouseClick(button, LEFT)

    from PySide6.QtCore import QTimer

    QTimer.singleShot(200, answer)
    assert not window.bench._ask("Really?")


def test_the_catalogue_finds_the_protocols() -> None:
    titles = {p.title: p for p in catalogue()}
    assert titles["Program: WriteVerify"].plan is WriteVerify
    assert titles["Program: Ispp"].plan is Ispp
    assert titles["Program: Ispp"].needs == {"cells", "target"}
    assert titles["Read noise and telegraph noise"].plan is ReadNoisePlan
    assert titles["I-V curve"].sweep == "iv"
    assert len(titles) == len(catalogue())
    assert not any("Ramps" in title for title in titles)


@pytest.mark.parametrize("procedure", catalogue(), ids=lambda p: p.title)
def test_every_plan_has_a_form_whose_defaults_are_valid(qtbot: object, procedure: object) -> None:
    form = PlanForm(procedure.plan)
    qtbot.addWidget(form)
    assert form.plan() == procedure.plan()


def test_a_procedure_is_watched_unless_it_is_put_beside_the_chip(bench: Window) -> None:
    _choose(bench, "Program: WriteVerify")
    assert bench.bench._form.plan().on_board == "never"
    assert WriteVerify().on_board == "auto"


def test_a_form_shows_units_keeps_ranges_and_explains_mistakes(qtbot: object) -> None:
    form = PlanForm(WriteVerify)
    qtbot.addWidget(form)
    tol = form.findChild(object, "tol")
    assert tol.text().endswith("nA")
    form.findChild(object, "averages").setValue(-3)
    assert form.plan().averages == 1
    form.findChild(object, "set_start").setValue(3.5)
    assert form.plan() is None
    assert "a ramp must start at or below its stop" in form._mistakes.text()
    form.findChild(object, "set_start").setValue(1.4)
    assert form.plan().set_start == pytest.approx(1.4)
    assert form._mistakes.text() == ""


def test_typing_into_a_form_reaches_the_plan(qtbot: object) -> None:
    form = PlanForm(PulsePlan)
    qtbot.addWidget(form)
    form.show()
    field = form.findChild(object, "width")
    field.lineEdit().selectAll()
    qtbot.keyClicks(field.lineEdit(), "250 ns")
    qtbot.keyClick(field.lineEdit(), Qt.Key.Key_Return)
    assert form.plan().width == pytest.approx(250e-9)
