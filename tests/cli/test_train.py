"""`cimlab train lenet`: as processes, on real images, killed and resumed."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cimlab import records

from .support import COMMAND, cimlab, mock_board, result

SHORT = ("--epochs", "1", "--batches", "12")
FIELDS = {
    "test_accuracy",
    "test_accuracy_best",
    "test_accuracy_paper_2560",
    "epochs",
    "updates_per_weight",
    "mode",
    "seed",
    "station",
    "link",
    "run_file",
}


def train(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    return result("train", "lenet", *arguments, cwd=cwd, code=code)


def columns(file: Path, table: str, *names: str) -> list[np.ndarray[Any, Any]]:
    with records.load(file) as run:
        return [run.column(table, name) for name in names]


def test_the_link_changes_no_bit(tmp_path: Path) -> None:
    """The same seed on physics directly and over TCP: same maps, pulses and accuracy."""
    direct = train(*SHORT, "--station", "model:", "--out", "a.h5", cwd=tmp_path)
    linked = train(*SHORT, "--station", "mock:", "--out", "b.h5", cwd=tmp_path)
    assert direct.keys() >= FIELDS
    assert direct["link"] is None
    assert {"frames", "bytes_out", "bytes_in", "retries"} <= linked["link"].keys()
    assert linked["link"]["frames"] > 0
    assert linked["pulses_differ"] == 0
    for table, names in (
        # not maps/reads: those of an on-board job can only be estimated
        ("maps", ("current", "pulses", "step")),
        ("epochs", ("accuracy", "accuracy_2560", "loss", "device_updates", "pulses")),
        ("steps", ("loss", "device_updates", "pulses", "saturated")),
    ):
        for name, one, two in zip(
            names,
            columns(tmp_path / "a.h5", table, *names),
            columns(tmp_path / "b.h5", table, *names),
            strict=True,
        ):
            np.testing.assert_array_equal(one, two, err_msg=f"{table}/{name}")
    (accuracy,) = columns(tmp_path / "b.h5", "epochs", "accuracy")
    assert linked["test_accuracy"] == accuracy[-1]
    assert [epoch["accuracy"] for epoch in linked["epochs"]] == accuracy.tolist()


@pytest.mark.slow
def test_fp32_needs_no_array(tmp_path: Path) -> None:
    data = train(*SHORT, "--mode", "fp32", "--out", "f.h5", cwd=tmp_path)
    assert data["mode"] == "fp32"
    assert data["station"] is None
    assert data["updates_per_weight"] == 0
    with records.load(tmp_path / "f.h5") as run:
        assert run.vmm == "none"
        assert run.rows("maps") == 0


def test_a_net_too_large_for_the_chip_is_refused_before_a_file_exists(tmp_path: Path) -> None:
    refused = train("--station", "model:?tiles=4", cwd=tmp_path, code=3)
    assert refused["error"]["kind"] == "ConfigError"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs: Input should be greater than or equal to 1"),
        (["--resume", "run.h5", "--epochs", "3"], "leave out: epochs"),
        (["--resume", "none.h5"], "none.h5"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    done = cimlab("train", "lenet", *options, cwd=tmp_path, code=3)
    assert message in done.stderr


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """A training as a process that goes on."""
    command = [*COMMAND, "train", "lenet", "--json", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(table: str, rows: int, file: Path, child: subprocess.Popen[str]) -> None:
    """Wait until the run file that the child is writing holds so many rows."""
    while child.poll() is None:
        if file.exists():
            with records.load(file) as run:
                if run.rows(table) >= rows:
                    return
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])


LONG = "300"
"""Batches an epoch that last longer than the run file takes to show the first of them."""


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_an_interrupted_training_ends_in_order_and_can_be_resumed(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "run.h5"
    board = ("--listen", "tcp://127.0.0.1:0")
    plan = ("--epochs", "1", "--batches", LONG)
    with mock_board(*board, cwd=tmp_path) as (address, _):
        with start(*plan, "--station", address, "--out", "run.h5", cwd=tmp_path) as child:
            wait_for("steps", 1, file, child)
            child.send_signal(number)
            out, error = child.communicate(timeout=60)
        assert child.returncode == 5
        assert json.loads(out)["error"]["kind"] == "Interrupted"
        assert "cimlab train lenet --resume run.h5" in error
        assert "Traceback" not in error
        with records.load(file) as run:
            assert run.status == "stopped"
        data = train("--resume", "run.h5", cwd=tmp_path)
    assert len(data["epochs"]) == 1
    assert data["pulses_differ"] == 0
    with records.load(file) as run:
        assert run.status == "finished"
        np.testing.assert_array_equal(run.column("steps", "step"), range(1, int(LONG) + 1))
        assert len(run.sessions) == 2


@pytest.mark.slow
def test_board_and_host_killed_in_mid_epoch_and_resumed(tmp_path: Path) -> None:
    """SIGKILL to the board: the host ends with a LinkError. Restarted with its state: go on."""
    file = tmp_path / "run.h5"
    board = ("--listen", "tcp://127.0.0.1:0", "--state", "chip.state")
    with mock_board(*board, cwd=tmp_path) as (address, process):
        with start(
            "--epochs",
            "2",
            "--batches",
            LONG,
            "--station",
            address,
            "--out",
            "run.h5",
            cwd=tmp_path,
        ) as child:
            wait_for("steps", 1, file, child)
            process.send_signal(signal.SIGKILL)
            out, error = child.communicate(timeout=60)
        assert child.returncode == 4
        assert json.loads(out)["error"]["kind"].startswith("Link")
        assert "Traceback" not in error
    with mock_board(*board, cwd=tmp_path) as (address, process):
        with start("--resume", "run.h5", "--station", address, cwd=tmp_path) as child:
            wait_for("epochs", 1, file, child)
            child.send_signal(signal.SIGKILL)
        data = train("--resume", "run.h5", "--station", address, cwd=tmp_path)
    assert len(data["epochs"]) == 2
    assert data["pulses_differ"] == 0
    assert data["moved_cells"] >= 0
    with records.load(file) as run:
        assert run.status == "finished"
        assert len(run.sessions) == 3
    assert os.listdir(tmp_path).count("run.h5.new") == 0
