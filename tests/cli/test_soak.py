"""Soaking: what leaks is told, and what does not is not; rounds rotate, pulses are audited."""

import csv
import json
import os
import subprocess
import threading

import numpy as np
import pytest

from cimlab import records
from cimlab.cli.vitals import Vitals, descendants, look, trend
from tests.cli.support import COMMAND, SMALL, result


def course(rss, files=lambda t: 20.0, threads=lambda t: 5.0):
    """Two hours of a process, a sample every 10 s, with some noise."""
    rng = np.random.default_rng(1)
    return [
        Vitals(t, "host", rss(t) + rng.normal(0, 3), int(files(t)), int(threads(t)))
        for t in np.arange(0.0, 7200.0, 10.0)
    ]


def test_a_process_that_fills_up_and_stays_is_flat():
    found = trend(course(lambda t: 500 - 300 * np.exp(-t / 300)), "host")
    assert found.leaks == ()
    assert abs(found.slope_MB_per_hour) < 2


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("memory", {"rss": lambda t: 300 + 20 * t / 3600}),
        ("files", {"rss": lambda t: 300.0, "files": lambda t: 20 + t // 1200}),
        ("threads", {"rss": lambda t: 300.0, "threads": lambda t: 5 + t // 1200}),
    ],
)
def test_what_leaks_is_told(what, how):
    (leak,) = trend(course(**how), "host").leaks
    assert leak.startswith(f"{what} grew")


def test_threads_that_come_and_go_are_no_leak():
    """A worker that lives for some of each round, a little longer towards the end."""
    there = lambda t: t // 10 % 10 < 4 + t // 2400  # noqa: E731
    found = trend(course(lambda t: 300.0, threads=lambda t: 5 + there(t)), "host")
    assert found.leaks == ()
    assert found.threads[1] > found.threads[0]  # the medians


def test_a_busy_beginning_hides_no_leak():
    """Eight threads now and then at first, and later never fewer than six."""
    some = lambda t: 8 if t < 3600 and t % 100 == 0 else 5 + t // 3600  # noqa: E731
    (leak,) = trend(course(lambda t: 300.0, threads=some), "host").leaks
    assert leak == "threads grew from 5 - 8 to 6 - 6"


def test_too_few_samples_tell_nothing():
    assert trend(course(lambda t: 300.0)[:9], "host") is None
    assert trend([], "host") is None


def test_a_process_is_seen_as_it_is():
    _, files, threads = look(os.getpid())
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    with open(os.devnull, "rb"):
        memory, more_files, more_threads = look(os.getpid())
    stop.set()
    other.join()
    assert (more_files, more_threads) == (files + 1, threads + 1)
    assert memory > 10
    assert os.getpid() in descendants(os.getppid())
    assert look(2**22 + 1) is None


def test_rounds_on_a_spoilt_board(tmp_path):
    """A minute's look at everything but the leaks, which take longer to tell."""
    arguments = ["--hours", "0.001", "--station", f"mock:{SMALL}", "--work", "exercise"]
    arguments += ["--batches", "30", "--faults", "0.1", "--period", "0.2", "--json"]
    done = subprocess.run(
        [*COMMAND, "soak", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=110
    )
    data = json.loads(done.stdout)
    assert done.returncode == (0 if data["passed"] else 3), done.stderr
    assert data["pulses_differ"] == 0
    assert data["record_differs"] == 0
    assert data["rounds"] >= 1
    assert data["retries"] > 0
    with open(tmp_path / "soak" / "soak.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["process"] for row in rows} == {"host", "hardware"}
    assert (tmp_path / "soak" / "soak.png").stat().st_size > 10_000
    last = max((tmp_path / "soak").glob("soak-0*.h5"))
    with records.load(last) as run:
        assert run.status == "finished"
        assert run.rows("maps") == 30
        assert run.rows("link") > 0


def test_an_array_without_a_link_has_no_faults(tmp_path):
    arguments = ["--hours", "0", "--station", f"model:{SMALL}", "--faults", "0.1"]
    data = result("soak", *arguments, cwd=tmp_path, code=3)
    assert "link" in data["error"]["message"]
