"""Checking and repairing run files: whatever happened to them, what is left can be had."""

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from cimlab.core.errors import RecordError
from cimlab.records import TABLES, RunWriter, load
from cimlab.records.checking import check
from cimlab.records.repair import lookup3, repair

from .support import HEADER, TEMPLATE, add_epoch, state
from .test_damage import _killed

EPOCHS = 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run.h5"
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        for number in range(1, EPOCHS + 1):
            add_epoch(run, number)
            run.checkpoint(state(number), {"number": number})
    return path


def bad(path: Path) -> dict[str, str]:
    return {finding.what: finding.found for finding in check(path) if not finding.good}


def test_the_checksum_is_the_one_of_the_format(finished: Path) -> None:
    head = finished.read_bytes()[:48]
    assert struct.pack("<I", lookup3(head[:44])) == head[44:]


def test_whole_files_are_whole(finished: Path, tmp_path: Path) -> None:
    assert {finding.what for finding in check(finished)} >= {"file", "maps", "checkpoint"}
    assert bad(finished).keys() <= {"counts"}  # these maps and batches are made up
    _killed(tmp_path / "killed.h5")
    assert bad(tmp_path / "killed.h5").keys() <= {"counts"}


@pytest.mark.parametrize(
    ("what", "word", "harm"),
    [
        ("steps", "time goes back", lambda f: f["steps/time"].__setitem__(3, -50.0)),
        ("steps", "do not follow", lambda f: f["steps/step"].__setitem__(3, 99)),
        ("maps", "unit", lambda f: f["maps/current"].attrs.__setitem__("unit", "mA")),
        ("epochs", "columns have", lambda f: f["epochs/loss"].resize(1, axis=0)),
        ("counts", "fewer pulses", lambda f: f["maps/pulses"].__setitem__((2, 0, 1, 1), 0)),
        ("checkpoint", "newest is damaged", lambda f: f["checkpoint/0/crc"].__setitem__((), 1)),
        ("attributes", "cannot be read", lambda f: f.attrs.__setitem__("plan", "{")),
    ],
)
def test_each_kind_of_damage_is_told(finished, tmp_path, what, word, harm) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(finished.read_bytes())
    with h5py.File(path, "r+") as file:
        file["maps/pulses"][...] = np.arange(1, EPOCHS + 1)[:, None, None, None]
        harm(file)
    assert word in bad(path)[what]


def same_rows(path: Path, other: Path, lost: dict[str, int]) -> None:
    """All rows of a repaired file are rows of the original, in order."""
    with load(path) as got, load(other) as expected:
        for table, columns in TABLES.items():
            have, want = got.columns(table, columns), expected.columns(table, columns)
            rows = np.flatnonzero(np.isin(want["time"], have["time"]))
            assert len(rows) == got.rows(table)
            if not lost.get(table):
                assert len(rows) <= expected.rows(table)
            for key in columns:
                np.testing.assert_array_equal(have[key], want[key][rows])


def test_a_killed_run_becomes_a_closed_file_with_every_row(tmp_path: Path) -> None:
    _killed(tmp_path / "killed.h5")
    before = (tmp_path / "killed.h5").read_bytes()
    report = repair(tmp_path / "killed.h5", tmp_path / "new.h5")
    assert (tmp_path / "killed.h5").read_bytes() == before
    assert report["lost"] == {}
    assert report["damaged"] == []
    same_rows(tmp_path / "new.h5", tmp_path / "killed.h5", {})
    with load(tmp_path / "new.h5") as new, load(tmp_path / "killed.h5") as old:
        assert new.status == "stopped"
        assert new.rows("maps") == old.rows("maps") > 0
        for got, want in zip(new.checkpoint(), old.checkpoint(), strict=True):
            assert got.keys() == want.keys()
    with h5py.File(tmp_path / "new.h5"):  # without SWMR: closed
        pass


def test_cut_short_anywhere_the_rows_in_front_are_saved(finished: Path, tmp_path: Path) -> None:
    whole = finished.read_bytes()
    cut, new = tmp_path / "cut.h5", tmp_path / "new.h5"
    saved = []
    for share in np.linspace(0.05, 0.999, 25):
        cut.write_bytes(whole[: int(share * len(whole))])
        assert "file" in bad(cut)
        new.unlink(missing_ok=True)
        try:
            report = repair(cut, new)
        except RecordError:
            assert not new.exists()
            continue
        same_rows(new, finished, report["lost"])
        assert bad(new).keys() <= {"counts", "attributes", "checkpoint", "steps"}
        saved.append(sum(report["rows"].values()))
    assert max(saved) > EPOCHS * 10
    assert not list(tmp_path.glob("*.scratch"))
    assert not list(tmp_path.glob("*.new"))


def test_flipped_bits_never_crash_and_rows_with_a_checksum_are_right(
    finished: Path, tmp_path: Path
) -> None:
    """HDF5 guards its structure; numbers in tables have no checksum, so one of them may differ."""
    whole = finished.read_bytes()
    rng = np.random.default_rng(1)
    broken, new = tmp_path / "broken.h5", tmp_path / "new.h5"
    made = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 30):
            data[at] ^= 1 << int(rng.integers(8))
        broken.write_bytes(data)
        new.unlink(missing_ok=True)
        check(broken)
        try:
            report = repair(broken, new)
        except RecordError:
            continue
        made += 1
        with load(new) as run:
            assert {t: run.rows(t) for t in TABLES} == report["rows"]
    assert made > 20


def test_an_existing_file_is_not_replaced_and_others_are_refused(finished, tmp_path) -> None:
    (tmp_path / "there.h5").write_text("mine")
    with pytest.raises(RecordError, match="exists"):
        repair(finished, tmp_path / "there.h5")
    (tmp_path / "text.h5").write_text("no HDF5" * 20)
    with pytest.raises(RecordError, match="nothing of"):
        repair(tmp_path / "text.h5", tmp_path / "new.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["text.h5", "there.h5"]
