"""Pausing and stopping a training from another process, through RUN.h5.control."""

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from cimlab import records
from cimlab.records.control import ask, control_file

from .support import mock_board
from .test_train import start, wait_for


def rows(file: Path) -> int:
    with records.load(file) as run:
        return run.rows("steps")


def wait_until_paused(file: Path, child: subprocess.Popen[str]) -> None:
    while child.poll() is None:
        with records.load(file) as run:
            if run.status == "paused":
                return
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])


@pytest.mark.parametrize(
    ("station", "pause"), [("model:", 0.5), pytest.param("tcp", 2.5, marks=pytest.mark.slow)]
)
def test_a_training_pauses_goes_on_stops_and_is_resumed(
    tmp_path: Path, station: str, pause: float
) -> None:
    """On the board the pause is longer than its watchdog, which grounds and forgives."""
    file = tmp_path / "run.h5"
    plan = ("--epochs", "1", "--batches", "5000", "--out", "run.h5")
    with mock_board("--listen", "tcp://127.0.0.1:0", cwd=tmp_path) as (address, _):
        where = address if station == "tcp" else station
        ask(file, "stop")  # of an earlier run under this name: not meant for this one
        with start(*plan, "--station", where, cwd=tmp_path) as child:
            wait_for("steps", 1, file, child)
            ask(file, "pause")
            wait_until_paused(file, child)
            before = rows(file)
            time.sleep(pause)
            assert rows(file) == before > 0
            ask(file, "run")
            wait_for("steps", before + 1, file, child)
            ask(file, "stop")
            out, error = child.communicate(timeout=60)
        assert child.returncode == 5, error
        assert json.loads(out)["error"]["kind"] == "Interrupted"
        assert "cimlab train lenet --resume run.h5" in error
        assert not control_file(file).exists()
        with records.load(file) as run:
            assert run.status == "stopped"
            # nothing of what was done is lost: the checkpoint is of the last batch
            done = run.rows("steps")
            assert run.checkpoint()[1]["step"] == run.column("steps", "step")[-1] == done
        with start("--resume", "run.h5", cwd=tmp_path) as child:
            wait_for("steps", done + 1, file, child)
            ask(file, "stop")
            assert child.wait(60) == 5
    with records.load(file) as run:
        steps = run.column("steps", "step")
        np.testing.assert_array_equal(steps, range(1, len(steps) + 1))
        assert len(run.sessions) == 2
