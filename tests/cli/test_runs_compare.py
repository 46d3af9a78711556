"""`cimlab runs compare`: settings that differ, and figures, side by side."""

from pathlib import Path

import pytest

from cimlab import records
from tests.cli.support import cimlab, result
from tests.records.support import SPEC, TEMPLATE, add_epoch


@pytest.fixture
def runs(tmp_path):
    """Two trainings that differ in one setting and their length, a sweep, and a broken file."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for name, threshold, epochs in (("a", 0.5, 1), ("b", 0.25, 2)):
        plan = {"threshold": threshold, "lr": 0.004, "nested": {"same": [1, 2]}}
        header = records.Header("train", SPEC, {"text": name}, plan, {"training": 7})
        with records.RunWriter.create(folder / f"{name}.h5", header, TEMPLATE) as run:
            for number in range(1, epochs + 1):
                add_epoch(run, number)
    header = records.Header("sweep:iv", SPEC, {}, {"v_stop": 2.0}, {})
    with records.RunWriter.create(folder / "c.h5", header) as run:
        run.summarise({"v_set_median_V": 1.5, "cells": 3})
    (folder / "d.h5").write_bytes(b"no run")
    return folder


def test_what_differs_and_what_came_out(runs: Path) -> None:
    data = result("runs", "compare", "a.h5", "b.h5", cwd=runs)
    first, second = data["runs"]
    assert first["settings"] == {"plan.threshold": 0.5}
    assert second["settings"] == {"plan.threshold": 0.25}
    assert [r["figures"]["epochs"] for r in data["runs"]] == [1, 2]
    assert second["figures"]["accuracy_last"] == 0.75
    assert second["figures"]["weight_updates_an_epoch"] == 20


def test_a_folder_with_runs_of_several_kinds(runs: Path) -> None:
    done = cimlab("runs", "compare", ".", cwd=runs)
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["1", "a.h5"]
    table = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert table["plan.threshold"] == ["0.5", "0.25", "-"]
    assert table["accuracy_last"] == ["50.00", "%", "75.00", "%", "-"]
    assert table["v_set_median_V"] == ["-", "-", "1.5"]
    assert "plan.lr" in table  # a sweep has none
    assert table["unreadable"][0] == "d.h5:"


def test_a_shell_completes_commands_and_sweeps(tmp_path: Path) -> None:
    def complete(*words: str) -> list[str]:
        asked = {"COMP_WORDS": " ".join(["cimlab", *words]), "COMP_CWORD": str(len(words))}
        asked["_CIMLAB_COMPLETE"] = "complete_bash"
        return cimlab(cwd=tmp_path, **asked).stdout.split()

    assert {"iv", "retention"} <= set(complete("sweep", ""))
    assert "_CIMLAB_COMPLETE" in cimlab("--show-completion", "bash", cwd=tmp_path).stdout
