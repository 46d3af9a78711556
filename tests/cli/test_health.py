"""From screening to a training that avoids what screening found."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import cimlab
from cimlab import records
from cimlab.core.array import ArraySpec, Limits
from cimlab.nn import place
from cimlab.records import health
from cimlab.training.lenet import LeNet

from .support import cimlab as run
from .support import result

SHORT = ("--epochs", "1", "--batches", "3")


def screened(station: str, cwd: Path) -> health.HealthMap:
    """Screen all cells into chip.health.h5."""
    data = result(
        *("sweep", "screen", "--station", station, "--out", "screen.h5"),
        *("--health", "chip.health.h5"),
        cwd=cwd,
    )
    known = health.load(cwd / "chip.health.h5")
    assert data["health_file"]["path"] == "chip.health.h5"
    for state in ("clean", "stuck_high", "stuck_low", "open"):
        assert data["health_file"][state] == data["summary"][state]
        assert known.count(health.Health[state.upper()]) == data["summary"][state]
    assert data["summary"]["stuck_high"] + data["summary"]["stuck_low"] > 10
    return known


def cells_in_use(file: Path) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Addresses of the cells that carry weights."""
    with records.load(file) as run:
        assert run.weights is not None
        return run.weights.cells.ravel()


def test_a_training_touches_no_cell_that_screening_found_bad(tmp_path: Path) -> None:
    bad = ~screened("model:", tmp_path).usable
    result(
        *("train", "lenet", *SHORT, "--station", "model:"),
        *("--health", "chip.health.h5", "--out", "around.h5"),
        cwd=tmp_path,
    )
    with records.load(tmp_path / "around.h5") as run:
        pulses = run.column("maps", "pulses")[-1]
        assert run.station["avoided_cells"] == np.flatnonzero(bad).tolist()
    assert pulses[bad].sum() == 0
    assert pulses.sum() > 6440
    # where the network would be without the file, there are bad cells
    model = LeNet(torch.Generator())
    layers = {"conv1": model.conv1, "conv2": model.conv2, "fc": model.fc}
    spec = ArraySpec(8, 64, 64, 8, 8, Limits(), "analog", "emulated", "plain")
    placed = place(layers, spec).values()
    assert any(bad.ravel()[placement.cells(spec)].any() for placement in placed)


@pytest.mark.slow
def test_a_resumed_training_avoids_the_same_cells(tmp_path: Path) -> None:
    """Whatever the health file says by then; the chip lives in a state file."""
    station = "mock:?state=chip.state"
    known = screened(station, tmp_path)
    data = result(
        *("train", "lenet", *SHORT, "--station", station),
        *("--health", "chip.health.h5", "--out", "run.h5"),
        cwd=tmp_path,
    )
    before = cells_in_use(tmp_path / "run.h5")
    health.save(
        tmp_path / "chip.health.h5",
        health.HealthMap(np.zeros_like(known.states), known.identity, known.utc),
    )
    again = result("train", "lenet", "--resume", "run.h5", cwd=tmp_path)
    assert again["moved_cells"] < 20
    assert again["epochs"] == data["epochs"]
    np.testing.assert_array_equal(cells_in_use(tmp_path / "run.h5"), before)


def test_the_health_of_another_chip_is_refused(tmp_path: Path) -> None:
    small = "model:?tiles=1&rows=8&cols=8"
    result(
        *("sweep", "screen", "--station", small, "--out", "a.h5", "--health", "a.health.h5"),
        cwd=tmp_path,
    )
    before = (tmp_path / "a.health.h5").read_bytes()
    for command in (
        ("sweep", "screen", "--station", f"{small}&seed=1", "--out", "b.h5"),
        ("train", "lenet", *SHORT, "--station", "model:", "--out", "b.h5"),
    ):
        data = result(*command, "--health", "a.health.h5", cwd=tmp_path, code=3)
        assert "tells the health of" in json.dumps(data["error"]["message"])
    assert (tmp_path / "a.health.h5").read_bytes() == before
    assert not (tmp_path / "b.h5").exists()


def test_a_sweep_of_all_leaves_known_bad_cells_out_unless_they_are_named(tmp_path: Path) -> None:
    small = "model:?tiles=1&rows=8&cols=8"
    states = np.full((1, 8, 8), health.Health.CLEAN, np.uint8)
    states[0, 2, 3:5] = health.Health.STUCK_LOW
    with cimlab.open(small) as array:
        known = health.HealthMap(states, array.spec.identity, "2026-01-01T00:00:00Z")
    health.save(tmp_path / "chip.health.h5", known)
    station = tmp_path / "lab.toml"
    station.write_text(f'[array]\nconnect = "{small}"\nhealth = "chip.health.h5"\n')
    sweep = ("sweep", "pulses", "--n-up", "3", "--n-down", "3", "--station", "lab.toml")
    done = run(*sweep, "--out", "all.h5", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["cells"] == 62
    assert "2 of 64 cells are left out: chip.health.h5 marks them bad" in done.stderr
    named = run(*sweep, "--cells", "0,2,3", "--out", "one.h5", "--json", cwd=tmp_path, code=3)
    assert "tile 0, row 2, column 3" in json.loads(named.stdout)["error"]["message"]
