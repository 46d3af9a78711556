"""`cimlab runs check | repair | list`, and the audit of a run against a board."""

from pathlib import Path

import numpy as np
import pytest

import cimlab as package
from cimlab import records
from cimlab.core.station import load_station
from tests.cli.support import cimlab, mock_board, result

SIZE = ("--tiles", "1", "--rows", "4", "--cols", "3")


def record(address: str, file: Path, extra: int = 0) -> None:
    """A run of which the last map holds what the ledger counted, and so many pulses more."""
    with package.open(load_station(address)) as array:
        header = records.Header("soak", array.spec)
        with records.RunWriter.create(file, header) as run:
            for step in range(3):
                array.pulse(1.0, 1e-6, 2)
                pulses = array.ledger.pulses.copy()
                pulses[0, 1, 2] += extra
                run.append(
                    "maps",
                    step=step,
                    v_read=0.1,
                    current=array.read(0.1).current,
                    pulses=pulses,
                    reads=array.ledger.reads,
                )


def test_a_run_is_audited_against_the_board(tmp_path: Path) -> None:
    with mock_board(*SIZE, cwd=tmp_path) as (address, _):
        record(address, tmp_path / "good.h5")
        data = result("runs", "check", "good.h5", "--station", address, cwd=tmp_path)
        assert data["whole"]
        record(address, tmp_path / "bad.h5", extra=5)
        data = result("runs", "check", "bad.h5", "--station", address, cwd=tmp_path, code=3)
    assert data["cells_that_differ"] == [{"cell": 5, "recorded": 17, "counted": 12}]
    assert [f["what"] for f in data["findings"] if not f["good"]] == ["audit"]


@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_a_damaged_run_is_told_listed_and_repaired(tmp_path: Path, keep: float) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    record("model:?tiles=1&rows=4&cols=3", runs / "whole.h5")
    data = (runs / "whole.h5").read_bytes()
    (runs / "cut.h5").write_bytes(data[: int(keep * len(data))])
    broken = keep < 1
    checked = result("runs", "check", "runs/cut.h5", cwd=tmp_path, code=3 if broken else 0)
    assert checked["whole"] is not broken
    listed = result("runs", "list", "runs", cwd=tmp_path)
    assert len(listed["runs"]) == (1 if broken else 2)
    assert result("runs", "list", ".", cwd=tmp_path)["folders"] == {"runs": 2}
    assert [Path(each["file"]).name for each in listed["unreadable"]] == ["cut.h5"] * broken
    report = result("runs", "repair", "runs/cut.h5", "-o", "runs/new.h5", cwd=tmp_path)
    assert (runs / "cut.h5").read_bytes() == data[: int(keep * len(data))]
    with records.load(runs / "new.h5") as new, records.load(runs / "whole.h5") as old:
        n = report["rows"]["maps"]
        assert n == new.rows("maps")
        assert broken or n == 3
        np.testing.assert_array_equal(
            new.column("maps", "pulses"), old.column("maps", "pulses")[:n]
        )
    assert "kept" in cimlab("runs", "repair", "runs/cut.h5", "-o", "x.h5", cwd=tmp_path).stdout
