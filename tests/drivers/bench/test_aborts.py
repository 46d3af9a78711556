"""Ctrl-C, SIGTERM and exceptions in the middle of a verb leave outputs off and lines at ground."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cimlab.core.errors import LinkError
from cimlab.drivers.bench import open_bench
from cimlab.mock_hw.instruments import dut, serve
from cimlab.mock_hw.instruments.station import bench_table

ROWS, COLS = 3, 4
BENCHES = {
    "generator": ["keithley2450", "keysight81160a", "keysightb2200", "keithley2400:bias"],
    "smu": ["keithley2400", "keysightb2200"],
}
VERBS = {
    "read": "array.read(0.1, averages=50)",
    "pulse": "array.pulse(1.0, 2e-3, 5)",
    "sweep": "array.sweep(np.linspace(-1.5, 1.5, 400), 1e-4, 0.0, cells)",
    "train": "array.train(np.full(400, 1.2), 1e-3, 0.1, cells)",
}
SCENES = [("generator", verb) for verb in ("read", "pulse", "sweep")]
SCENES += [("smu", verb) for verb in ("pulse", "sweep", "train")]
CHILD = """
import signal, sys
import numpy as np
import cimlab

def interrupt(*_):  # as the commands do
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
with cimlab.open(sys.argv[1]) as array:
    cells = np.arange(array.spec.size)
    print("open", flush=True)
    try:
        while True:
            {verb}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def bench(request):
    """An emulated crossbar with the instruments of BENCHES, in this process."""
    with serve(BENCHES[request.param], dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)) as server:
        yield server


def assert_idle(server):
    """Every output is off, every line is at 0 V."""
    held = dict(server.bench._held)
    assert held.pop("ground") == 0.0
    assert held == {}
    lines = server.bench._volts("nobody", 0.0)
    assert np.array_equal(lines, np.zeros(ROWS + COLS))


def until(condition):
    """Wait for it, briefly."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


SIGNALS = [(*scene, signal.SIGINT) for scene in SCENES]
SIGNALS += [("generator", "sweep", signal.SIGTERM), ("smu", "train", signal.SIGTERM)]


@pytest.mark.parametrize(("bench", "verb", "number"), SIGNALS, indirect=["bench"])
def test_a_signal_in_the_middle(bench, verb, number, tmp_path):
    station = tmp_path / "bench.toml"
    station.write_text(bench_table(bench).toml())
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(verb=VERBS[verb]), str(station)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "open\n"
        began = bench.bench.clock.now()
        until(lambda: bench.bench.clock.now() > began)
        until(lambda: bench.bench.held - {"ground"})  # something is driven
        child.send_signal(number)
        assert child.stdout.readline() == "interrupted\n"
        assert_idle(bench)
        child.stdin.write("\n")
        child.stdin.close()
        assert child.wait(10) == 0
    assert bench.bench.closed == set()


KILLED = [("generator", "read"), ("generator", "sweep"), ("smu", "train")]


@pytest.mark.parametrize(("bench", "verb"), KILLED, indirect=["bench"])
def test_a_killed_host_leaves_a_minder_that_turns_everything_off(bench, verb, tmp_path):
    """SIGKILL: no handler runs, and instruments have no watchdog."""
    station = tmp_path / "bench.toml"
    station.write_text(bench_table(bench).toml())
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(verb=VERBS[verb]), str(station)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "open\n"
        began = bench.bench.clock.now()
        until(lambda: bench.bench.clock.now() > began)
        child.kill()
        child.wait()
        said = child.stderr.read()  # to its end: the minder's
    assert "outputs off, matrix open" in said
    assert bench.bench.held == {"ground"}  # nothing sources
    assert bench.bench.closed == set()  # and nothing is connected


@pytest.mark.parametrize("failure", [KeyboardInterrupt, LinkError])
@pytest.mark.parametrize(("bench", "verb"), SCENES, indirect=["bench"])
@pytest.mark.parametrize("after", [1, 4])
def test_an_exception_in_the_middle(bench, verb, failure, after):
    """The line to the instrument that does the work breaks at some answer, then works again."""
    with open_bench(bench_table(bench)) as array:
        generator = verb == "pulse" and "keysight81160a" in bench.emulators
        link = (array._pulser if generator else array._smu)._link
        read, left = link.read, [after]

        def breaks():
            left[0] -= 1
            if left[0] == 0:
                raise failure
            return read()

        link.read = breaks
        scope = {"array": array, "np": np, "cells": np.arange(array.spec.size)}
        with pytest.raises(failure):
            exec(VERBS[verb], scope)  # noqa: S102 - from the table above
        assert_idle(bench)
        assert np.isfinite(array.read(0.1).current).all()
    assert bench.bench.closed == set()
