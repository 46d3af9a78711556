"""What a training leaves in its run file besides curves: weights, targets, clipping, the link."""

from pathlib import Path

import numpy as np
import pytest

from cimlab import records
from cimlab.cli import training
from cimlab.cli.files import station_facts
from cimlab.core.errors import RecordError
from cimlab.records import Header, RunWriter
from cimlab.rig import open_array
from cimlab.training.recipe import Recipe

PLAN = {"epochs": 1, "batches": 12}


def test_a_training_explains_its_maps(tmp_path: Path) -> None:
    """Weights from a map's currents are those of the checkpoint; targets are what was asked."""
    base, file = tmp_path / "fp32.h5", tmp_path / "run.h5"
    training.start_run(Recipe(mode="fp32", **PLAN), "model:", base)
    training.start_run(Recipe(**PLAN), "mock:", file, base)
    with records.load(file) as run, records.load(base) as other:
        weights, arrays = run.weights, run.checkpoint()[0]
        assert weights.names == ("conv1", "conv2", "fc")
        sizes = [np.prod(shape) for shape in weights.shapes]
        assert np.bincount(weights.layer).tolist() == sizes
        current = run.column("maps", "current").reshape(2, -1)
        target = run.column("maps", "target").reshape(2, -1)
        v_read = run.column("maps", "v_read")
        plus, minus = current[-1][weights.cells]
        # the host believes in other readings of the same cells
        error = weights.scale * (plus - minus) - arrays["master"]
        assert np.abs(error / weights.scale).max() < 1e-6
        assert np.corrcoef(weights.scale * (plus - minus), arrays["master"])[0, 1] > 0.99
        used = np.zeros(current.shape[1], bool)
        used[weights.cells] = True
        assert np.isnan(target[:, ~used]).all() and np.isfinite(target[:, used]).all()
        # most cells are where they were asked to be, and targets move with the training
        assert np.median(np.abs(target - current)[:, used]) < 0.25e-6
        assert (target[0] != target[1])[used].any()
        assert v_read.tolist() == [0.1, 0.1]
        clipped, worst = run.columns("steps", ("clipped", "saturated")).values()
        np.testing.assert_allclose(np.nanmax(clipped, axis=1), worst, rtol=1e-6)
        assert run.rows("link") >= 1
        assert run.column("link", "bytes_out")[-1] > 1e5
        assert run.baseline["accuracy"].tolist() == other.column("epochs", "accuracy").tolist()
        assert other.weights is None


def test_a_baseline_without_an_epoch_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="nothing.h5"):
        training.start_run(Recipe(**PLAN), "model:", tmp_path / "run.h5", tmp_path / "nothing.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_recorded_training_is_replayed_with_the_same_losses(tmp_path: Path) -> None:
    trace = tmp_path / "trace.h5"
    few = Recipe(epochs=1, batches=3)
    training.start_run(few, f"mock:?trace={trace}", tmp_path / "first.h5")
    training.start_run(few, f"replay:{trace}", tmp_path / "second.h5")
    losses = []
    for name, identity in (("first", "cimlab emulated"), ("second", "replay of cimlab emulated")):
        with records.load(tmp_path / f"{name}.h5") as run:
            assert run.identity.startswith(identity)
            assert run.origin == "emulated"
            losses.append(run.column("steps", "loss"))
    assert losses[0].size == 3
    assert losses[0].tobytes() == losses[1].tobytes()


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    file, few = tmp_path / "run.h5", Recipe(epochs=1, batches=2)
    with open_array("model:?seed=4") as array:
        header = Header(
            "train", array.spec, station_facts(array.station), few.model_dump(mode="json")
        )
        template = {"weights": np.zeros(3)}
        RunWriter.create(file, header, template).close("stopped")  # as far as that one came
    done = training.resume_run(file, None)
    assert done["pulses_differ"] == 0
    assert (tmp_path / "run.h5.begun").exists()
    with records.load(file) as run:
        assert run.status == "finished"
        assert run.column("steps", "step").tolist() == [1, 2]
        assert "seed 4" in run.identity
