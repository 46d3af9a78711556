"""Studies: every case once, whoever is killed and wherever a file is cut."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError, LimitError, RecordError, StudyError
from cimlab.study import Case, Kept, Workers, key_of, run_study

TWO = Workers(jobs=2)


def square(case: Case) -> int:
    return int(case["x"]) ** 2


def refused(case: Case) -> int:
    raise LimitError("too much")


def killed(case: Case) -> int:
    """Kills its worker the first time, where the case says so; every time if "again"."""
    if mark := case.get("mark"):
        first = not Path(mark).exists()
        Path(mark).touch()
        if first or case.get("again"):
            os.kill(os.getpid(), signal.SIGKILL)
    return square(case)


def cases_with_kills(folder: Path, n: int = 12) -> list[dict[str, Any]]:
    return [{"x": x} | ({"mark": str(folder / f"{x}")} if x == 5 else {}) for x in range(n)]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def times_kept(file: Path) -> Counter[str]:
    return Counter(key_of(line["case"]) for line in lines(file)[1:])


def test_results_come_in_the_cases_order_and_each_is_done_once() -> None:
    done: list[int] = []

    def work(case: Case) -> int:
        done.append(case["x"])
        return square(case)

    told: list[None] = []
    cases = [{"x": x, "y": 1} for x in (3, 1, 2, 1)]
    cases[3] = {"y": 1, "x": 1}  # the same data in another order
    with Kept(None, "squares") as kept:
        found = run_study(work, cases, kept, Workers(), lambda: told.append(None))
        assert found == [9, 1, 4, 1]
        assert run_study(work, cases, kept, Workers()) == found
        assert kept.add(cases[0], 10) is False and kept.results[key_of(cases[0])] == 9
    assert done == [3, 1, 2]
    assert len(told) == 3


@given(cut=st.integers(0, 10_000), n=st.integers(0, 6))
def test_a_file_cut_anywhere_loses_only_what_was_cut(
    tmp_path_factory: pytest.TempPathFactory, cut: int, n: int
) -> None:
    file = tmp_path_factory.mktemp("study") / "s.jsonl"
    cases = [{"x": x} for x in range(n)]
    with Kept(file, "squares") as kept:
        run_study(square, cases, kept, Workers())
    whole = file.read_bytes()
    file.write_bytes(whole[: min(cut, len(whole))])
    left = max(0, file.read_bytes().count(b"\n") - 1)
    with Kept(file, "squares") as kept:
        assert kept.count(cases) == left
        assert run_study(square, cases, kept, Workers()) == [x * x for x in range(n)]
    assert times_kept(file) == {key_of(case): 1 for case in cases}
    assert lines(file)[0]["study"] == "squares"


def test_a_study_grows(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "s.jsonl"
    for n in (3, 5):
        with Kept(file, "squares") as kept:
            run_study(square, [{"x": x} for x in range(n)], kept, Workers())
    assert [line["result"] for line in lines(file)[1:]] == [0, 1, 4, 9, 16]


def test_one_writer_a_file(tmp_path: Path) -> None:
    with Kept(tmp_path / "s", "squares"), pytest.raises(ConfigError, match="another study"):
        Kept(tmp_path / "s", "squares")
    Kept(tmp_path / "s", "squares").__exit__(None, None, None)


@pytest.mark.parametrize("text", ["no JSON\n", "[]\n", '{"study": "cubes"}\n', '{"x": 1}\n'])
def test_other_files_are_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s"
    file.write_text(text)
    with pytest.raises(RecordError):
        Kept(file, "squares")
    assert file.read_text() == text


def test_a_case_that_fails_is_named(tmp_path: Path) -> None:
    with (
        Kept(None, "squares") as kept,
        pytest.raises(StudyError, match=r'LimitError: too much.*"x": 1'),
    ):
        run_study(refused, [{"x": 1}], kept, TWO)


def test_killed_workers_are_replaced_and_nothing_counts_twice(tmp_path: Path) -> None:
    cases, file = cases_with_kills(tmp_path), tmp_path / "s.jsonl"
    with Kept(file, "squares") as kept:
        assert run_study(killed, cases, kept, TWO) == [x * x for x in range(12)]
    assert (tmp_path / "5").exists()
    assert times_kept(file) == {key_of(case): 1 for case in cases}


def test_a_case_that_always_kills_ends_the_study_but_not_the_others(tmp_path: Path) -> None:
    cases, file = cases_with_kills(tmp_path, 6), tmp_path / "s.jsonl"
    cases[5]["again"] = True
    with (
        Kept(file, "squares") as kept,
        pytest.raises(StudyError, match="no case finished in between"),
    ):
        run_study(killed, cases, kept, TWO)
    assert times_kept(file) == {key_of(case): 1 for case in cases[:5]}


@pytest.mark.slow
def test_a_cluster_does_the_same_and_loses_a_worker(tmp_path: Path) -> None:
    from distributed import LocalCluster

    cases, file = cases_with_kills(tmp_path), tmp_path / "s.jsonl"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Kept(file, "squares") as kept,
    ):
        workers = Workers(cluster=cluster.scheduler_address)
        assert run_study(killed, cases, kept, workers) == [x * x for x in range(12)]
    assert (tmp_path / "5").exists()
    assert times_kept(file) == {key_of(case): 1 for case in cases}


@pytest.mark.slow
def test_no_cluster_there() -> None:
    with Kept(None, "squares") as kept, pytest.raises(StudyError, match="no Dask scheduler"):
        run_study(square, [{"x": 1}], kept, Workers(cluster="tcp://127.0.0.1:9"))
