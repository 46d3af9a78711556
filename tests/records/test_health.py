"""Health files: what screening knows of an array, from run to run."""

import dataclasses
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from cimlab.core.errors import RecordError
from cimlab.core.health import Health, HealthMap
from cimlab.records import health

from .support import SPEC


def found(**states: Health) -> HealthMap:
    """A screening that tested the cells a, b, ... (addresses 0, 1, ...) and no others."""
    values = np.full(SPEC.size, Health.UNTESTED, np.uint8)
    for name, state in states.items():
        values[ord(name) - ord("a")] = state
    return HealthMap(values.reshape(SPEC.shape), SPEC.identity, "2026-11-22T12:00:00.000+00:00")


def test_later_screenings_add_to_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "chips" / "a.health.h5"
    health.update(path, found(a=Health.CLEAN, b=Health.STUCK_HIGH, c=Health.OPEN))
    later = dataclasses.replace(
        found(b=Health.STUCK_LOW, d=Health.FORMED), utc="2026-11-23T12:00:00.000+00:00"
    )
    known = health.update(path, later)
    read = health.check(path, SPEC)
    np.testing.assert_array_equal(read.states, known.states)
    assert read.states.ravel()[:5].tolist() == [
        Health.CLEAN,
        Health.STUCK_LOW,
        Health.OPEN,
        Health.FORMED,
        Health.UNTESTED,
    ]
    assert (read.identity, read.utc) == (SPEC.identity, later.utc)
    assert read.usable.sum() == SPEC.size - 2
    assert os.listdir(path.parent) == ["a.health.h5"]


def test_the_file_explains_itself(tmp_path: Path) -> None:
    health.save(tmp_path / "a.h5", found())
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file["states"].attrs["unit"] == "1"
        assert "2 stuck_high" in file["states"].attrs["description"]


def test_another_arrays_health_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    health.save(path, found(a=Health.CLEAN))
    before = path.read_bytes()
    for other in (
        dataclasses.replace(found(), identity="another chip"),
        HealthMap(np.zeros((1, 2, 3), np.uint8), SPEC.identity, ""),
    ):
        with pytest.raises(RecordError, match="tells the health of test array"):
            health.update(path, other)
    assert path.read_bytes() == before
    with pytest.raises(RecordError, match="this is test array"):
        health.check(path, dataclasses.replace(SPEC, tiles=3))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read the health file"):
        health.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no file of that kind")
    with pytest.raises(RecordError, match="cannot read the health file"):
        health.load(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(RecordError, match="not a cimlab-health"):
        health.load(tmp_path / "other.h5")
    with pytest.raises(RecordError, match="cannot write"):
        health.save(tmp_path / "text.h5" / "below.h5", found())
