"""`cimlab study`: trainings side by side, each once."""

from pathlib import Path

import pytest

from cimlab.cli.study import numbers
from cimlab.core.errors import ConfigError

from .support import cimlab, result

FP32 = ("--mode", "fp32", "--epochs", "1", "--batches", "4")


def test_ranges_and_lists_of_numbers() -> None:
    assert numbers("3") == [3]
    assert numbers("2-4") == [2, 3, 4]
    assert numbers("0,7,3") == [0, 7, 3]
    for wrong in ("", "a", "4-2", "1,,2", "-"):
        with pytest.raises(ConfigError, match="no numbers"):
            numbers(wrong)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_is_done_once_and_grows(tmp_path: Path) -> None:
    options = ("--jobs", "2", "--file", "s.jsonl")
    first = result(
        "study", "lenet", "--seeds", "0-1", *options, "--", *FP32, cwd=tmp_path, timeout=300
    )
    assert [run["seed"] for run in first["runs"]] == [0, 1]
    assert all((tmp_path / run["run_file"]).exists() for run in first["runs"])
    lines = (tmp_path / "s.jsonl").read_text()
    assert lines.count("\n") == 3
    more = result(
        "study", "lenet", "--seeds", "1-2", *options, "--", *FP32, cwd=tmp_path, timeout=300
    )
    assert [run["seed"] for run in more["runs"]] == [1, 2]
    assert more["runs"][0] == first["runs"][1]
    assert more["summary"]["all"]["runs"] == 2
    assert (tmp_path / "s.jsonl").read_text().startswith(lines)
    assert (tmp_path / "s.jsonl").read_text().count("\n") == 4
    # a training by itself finds the same
    alone = result("train", "lenet", "--seed", "2", *FP32, cwd=tmp_path)
    assert alone["test_accuracy"] == more["runs"][1]["test_accuracy"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_chips_and_devices_make_cases(tmp_path: Path) -> None:
    options = ("--station", "model:", "--epochs", "1", "--batches", "2", "--batch-size", "8")
    kinds = ("--seeds", "0", "--chips", "0-1", "--devices", "brram,softbounds", "--jobs", "1")
    found = result("study", "lenet", *kinds, "--", *options, cwd=tmp_path, timeout=300)
    made_of = [(run["device"], run["chip"]) for run in found["runs"]]
    assert made_of == [("brram", 0), ("brram", 1), ("softbounds", 0), ("softbounds", 1)]
    assert found["summary"].keys() == {"brram", "softbounds"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_cannot_be_studied_is_refused(tmp_path: Path) -> None:
    for options, why in (
        (("--seed", "1"), "leave out --seed"),
        (("--station", "tcp://127.0.0.1:1"), "emulated chips"),
        (("--station", "model:?trace=t.h5"), "without trace"),
        (("--threshold", "-1"), "threshold"),
    ):
        for apart in ((), ("--",)):
            done = cimlab("study", "lenet", *apart, *options, cwd=tmp_path, code=3)
            assert why in done.stderr
    assert "No such option" in cimlab("study", "lenet", "--", "--no", cwd=tmp_path, code=2).stderr
