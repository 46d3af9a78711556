"""`cimlab mock board`: a process that others connect to, end, kill and start again."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import BoardError, ConfigError, LimitError, LinkError
from cimlab.protocols.program import program
from cimlab.protocols.write_verify import WriteVerify

from .support import COMMAND, mock_board, result
from .support import cimlab as command

SIZE = ["--tiles", "2", "--rows", "16", "--cols", "8"]
CELLS = np.arange(64, dtype=np.int64)
PLAN = WriteVerify()


def test_the_ready_line_is_an_address_that_works_and_sigterm_ends_it(tmp_path: Path) -> None:
    with mock_board("--listen", "tcp://127.0.0.1:0", *SIZE, cwd=tmp_path) as (address, process):
        assert address.startswith("tcp://127.0.0.1:")
        data = result("info", "--station", address, cwd=tmp_path)
        assert (data["tiles"], data["rows"], data["cols"]) == (2, 16, 8)
        assert {"counters", "job:ispp", "job:write_verify"} <= set(data["capabilities"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    refused = result("info", "--station", address, cwd=tmp_path, code=4)
    assert refused["error"]["kind"] == "LinkClosed"


def test_a_pseudo_terminal_is_a_serial_station(tmp_path: Path) -> None:
    with mock_board("--listen", "pty", *SIZE, cwd=tmp_path) as (address, _):
        assert address.startswith("serial:///dev/")
        with cimlab.open(address) as array:
            assert array.spec.shape == (2, 16, 8)
            assert array.read(0.1).g.mean() > 0


def test_a_board_killed_and_started_again_has_kept_its_cells(tmp_path: Path) -> None:
    board = ("--listen", "tcp://127.0.0.1:0", *SIZE, "--state", "chip.state")
    with mock_board(*board, cwd=tmp_path) as (address, process), cimlab.open(address) as array:
        assert program(array, PLAN, CELLS, 1.5e-6).converged.mean() > 0.9
        before, counted = array.read(0.1, averages=64).g, array.counters()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with mock_board(*board, cwd=tmp_path) as (address, _), cimlab.open(address) as array:
        np.testing.assert_array_equal(array.counters(), counted)
        after = array.read(0.1, averages=64).g
        # 64 averages of 1.55 uS of read noise, twice, six sigma
        np.testing.assert_allclose(after, before, atol=6 * 1.55e-6 * np.sqrt(2 / 64))


def test_a_token_lets_only_those_in_who_know_it(tmp_path: Path) -> None:
    with mock_board("--token", "opensesame", *SIZE, cwd=tmp_path) as (address, _):
        with pytest.raises(BoardError):
            cimlab.open(address)
        with cimlab.open(f"{address}?token=opensesame") as array:
            assert array.spec.tiles == 2


def test_an_address_in_use_or_unknown_is_refused(tmp_path: Path) -> None:
    with mock_board(*SIZE, cwd=tmp_path) as (address, _):
        done = command("mock", "board", "--listen", address, cwd=tmp_path, code=4)
        assert address in done.stderr
    command("mock", "board", "--listen", "carrier-pigeon:", cwd=tmp_path, code=3)
    command("mock", "board", "--device", "vacuum-tube", cwd=tmp_path, code=3)


def test_mock_starts_a_board_and_ends_it(tmp_path: Path) -> None:
    state = tmp_path / "chip.state"
    text = f"mock:?tiles=2&rows=16&cols=8&seed=3&state={state}"
    with cimlab.open(text) as array:
        assert array.link is not None
        done = program(array, PLAN, CELLS, 1.5e-6)
        assert done.place == "board"
        assert array.ledger.differs(array.counters()).size == 0
        assert array.ledger.pulses.sum() == done.pulses.sum()
    with cimlab.open(text) as again:  # the first board is gone, or its state would be in use
        assert again.counters().sum() == done.pulses.sum()


def test_the_board_too_refuses_what_the_station_does_not_allow(tmp_path: Path) -> None:
    station = tmp_path / "lab.toml"
    station.write_text(
        '[array]\nconnect = "mock:?tiles=2&rows=16&cols=8"\n[array.limits]\nv_set = 2.0\n'
    )
    with cimlab.open(station) as array:
        with pytest.raises(LimitError):
            array.pulse(2.5, 1e-6)
        with pytest.raises(BoardError, match="2.0 V"):
            array._hardware.pulse(2.5, 1e-6)  # forced past the host's guard
        array.pulse(1.9, 1e-6)
        assert array.counters().min() == 1 == array.counters().max()


def test_a_board_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vacuum-tube"):
        cimlab.open("mock:?device=vacuum-tube")


def test_a_killed_host_leaves_no_board_behind(tmp_path: Path) -> None:
    """The state file is in use as long as the board of the killed host lives."""
    state = tmp_path / "chip.state"
    text = f"mock:?tiles=2&rows=16&cols=8&state={state}"
    code = (
        f"import cimlab, time\na = cimlab.open({text!r})\nprint('open', flush=True)\ntime.sleep(99)"
    )
    with subprocess.Popen([COMMAND[0], "-c", code], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "open\n"
        host.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 10
    while True:
        with contextlib.suppress(LinkError), cimlab.open(text):
            return
        assert time.monotonic() < give_up


def test_the_station_text_in_records_has_no_token(tmp_path: Path) -> None:
    with mock_board("--token", "opensesame", *SIZE, cwd=tmp_path) as (address, _):
        station = f"{address}?token=opensesame"
        command("program", "--station", station, "--tiles", "1", "--out", "p.h5", cwd=tmp_path)
    assert b"opensesame" not in (tmp_path / "p.h5").read_bytes()
    shown = json.dumps(result("runs", "show", "p.h5", cwd=tmp_path))
    assert "opensesame" not in shown
    assert "token=***" in shown
    assert os.path.exists(tmp_path / "p-maps.png")
