"""Sweeps in the window: points of a run file, while it is written and afterwards."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog

from cimlab.gui import points
from cimlab.gui.points import PointLog
from cimlab.gui.snapshot import LINES
from cimlab.gui.window import Window
from cimlab.records import Header, RunWriter, load, writer
from tests.gui import runs
from tests.gui.test_training import Counts

Until = Callable[[Callable[[], object]], None]


def create(path: Path, kind: str = "sweep:pulses") -> RunWriter:
    return RunWriter.create(path, Header(kind, runs.spec(), plan={"v_read": 0.1}))


def add_points(run: RunWriter, index: int, cells: list[int], **rest: object) -> None:
    """One point of each cell: pulse number `index`, 1 uS a pulse."""
    n = len(cells)
    given = {
        "time": 1e5 + index,  # of a virtual clock
        "index": index,
        "cycle": 0,
        "v": 1.5 if index else 0.0,
        "width": 1e-6,
        "count": 1 if index else 0,
        "v_read": 0.1,
        "current": 1e-7 * (10 + index),
        "saturated": False,
        **rest,
    }
    run.extend("points", {"cell": np.array(cells)} | {k: np.full(n, v) for k, v in given.items()})


def test_a_sweep_is_followed_from_its_first_point_to_its_summary(
    window: Window, tmp_path: Path, until: Until
) -> None:
    path = tmp_path / "run.h5"
    cells = [3, 9, 50]
    with create(path) as run:
        runs.add_map(run, 1)
        window.open_run(path)
        until(lambda: window.map.frame is not None)
        assert window.map.frame.index == 0
        for index in range(5):
            add_points(run, index, cells)
        run.progress(0.25)
        run.flush()
        until(lambda: window.map.frame.index == 1)
        frame = window.map.frame
        assert frame.current[1, 0, 2] == pytest.approx(14e-7)
        assert frame.current[0, 0, 0] == pytest.approx(runs.currents(1)[0, 0, 0])  # of the map
        assert (frame.pulses[0, 0, 3], frame.pulses[0, 0, 4]) == (5, 1)
        # without a click, the sweep's first cells are drawn, in the view that suits
        assert window.inspector.choice.currentText() == "g over pulses"
        until(lambda: len(window.inspector.plot.listDataItems()) == 3)
        across, down = window.inspector.plot.listDataItems()[2].getData()
        assert across.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(down, [10, 11, 12, 13, 14])
        assert "25 % done" in window.training.summary.text()
        assert "left" in window.training.summary.text()
        assert window.training.pause.isEnabled()
        window.map.select(np.array([9]))
        until(lambda: len(window.inspector.plot.listDataItems()) == 1)
        add_points(run, 5, cells)
        run.flush()
        until(lambda: len(window.inspector.plot.listDataItems()[0].getData()[0]) == 6)
        runs.add_map(run, 2)
        run.progress(1.0)
        run.summarise({"g_max_median_S": 1.5e-5, "cells": 3})
    until(lambda: "finished" in window.training.summary.text())
    assert "g max median 15 \N{MICRO SIGN}S" in window.training.summary.text()
    assert "cells 3" in window.training.summary.text()
    assert not window.training.pause.isEnabled()
    assert window.map.frame.index == 1
    assert window.map.slider.maximum() == 1
    np.testing.assert_allclose(window.map.frame.current, runs.currents(2), rtol=1e-6)


def test_the_run_panel_draws_all_cells_of_a_sweep_and_its_link(
    window: Window, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells that are visited one after another fill in the same points."""
    monkeypatch.setattr(writer, "_LINK_SECONDS", 0.0)
    path, link = tmp_path / "run.h5", Counts()
    with create(path) as run:
        run.watch_link(lambda: link)
        for cell, factor in ((3, 1.0), (9, 3.0)):
            for index in range(4):
                clipped = index == 3 and cell == 9
                add_points(run, index, [cell], current=factor * 1e-6, saturated=clipped)
        add_points(run, 4, [3], v_read=0.0, current=0.0)
        run.flush()
        window.open_run(path)
        panel = window.training
        until(lambda: panel._sweep.shown == 2)
        assert (panel._training.shown, panel._link.shown) == (0, 0)
        index, mean = panel._g.getData()
        assert index.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(mean, [20, 20, 20, 20, np.nan])
        np.testing.assert_allclose(panel._low.getData()[1][:4], 10)
        np.testing.assert_allclose(panel._high.getData()[1][:4], 30)
        assert panel._saturated.getData()[1].tolist() == [0, 0, 0, 50, 0]
        time.sleep(0.6)
        link.bytes_out, link.retries = 3_000_000, 6
        add_points(run, 5, [3, 9])
        run.flush()
        until(lambda: panel._link.shown == 2)
        with load(path) as file:
            (_, _), (start, end) = (file.column("link", name) for name in ("retries", "time"))
        np.testing.assert_allclose(panel._rates[1].getData(), ([end], [3 / (end - start)]))
        np.testing.assert_allclose(panel._repeats[1].getData()[1], 6 / (end - start))
        assert "6 requests sent again" in panel.summary.text()
        saved = str(tmp_path / "run.svg")
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (saved, ""))
        next(a for a in window.findChildren(QAction) if "Export run" in a.text()).trigger()
        assert "clipped readings" in Path(saved).read_text("utf-8")


def test_a_bench_without_maps_shows_what_its_points_say(
    window: Window, tmp_path: Path, until: Until
) -> None:
    """A quasi-static curve: levels are no readings of the conductance at the read voltage."""
    path = tmp_path / "run.h5"
    with create(path, "sweep:iv") as run:
        add_points(run, 0, [7])
        for index, volts in enumerate((0.0, 0.5, 1.0, 1.5, 1.0, 0.5), 1):
            add_points(run, index, [7], v=volts, v_read=volts, current=volts * 2e-5)
    window.open_run(path)
    until(lambda: window.map.frame is not None and window.inspector.plot.listDataItems())
    assert window.map.frame.current[0, 1, 1] == pytest.approx(1e-6)
    assert np.isfinite(window.map.frame.current).sum() == 1
    assert window.inspector.choice.currentText() == "I over V"
    across, down = window.inspector.plot.listDataItems()[0].getData()
    assert across.tolist() == [0.1, 0.0, 0.5, 1.0, 1.5, 1.0, 0.5]
    np.testing.assert_allclose(down[1:], 20 * across[1:])
    window.inspector.log.click()
    assert len(window.inspector.plot.listDataItems()[0].getData()[0]) == 6  # zero has no logarithm


CELL = st.integers(0, 95)


@settings(max_examples=8)
@given(
    st.lists(st.lists(CELL, min_size=1, max_size=40, unique=True), min_size=1, max_size=8),
    st.lists(CELL, min_size=1, max_size=60, unique=True),
)
def test_reading_in_parts_gives_the_whole(blocks: list[list[int]], chosen: list[int]) -> None:
    """However often it looks, in whatever chunks: the same curves as of all rows at once."""
    cells = np.array(sorted(chosen))
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        create(Path(folder) / "run.h5") as run,
        load(run._file.filename) as reader,
    ):
        patch.setattr(points, "_CHUNK", 13)
        log, late = PointLog(reader), PointLog(reader)
        log.trail(cells)
        for index, block in enumerate(blocks):
            add_points(run, index, block, current=1e-6 * (1 + index))
            run.flush()
            log.update()
        late.update()
        first, last = log.trail(cells), late.trail(cells)
        table = reader.columns("points", ("cell", "current", "count"))
        measured = sorted(set(table["cell"].tolist()) & set(cells[:: -(-cells.size // LINES)]))
        for trail in (first, last):
            if not measured:
                assert trail is None
                continue
            assert trail.cells.tolist() == measured
            for k, cell in enumerate(measured):
                mine = table["cell"] == cell
                n = int(mine.sum())
                np.testing.assert_array_equal(trail.current[:n, k], table["current"][mine])
                assert np.isnan(trail.current[n:, k]).all()
                assert trail.pulses[n - 1, k] == table["count"][mine].sum()
        for cell in np.unique(table["cell"]):
            newest = table["current"][table["cell"] == cell][-1]
            assert log.g[cell] == late.g[cell] == pytest.approx(newest / 0.1)
