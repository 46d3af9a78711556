"""What later versions add to run files: defaults, old files, the link, weights, a baseline."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from cimlab.records import RunWriter, WeightMap, load

from .support import HEADER, SPEC, TEMPLATE, add_epoch, state

WEIGHTS = WeightMap(
    names=("conv", "fc"),
    shapes=((1, 2), (2, 1)),
    cells=np.array([[0, 3, 6, 12], [1, 4, 7, 13]]),
    layer=np.array([0, 0, 1, 1]),
    scale=np.array([2e5, 2e5, 3e5, 3e5]),
)
NEW = ("steps/clipped", "maps/target", "link", "points", "weights", "baseline", "done", "summary")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def make_old(path: Path, gone: tuple[str, ...] = NEW) -> None:
    """Take out of a file what the first version did not have."""
    with h5py.File(path, "r+", libver="latest") as file:
        for name in gone:
            if name in file:
                del file[name]


def test_weights_and_baseline_survive_a_resumption(path: Path) -> None:
    epochs = {"step": np.array([10, 20]), "accuracy": np.array([0.5, 0.9])}
    with RunWriter.create(path, replace(HEADER, weights=WEIGHTS, baseline=epochs), TEMPLATE) as run:
        run.checkpoint(state(1), {})
    with RunWriter.resume(path, SPEC):
        pass
    with load(path) as run:
        found = run.weights
        assert (found.names, found.shapes) == (WEIGHTS.names, WEIGHTS.shapes)
        for name in ("cells", "layer", "scale"):
            np.testing.assert_array_equal(getattr(found, name), getattr(WEIGHTS, name))
        assert run.baseline["accuracy"].tolist() == [0.5, 0.9]
        assert run.baseline["step"].tolist() == [10, 20]


def test_columns_that_are_left_out_have_their_default(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run:
        add_row = {"weight_updates": 0, "device_updates": 0, "pulses": 0, "loss": 0, "saturated": 0}
        run.append("steps", step=1, **add_row)
        run.append("steps", step=2, clipped=[0.25, np.nan], **add_row)
        run.append("steps", step=3, **add_row)
        run.flush()
        run.append("steps", step=4, **add_row)
    nan = np.nan
    with load(path) as run:
        expected = [[nan, nan], [0.25, nan], [nan, nan], [nan, nan]]
        np.testing.assert_array_equal(run.column("steps", "clipped"), expected)


def test_files_of_the_first_version_are_read_and_resumed(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
    make_old(path)
    with load(path) as run:
        assert run.rows("steps") == 10
        assert run.column("steps", "clipped", slice(2, 5)).shape == (3, 2)
        target = run.column("maps", "target")
        assert target.shape == (1, *SPEC.shape)
        assert np.isnan(target).all()
        assert (run.rows("link"), run.rows("points"), run.weights) == (0, 0, None)
        assert (run.baseline, run.done, run.summary) == ({}, None, None)
    with RunWriter.resume(path, SPEC) as run:
        add_epoch(run, 2)
        run.append("maps", target=np.full(SPEC.shape, 2e-6), **_map())
    with load(path) as run:
        target = run.column("maps", "target")
        assert np.isnan(target[:2]).all()
        np.testing.assert_allclose(target[2], 2e-6)
        assert np.isnan(run.column("steps", "clipped")).all()
        assert run.column("steps", "step").tolist() == list(range(1, 21))


def _map() -> dict[str, object]:
    zeros = np.zeros(SPEC.shape)
    return {"step": 0, "v_read": 0.1, "current": zeros, "pulses": zeros, "reads": zeros}


@dataclass
class Counts:
    requests: int = 1
    frames: int = 2
    bytes_out: int = 300
    bytes_in: int = 400
    retries: int = 0
    broken: int = 7


def test_the_link_is_noted_with_what_is_flushed_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, now = Counts(), [100.0]
    clock = SimpleNamespace(time=time.time, monotonic=lambda: now[0])
    monkeypatch.setattr("cimlab.records.writer.time", clock)
    with RunWriter.create(path, HEADER) as run:
        run.watch_link(lambda: counts)
        for _ in range(50):  # at once: one row
            run.append("maps", **_map())
        now[0] += 1.05
        counts.retries = 5
        run.append("maps", **_map())
        counts.bytes_out = 999
    with load(path) as run:
        assert run.column("link", "retries").tolist() == [0, 5, 5]
        assert run.column("link", "bytes_out").tolist() == [300, 300, 999]
        assert (np.diff(run.column("link", "time")) > 0).all()


def test_a_run_without_a_link_notes_none(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run:
        run.watch_link(lambda: None)
        run.append("maps", **_map())
    with load(path) as run:
        assert run.rows("link") == 0


def test_a_pause_is_seen_by_readers(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run, load(path) as reader:
        run.mark("paused")
        assert reader.status == "paused"
        run.mark("running")
        assert reader.status == "running"
