"""Requests to a run: what a second process leaves, what the run makes of it."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.records import RunWriter, control, load
from cimlab.records.control import PERIOD, Requests, ask, control_file

from .support import HEADER


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def look(requests: Requests) -> str:
    """What is asked now, not up to a period ago."""
    time.sleep(PERIOD)
    return requests.look()


def ask_elsewhere(run_file: Path, request: str) -> None:
    code = "import sys; from cimlab.records.control import ask; ask(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, str(run_file), request], check=True)


def test_requests_of_another_process_are_seen_and_the_newest_counts(run_file: Path) -> None:
    with Requests(run_file) as requests:
        assert requests.look() == "run"
        ask_elsewhere(run_file, "pause")
        assert look(requests) == "pause"
        ask(run_file, "run")
        ask(run_file, "stop")
        assert look(requests) == "stop"
        control_file(run_file).unlink()
        assert look(requests) == "run"


def test_a_request_is_one_whole_json_object(run_file: Path) -> None:
    ask(run_file, "pause")
    ask(run_file, "stop")
    found = json.loads(control_file(run_file).read_text())
    assert found["request"] == "stop"
    assert found["utc"].endswith("+00:00")
    assert [path.name for path in run_file.parent.iterdir()] == ["run.h5.control"]


def test_old_requests_are_forgotten_at_the_start_and_at_the_end(run_file: Path) -> None:
    ask(run_file, "stop")
    with Requests(run_file) as requests:
        assert requests.look() == "run"
        ask(run_file, "pause")
    assert list(run_file.parent.iterdir()) == []


def test_a_pause_grounds_says_so_and_lasts_until_another_request(run_file: Path) -> None:
    grounded: list[str] = []
    with (
        RunWriter.create(run_file, HEADER) as run,
        load(run_file) as reader,
        Requests(run_file) as requests,
    ):
        stop = lambda: requests.stop(run, lambda: grounded.append(reader.status))  # noqa: E731
        assert not stop()
        ask(run_file, "pause")
        seen: list[str] = []
        later = threading.Timer(
            4 * PERIOD, lambda: (seen.append(reader.status), ask(run_file, "run"))
        )
        later.start()
        time.sleep(PERIOD)
        start = time.monotonic()
        assert not stop()
        assert time.monotonic() - start > 2 * PERIOD
        later.join()
        assert (grounded, seen, reader.status) == (["running"], ["paused"], "running")
        ask(run_file, "stop")
        time.sleep(PERIOD)
        assert stop()
        assert grounded == ["running"]


BROKEN = [
    "",
    "pause",
    "[]",
    '{"request": "jump"}',
    '{"request": ["stop"]}',
    "[" * 5000,
    "\0" * 9000,
]


@given(st.one_of(st.binary(max_size=60), st.sampled_from([b.encode() for b in BROKEN])))
def test_what_is_no_request_changes_nothing(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, Requests(Path(folder) / "run.h5") as requests:
        control_file(Path(folder) / "run.h5").write_bytes(text)
        assert requests.look() == "run"


def test_a_broken_file_is_mentioned_once_and_the_last_request_stands(
    run_file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("cimlab"), "propagate", True)
    with Requests(run_file) as requests:
        ask(run_file, "pause")
        assert look(requests) == "pause"
        control_file(run_file).write_text("{")
        assert look(requests) == look(requests) == "pause"
        (said,) = [text for text in caplog.messages if str(run_file) in text]
        assert "run.h5.control holds no request" in said


def test_a_folder_in_its_place_harms_nobody(run_file: Path) -> None:
    control_file(run_file).mkdir()
    with Requests(run_file) as requests:
        assert requests.look() == "run"


def test_looking_costs_nothing_between_two_periods(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Requests(run_file) as requests:
        requests.look()
        monkeypatch.setattr(control.Path, "stat", None)  # another look at the disk would fail
        assert [requests.look() for _ in range(1000)] == ["run"] * 1000


def test_a_folder_that_cannot_be_written_is_an_error_of_who_asks(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        ask(tmp_path / "nowhere" / "run.h5", "pause")
    assert os.listdir(tmp_path) == []
