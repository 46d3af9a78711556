"""Ctrl-C twice, and logs that lead to their run file."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cimlab as package
from cimlab import records
from cimlab.core.station import load_station
from cimlab.mock_hw.instruments import dut, serve
from cimlab.mock_hw.instruments.station import bench_table
from tests.cli.support import COMMAND, cimlab, mock_board


@pytest.fixture
def board(tmp_path: Path) -> Iterator[str]:
    with mock_board("--tiles", "1", "--rows", "8", "--cols", "8", cwd=tmp_path) as (address, _):
        yield address


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.1])
def test_ctrl_c_twice_still_ends_in_order(board: str, tmp_path: Path, pause: float) -> None:
    file = tmp_path / "run.h5"
    command = [*COMMAND, "--log", "log.jsonl", "sweep", "endurance", "--station", board, "--json"]
    command += ["--cells", "0:0-1:0-7", "--cycles-max", "100000", "--out", str(file)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        end = time.monotonic() + 60
        while not file.exists():
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        time.sleep(pause)
        child.send_signal(signal.SIGINT)
        out, error = child.communicate(timeout=30)
    assert child.returncode == 5, error
    assert "Traceback" not in error
    assert json.loads(out)["error"]["kind"] == "Interrupted"
    with records.load(file) as run:
        assert run.status == "stopped"
    with package.open(load_station(board)):  # the session was ended: nobody has to wait for it
        pass


def test_the_log_names_the_run_of_the_file(tmp_path: Path) -> None:
    arguments = ["--station", "model:?tiles=1&rows=8&cols=8", "--out", "run.h5"]
    plan = ["--reads", "20", "--cells", "0,0,0"]
    cimlab("--log", "log.jsonl", "sweep", "noise", *plan, *arguments, cwd=tmp_path)
    cimlab("--log", "log.jsonl", "runs", "show", "none.h5", cwd=tmp_path, code=3)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(line.keys() >= {"utc", "run", "level", "logger", "message"} for line in lines)
    assert lines[-1]["level"] == "error"
    assert "none.h5" in lines[-1]["message"]
    with records.load(tmp_path / "run.h5") as run:
        (session,) = run.sessions
    runs = {line["run"] for line in lines}
    assert session["run_id"] in runs
    assert len(runs) == 2


def test_a_bench_that_cannot_be_closed_is_turned_off_by_its_minder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script's second Ctrl-C strikes while it grounds."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    with serve(["keithley2450", "keysightb2200"], dut("crossbar:2x2:brram")) as server:
        file = tmp_path / "bench.toml"
        file.write_text(bench_table(server).toml())
        array = package.open(file)
        hardware = array._hardware
        for command in ("SOUR:VOLT 0.1", "OUTP 1"):
            hardware._smu._link.write(command)
        end = time.monotonic() + 20
        while server.bench.held == {"ground"}:
            assert time.monotonic() < end
        monkeypatch.setattr(hardware, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            array.close()
        assert server.bench.held == {"ground"}
        assert server.bench.closed == set()
        monkeypatch.undo()
        hardware.close()
