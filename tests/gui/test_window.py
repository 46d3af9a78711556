"""The window with a run file: real clicks on a window drawn into memory."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QSettings, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QFileDialog

from cimlab.gui import export
from cimlab.gui.snapshot import Frame, Snapshot
from cimlab.gui.window import Window
from cimlab.records import RunWriter
from cimlab.records.control import control_file
from tests.gui import runs

Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


@pytest.fixture
def run(path: Path) -> RunWriter:
    """A training of three epochs that is still running."""
    with runs.create(path) as writer:
        for number in (1, 2, 3):
            runs.add_epoch(writer, number)
        yield writer


@pytest.fixture
def shown(window: Window, run: RunWriter, path: Path, until: Until) -> Window:
    window.open_run(path)
    until(lambda: window.map.frame is not None)
    return window


def _point(window: Window, tile: int, row: int, col: int) -> object:
    """Where a cell is on the map's viewport."""
    grid = window.map.grid
    scene = grid.tiles[tile].view.mapViewToScene(QPointF(col, row))
    return grid.mapFromScene(scene)


def _click(qtbot: object, window: Window, tile: int, row: int, col: int) -> None:
    where = _point(window, tile, row, col)
    viewport = window.map.grid.viewport()
    qtbot.mouseMove(viewport, where)
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=where)


def _pixel(window: Window, tile: int, row: int, col: int) -> tuple[int, int, int]:
    image: QImage = window.map.grid.grab().toImage()
    colour = image.pixelColor(_point(window, tile, row, col))
    return colour.red(), colour.green(), colour.blue()


def test_the_map_shows_high_cells_lighter_than_low_ones(shown: Window, until: Until) -> None:
    until(lambda: sum(_pixel(shown, 1, 7, 5)) > sum(_pixel(shown, 0, 0, 0)))
    assert _pixel(shown, 1, 7, 5)[1] > 150  # the top of viridis is yellow
    assert _pixel(shown, 0, 0, 0)[1] < 60  # its bottom is violet


def test_a_new_map_reaches_the_screen_by_itself(
    shown: Window, run: RunWriter, until: Until
) -> None:
    shown.map.auto.setChecked(False)
    before = _pixel(shown, 0, 0, 0)
    runs.add_map(run, 9)
    until(lambda: shown.map.frame.index == 3 and _pixel(shown, 0, 0, 0) != before)


def test_the_time_slider_goes_back_and_live_returns(
    qtbot: object, shown: Window, run: RunWriter, until: Until
) -> None:
    shown.map.slider.setValue(0)
    until(lambda: shown.map.frame.index == 0)
    assert not shown.map.live.isChecked()
    runs.add_map(run, 4)
    until(lambda: shown.map.slider.maximum() == 3)
    assert shown.map.frame.index == 0
    qtbot.mouseClick(shown.map.live, Qt.MouseButton.LeftButton)
    until(lambda: shown.map.frame.index == 3)


def test_a_click_inspects_the_cell_under_the_pointer(
    qtbot: object, shown: Window, until: Until
) -> None:
    _click(qtbot, shown, 1, 4, 2)
    assert shown.map.selection.tolist() == [48 + 4 * 6 + 2]
    assert "tile 1, row 4, column 2" in shown.inspector.title.text()
    until(lambda: shown.inspector.plot.listDataItems())
    drawn = shown.inspector.plot.listDataItems()[0].getData()[1]
    expected = [1e7 * runs.currents(n)[1, 4, 2] for n in (1, 2, 3)]
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    until(lambda: "tile 1, row 4, column 2" in shown.map.hover.text())


def test_a_drag_selects_a_region_and_its_histogram_is_drawn(
    qtbot: object, shown: Window, until: Until
) -> None:
    qtbot.keyClick(shown, Qt.Key.Key_S)
    assert shown.map.select_tool.isChecked()
    viewport = shown.map.grid.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=_point(shown, 0, 1, 1))
    for row in (2, 4, 6):
        qtbot.mouseMove(viewport, _point(shown, 0, row, 3), delay=20)
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=_point(shown, 0, 6, 3))
    until(lambda: shown.map.selection is not None)
    rows, cols = np.divmod(shown.map.selection, 6)
    assert set(rows) == set(range(1, 7))
    assert set(cols) == {1, 2, 3}
    shown.inspector.choice.setCurrentText("histogram")
    counts = shown.inspector.plot.listDataItems()[0].getData()[1]
    assert counts.sum() == 18
    shown.inspector.choice.setCurrentText("cumulative")
    assert shown.inspector.plot.listDataItems()[0].getData()[1][-1] == pytest.approx(1, abs=0.05)


def test_zoom_is_linked_and_fit_undoes_it(qtbot: object, shown: Window, until: Until) -> None:
    first, second = (tile.view for tile in shown.map.grid.tiles)
    first.setRange(xRange=(1, 3), yRange=(2, 5), padding=0)
    assert second.viewRange() == first.viewRange()
    qtbot.mouseClick(shown.map.home, Qt.MouseButton.LeftButton)
    until(lambda: second.viewRange()[0] == [-0.5, 5.5])


def test_dragging_a_level_fixes_the_range(shown: Window, run: RunWriter, until: Until) -> None:
    shown.map.bar._region.setRegion((0.0, 100.0))
    assert not shown.map.auto.isChecked()
    dark = _pixel(shown, 1, 7, 5)
    assert dark[1] < 150  # 30 uS lie low in a range up to 100
    runs.add_map(run, 4)
    until(lambda: shown.map.frame.index == 3)
    assert shown.map._scale.high == 100.0


@pytest.mark.parametrize("key", ["current", "pairs", "change", "pulses", "missing"])
def test_every_quantity_can_be_shown(shown: Window, key: str) -> None:
    shown.map.quantity.setCurrentIndex(shown.map.quantity.findData(key))
    shown.map.grid.grab()
    assert ("not in this record" in shown.map.words.text()) == (key == "missing")


def test_pause_continue_and_stop_leave_requests_beside_the_run(
    qtbot: object, shown: Window, path: Path
) -> None:
    for button, word in (("pause", "pause"), ("resume", "run"), ("stop", "stop")):
        qtbot.mouseClick(getattr(shown.training, button), Qt.MouseButton.LeftButton)
        assert json.loads(control_file(path).read_text())["request"] == word


def test_the_training_panel_draws_curves_and_estimates_the_rest(
    shown: Window, run: RunWriter, until: Until
) -> None:
    panel = shown.training
    until(lambda: panel._loss.getData()[0] is not None)
    assert panel._loss.getData()[1][0] == 1.0
    assert panel._accuracy.getData()[1].tolist() == [50.0, 75.0, 87.5]
    assert "epoch 3 of 5" in panel.summary.text()
    assert "about 0:00:04 left" in panel.summary.text()  # two epochs of 2 s
    run.close("stopped")
    until(lambda: "stopped" in panel.summary.text())
    assert not panel.pause.isEnabled()


def test_another_runs_accuracy_is_drawn_as_the_baseline(
    shown: Window, tmp_path: Path, until: Until
) -> None:
    other = tmp_path / "fp32.h5"
    with runs.create(other) as writer:
        runs.add_epoch(writer, 4)
    shown.open_baseline(other)
    curve = shown.training._baseline
    until(lambda: curve.getData()[1] is not None and curve.getData()[1].size)
    assert curve.getData()[1].tolist() == [93.75]


def test_a_deleted_run_gives_a_message_and_keeps_the_map(
    shown: Window, path: Path, until: Until
) -> None:
    path.unlink()
    until(lambda: "deleted" in shown.message.text() and shown.message.isVisible())
    assert shown.map.frame is not None


def test_no_run_file_gives_a_message(window: Window, tmp_path: Path, until: Until) -> None:
    window.open_run(tmp_path / "nothing.h5")
    until(lambda: "does not exist" in window.message.text())


def test_a_program_run_shows_misses_and_what_is_left_to_the_target(
    window: Window, path: Path, until: Until
) -> None:
    with runs.create(path, "program") as writer:
        runs.add_programming(writer)
    window.open_run(path)
    until(lambda: window.map.frame is not None)
    window.map.quantity.setCurrentIndex(window.map.quantity.findData("missing"))
    assert window.map._values[0, 0, 0] == pytest.approx(-1.0, rel=1e-4)  # 2.0 - 2.1 uA at 0.1 V
    before = _pixel(window, 0, 3, 4)
    window.map.overlay.setChecked(True)
    assert _pixel(window, 0, 3, 4) != before
    assert _pixel(window, 0, 3, 4)[0] > 200


def test_pictures_and_tables_are_exported(
    shown: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.map.select(np.array([0, 7]))
    names = iter(["map.png", "map.svg", "cells.csv", "map.gif"])
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / next(names)), "")
    )
    shown.export_picture("map")
    shown.export_picture("map")
    shown.export_table()
    assert QImage(str(tmp_path / "map.png")).width() == shown.map.grid.width()
    assert "<svg" in (tmp_path / "map.svg").read_text()
    lines = (tmp_path / "cells.csv").read_text().splitlines()
    assert lines[0].split(",") == list(export.COLUMNS)
    assert lines[2].split(",")[:3] == ["0", "1", "1"]
    assert float(lines[2].split(",")[5]) == pytest.approx(runs.currents(3).ravel()[7] / 0.1)
    assert len(lines) == 3
    shown.export_picture("map")
    assert "a picture is a .png or a .svg" in shown.message.text()


def test_the_window_is_remembered(qtbot: object, shown: Window, settings: QSettings) -> None:
    shown.map.quantity.setCurrentIndex(shown.map.quantity.findData("pulses"))
    shown.map.colours.setCurrentText("cividis")
    shown.bench.station.setCurrentText("tcp://board:5000")
    shown.set_theme("dark")
    shown.close()
    again = Window(settings)
    qtbot.addWidget(again)
    assert again.map.quantity.currentData() == "pulses"
    assert again.map.colours.currentText() == "cividis"
    assert again.bench.station.currentText() == "tcp://board:5000"
    assert QApplication.palette().window().color().lightness() < 100
    again.close()


def test_ground_without_a_station_says_so(qtbot: object, window: Window) -> None:
    qtbot.mouseClick(window.ground, Qt.MouseButton.LeftButton)
    assert "No station is connected" in window.message.text()


@pytest.mark.parametrize("value", [0.0, 3e-6, 876.543, np.nan])
@pytest.mark.parametrize("log", [False, True])
def test_a_map_of_equal_cells_is_shown(window: Window, value: float, log: bool) -> None:
    window.map.log.setChecked(log)
    current = np.full((2, 8, 6), value, np.float32)
    frame = Frame(0, 0.0, 0, 0.1, current, np.zeros(current.shape, np.uint32))
    window._show(Snapshot("test", shape=current.shape, frames=1, frame=frame))
    window.map.grid.grab()
    window.map._show_histogram()


def test_many_tiles_are_paged(window: Window, tmp_path: Path, until: Until) -> None:
    path = tmp_path / "big.h5"
    array = runs.spec(20, 4, 4)
    with runs.create(path, array=array) as writer:
        runs.add_map(writer, 1, array.shape)
        window.open_run(path)
        until(lambda: window.map.frame is not None)
    assert [t.number for t in window.map.grid.tiles] == list(range(16))
    window.map.page.setCurrentIndex(1)
    assert [t.number for t in window.map.grid.tiles] == [16, 17, 18, 19]
