"""Points of sweeps in run files: many rows at once, on disk in time, read back cell by cell."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab import records
from cimlab.records import RunWriter
from cimlab.records.series import by_cell

from .support import HEADER, SPEC, TEMPLATE, add_epoch

ROOT = Path(__file__).parents[2]


def rows(index: list[int], cells: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of the table, one for each index and cell; every value tells both."""
    i, c = np.array(index, np.int64), np.array(cells, np.int64)
    tell = 1000.0 * c + i
    return {
        "time": 0.5 * i,
        "index": i,
        "cycle": i // 4,
        "cell": c,
        "v": tell / 7,
        "width": np.full(i.size, 1e-6),
        "count": i % 3,
        "v_read": np.full(i.size, 0.1),
        "current": tell * 1e-9,
        "saturated": i % 2 == 1,
    }


def write_points_forever(path: Path) -> None:
    """Two cells' points as fast as they go, run in a process of its own; prints what is flushed."""
    with RunWriter.create(path, HEADER) as run:
        index = 0
        while True:
            for _ in range(100):
                run.extend("points", rows([index, index], [3, 8]))
                index += 1
            run.progress(index / 1e9)
            run.flush()
            print(index, flush=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def test_rows_come_back_as_they_were_with_what_came_out(path: Path) -> None:
    summary = {"cells": 2, "sigma_A": [1e-9, None], "long": "x" * 100_000}
    with RunWriter.create(path, HEADER) as run:
        run.extend("points", rows([0, 0, 1, 1], [2, 5, 2, 5]))
        run.extend("points", rows([2], [5]))
        run.progress(0.75)
        run.flush()
        with records.load(path) as reader:
            assert (reader.done, reader.summary) == (0.75, None)
        run.summarise(summary)
    expected = rows([0, 0, 1, 1, 2], [2, 5, 2, 5, 5])
    with records.load(path) as reader:
        assert reader.rows("points") == 5
        for name, values in reader.columns("points", expected).items():
            np.testing.assert_array_equal(values, expected[name])
        assert reader.summary == summary
        series = reader.series()
    np.testing.assert_array_equal(series.cells, [2, 5])
    np.testing.assert_array_equal(series.index, [[0, 0], [1, 1], [-1, 2]])
    np.testing.assert_allclose(series.g[:, 1], [5e-5, 5.001e-5, 5.002e-5])
    assert np.isnan(series.current[2, 0])
    np.testing.assert_array_equal(series.pulses[:, 1], [0, 1, 3])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1))
def test_every_cell_keeps_its_points_in_their_order(pairs: list[tuple[int, int]]) -> None:
    series = by_cell(rows([i for i, _ in pairs], [c for _, c in pairs]))
    for column, cell in enumerate(series.cells):
        mine = [i for i, c in pairs if c == cell]
        np.testing.assert_array_equal(series.index[: len(mine), column], mine)
        assert (series.index[len(mine) :, column] == -1).all()
        np.testing.assert_array_equal(
            series.current[: len(mine), column], rows(mine, [int(cell)] * len(mine))["current"]
        )


def test_points_reach_the_file_within_seconds_while_the_writer_waits(path: Path) -> None:
    """A retention run sleeps for hours after a point; nobody calls the writer meanwhile."""
    with RunWriter.create(path, HEADER) as run, records.load(path) as reader:
        run.extend("points", rows([0], [0]))
        assert reader.rows("points") == 0
        give_up = time.monotonic() + 5
        while reader.rows("points") == 0:
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_killed_writer_leaves_every_flushed_point(path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.records.test_points import write_points_forever; "
        f"write_points_forever(Path({str(path)!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        flushed = 0
        while flushed < 3000:
            flushed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    with records.load(path) as reader:
        assert reader.status == "running"
        series = reader.series()
        assert reader.done is not None and reader.done >= flushed / 1e9
    complete = int(np.isfinite(series.current).all(axis=1).sum())
    assert complete >= flushed
    index = np.arange(complete)
    np.testing.assert_array_equal(series.index[:complete], np.stack([index, index], axis=1))
    np.testing.assert_array_equal(series.current[:complete, 1], (8000.0 + index) * 1e-9)


def test_a_flush_cut_short_is_done_again_without_a_double_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two columns of a flush; closing then writes what is still missing."""
    resize, calls = h5py.Dataset.resize, []

    def interrupted(dataset: h5py.Dataset, *args: Any, **kwargs: Any) -> None:
        calls.append(dataset.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        resize(dataset, *args, **kwargs)

    run = RunWriter.create(path, HEADER)
    run.extend("points", rows([0, 0], [1, 2]))
    monkeypatch.setattr(h5py.Dataset, "resize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.flush()
    run.close("stopped")
    with records.load(path) as reader:
        assert {len(c) for c in reader.columns("points", rows([], [])).values()} == {2}
        np.testing.assert_array_equal(reader.series().cells, [1, 2])


def test_files_without_the_table_are_read_and_resumed(path: Path) -> None:
    """A run file of an earlier version has neither points nor progress nor summary."""
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
    with h5py.File(path, "r+") as file:
        for name in ("points", "done", "summary"):
            del file[name]
    with records.load(path) as reader:
        assert (reader.rows("points"), reader.done, reader.summary) == (0, None, None)
        assert reader.series().current.shape == (0, 0)
    with RunWriter.resume(path, SPEC) as run:
        run.extend("points", rows([0], [1]))
    with records.load(path) as reader:
        assert reader.rows("points") == 1
        assert reader.rows("epochs") == 1
    assert os.listdir(path.parent) == ["run.h5"]


def test_points_need_exactly_their_columns(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run, pytest.raises(ValueError, match="columns"):
        run.extend("points", {"time": np.zeros(1)})


def test_a_reader_that_comes_at_once_sees_what_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file appears complete, and only then is opened for writing: readers may come between."""
    # the writer may have to wait for the processor
    monkeypatch.setattr("cimlab.records.reader._BEGINNING", 60.0)
    for k in range(15):
        path = tmp_path / f"run{k}.h5"
        found: list[records.RunReader] = []

        def come(path: Path = path, found: list[records.RunReader] = found) -> None:
            while not path.exists():
                time.sleep(0)
            found.append(records.load(path))

        visitor = threading.Thread(target=come)
        visitor.start()
        with RunWriter.create(path, HEADER) as run:
            visitor.join()
            run.extend("points", rows([0], [0]))
            run.flush()
            assert found[0].rows("points") == 1
        found[0].close()
