"""What a training's file tells besides curves: weights, targets, clipping, the link, a baseline."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cimlab.gui.window import Window
from cimlab.records import RunWriter, load, writer
from tests.gui import runs

Until = Callable[[Callable[[], object]], None]
BASELINE = {"step": np.array([10, 20]), "accuracy": np.array([0.5, 0.75])}


@dataclass
class Counts:
    requests: int = 0
    frames: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    retries: int = 0


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def run(tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunWriter]:
    monkeypatch.setattr(writer, "_LINK_SECONDS", 0.5)
    path = tmp_path / "run.h5"
    with runs.create(path, weights=runs.WEIGHTS, baseline=BASELINE) as made:
        made.watch_link(lambda: counts)
        for step in range(1, 5):
            rest = {"loss": 1.0, "saturated": 0.02, "clipped": [0.02, np.nan]}
            runs.append(made, "steps", step=step, device_updates=1, **rest)
        target = np.full((2, 8, 6), np.nan)
        target[0, 0, :4] = 5e-6
        runs.append(made, "maps", step=4, v_read=0.1, current=runs.currents(1), target=target)
        yield made


@pytest.fixture
def shown(window: Window, run: RunWriter, tmp_path: Path, until: Until) -> Window:
    window.open_run(tmp_path / "run.h5")
    until(lambda: window.map.frame is not None)
    return window


def choose(window: Window, key: str) -> np.ndarray:
    window.map.quantity.setCurrentIndex(window.map.quantity.findData(key))
    return window.map._values


def test_weights_are_differences_of_pairs_wherever_they_lie(shown: Window) -> None:
    current = runs.currents(1).ravel()
    plus, minus = current[runs.WEIGHTS.cells]
    values = choose(shown, "weight").ravel()
    expected = runs.WEIGHTS.scale * (plus - minus)
    np.testing.assert_allclose(values[runs.WEIGHTS.cells], [expected, expected], rtol=1e-4)
    assert np.isfinite(values).sum() == runs.WEIGHTS.cells.size
    values = choose(shown, "pairs").ravel()
    np.testing.assert_allclose(values[runs.WEIGHTS.cells[0]], 1e7 * (plus - minus), rtol=1e-4)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ((0, 0, 2), "g\N{SUPERSCRIPT PLUS SIGN} of conv[0, 1] = -0.0020"),
        ((1, 0, 1), "g\N{SUPERSCRIPT MINUS} of fc[0, 0] = -0.0030"),
        ((0, 5, 5), "carries no weight"),
    ],
)
def test_the_pointer_names_the_weight(
    shown: Window, cell: tuple[int, int, int], words: str
) -> None:
    shown.map.grid.hovered.emit(cell)
    assert words in shown.map.hover.text()


def test_targets_of_a_training_are_compared_with_the_map(shown: Window) -> None:
    values = choose(shown, "missing")
    np.testing.assert_allclose(
        values[0, 0, :4], 1e7 * (5e-6 - runs.currents(1)[0, 0, :4]), rtol=1e-4
    )
    assert np.isfinite(values).sum() == 4
    shown.map.grid.hovered.emit((0, 0, 1))
    assert "target 5.0000" in shown.map.hover.text()


def test_tiles_and_the_baseline_of_the_file_are_drawn(shown: Window) -> None:
    panel = shown.training
    batch, share = panel._tiles.getData()  # of the one tile in use, and the gap behind it
    np.testing.assert_allclose(batch, [1, 2, 3, 4, np.nan])
    np.testing.assert_allclose(share, [2, 2, 2, 2, np.nan], rtol=1e-6)
    assert panel._baseline.getData()[1].tolist() == [50.0, 75.0]
    assert "tile 0 clips most, 2 %" in panel.summary.text()


def test_the_links_curves_come_with_the_link(
    shown: Window, run: RunWriter, counts: Counts, tmp_path: Path, until: Until
) -> None:
    panel = shown.training
    assert panel._training.shown == 4
    time.sleep(0.6)
    counts.bytes_out, counts.bytes_in, counts.retries = 4_000_000, 2_000_000, 0
    run.flush()
    until(lambda: panel._training.shown == 5)
    assert "link: 4 MB out, 2 MB in, 0 requests sent again" in panel.summary.text()
    time.sleep(0.6)
    counts.retries = 30
    run.flush()
    until(lambda: panel._training.shown == 6)
    with load(tmp_path / "run.h5") as file:
        seconds = np.diff(file.column("link", "time"))
    np.testing.assert_allclose(panel._rates[0].getData()[1], [6, 0] / seconds)
    np.testing.assert_allclose(panel._repeats[0].getData()[1], [0, 30] / seconds)
    panel.plots.grab()
    panel.clear()
    assert panel._training.shown == 4


def test_a_paused_run_says_so_and_can_be_told_to_go_on(
    shown: Window, run: RunWriter, until: Until
) -> None:
    run.mark("paused")
    until(lambda: "train run, paused" in shown.training.summary.text())
    assert shown.training.resume.isEnabled()
