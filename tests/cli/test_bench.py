"""`cimlab mock bench` and stations that are benches: processes, files, exit codes."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvisa

import cimlab
from cimlab.core.errors import CimError, ConfigError, LinkError
from cimlab.mock_hw.instruments.station import run_bench

from .support import COMMAND, result

NAMES = "keithley2450,keysight81160a,keysightb2200"
CROSSBAR = "crossbar:2x3:brram"


@contextmanager
def mock_bench(
    *arguments: str, cwd: Path
) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """`cimlab mock bench` as a process: its resources and the process, ended afterwards."""
    words = [*COMMAND, "mock", "bench", "--json", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=cwd, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            ready = json.loads(process.stdout.readline())
            assert ready.keys() == {"ready", "resources"}
            assert ready["ready"] is True
            yield ready["resources"], process
        finally:
            process.kill()


def ask(resource: str, query: str) -> str:
    """A query by PyVISA alone."""
    manager = pyvisa.ResourceManager("@py")
    instrument: Any = manager.open_resource(
        resource, read_termination="\n", write_termination="\n", timeout=5000
    )
    try:
        return str(instrument.query(query))
    finally:
        instrument.close()


@pytest.mark.parametrize("transport", ["tcp", "pty"])
def test_the_ready_line_names_resources_that_answer(transport: str, tmp_path: Path) -> None:
    options = ("--instruments", NAMES, "--dut", "brram", "--transport", transport)
    with mock_bench(*options, cwd=tmp_path) as (resources, process):
        assert list(resources) == NAMES.split(",")
        prefix = {"tcp": "TCPIP::127.0.0.1::", "pty": "ASRL/dev/"}[transport]
        assert all(resource.startswith(prefix) for resource in resources.values())
        for name, model in zip(resources, ("2450", "81160A", "B2200A"), strict=True):
            assert model in ask(resources[name], "*IDN?")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_it_ends_with_its_standard_input(tmp_path: Path) -> None:
    with mock_bench("--while-stdin", cwd=tmp_path) as (_, process):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_resistor_has_its_resistance(tmp_path: Path) -> None:
    options = ("--instruments", "keithley2450", "--dut", "resistor:10e3")
    with mock_bench(*options, "--station-out", "lab.toml", cwd=tmp_path):
        data = result("read", "--station", "lab.toml", "--v", "0.2", cwd=tmp_path)
    assert data["tiles"][0]["mean"] == pytest.approx(1e-4, rel=5e-3)
    assert data["origin"] == "emulated"


def test_a_written_station_is_a_station_like_any_other(tmp_path: Path) -> None:
    options = ("--instruments", NAMES, "--dut", CROSSBAR, "--station-out", "lab.toml")
    with mock_bench(*options, cwd=tmp_path):
        data = result("info", "--station", "lab.toml", cwd=tmp_path)
        assert (data["tiles"], data["rows"], data["cols"]) == (1, 2, 3)
        assert (data["vmm"], data["capabilities"]) == ("emulated", ["sweep"])
        programmed = result("program", "--station", "lab.toml", "--levels", "2", cwd=tmp_path)
        assert programmed["cells"] == 6
        assert programmed["in_band"] > 0.6
        with cimlab.open(tmp_path / "lab.toml") as array:
            assert array.ledger.pulses.sum() == 0
            trace = array.sweep(np.array([0.1, 0.2]), 1e-4, 0.0, np.array([1, 4]))
            g = array.read(0.2, averages=16).g.ravel()[[1, 4]]
            assert trace.current[1] / 0.2 == pytest.approx(g, abs=6e-6)
            assert array.ledger.reads.sum() == 2 * 2 + 6


def test_the_short_form_starts_a_bench_and_ends_it(tmp_path: Path) -> None:
    with cimlab.open(f"bench:?dut={CROSSBAR}&instruments={NAMES}&seed=7") as array:
        (process,) = array._processes
        assert array.spec.shape == (1, 2, 3)
        assert (array.read(0.1).g > 0).all()
    assert process._process.poll() is not None


@pytest.mark.parametrize(
    ("instruments", "device", "out", "says"),
    [
        ("keithley2450,teapot", "brram", None, "unknown instrument 'teapot'"),
        ("keithley2450,keithley2450", "brram", None, "once"),
        ("keithley2450", "resistor:-5", None, "resistor:10e3"),
        ("keithley2450", "crossbar:0x3:brram", None, "at least one row"),
        ("keysight81160a", "brram", "x.toml", "SMU"),
        ("keithley2450", CROSSBAR, "x.toml", "switch matrix"),
        ("keithley2450", "brram", "nowhere/x.toml", "cannot write"),
    ],
)
def test_what_cannot_be_emulated_is_refused(
    instruments: str, device: str, out: str | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        run_bench(
            instruments.split(","),
            device,
            station_out=None if out is None else tmp_path / out,
            ready=lambda _: pytest.fail("it is not ready"),
        )


def test_a_short_form_of_what_there_is_not_is_refused(tmp_path: Path) -> None:
    refused = result("read", "--station", "bench:?dut=unobtainium", cwd=tmp_path, code=3)
    assert "unobtainium" in refused["error"]["message"]


def changed(station: Path, *replacements: tuple[str, str]) -> str:
    """A copy of a station file with something else in it."""
    text = station.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    copy = station.with_name("changed.toml")
    copy.write_text(text)
    return copy.name


def test_each_mistake_of_a_station_is_one_clear_error(tmp_path: Path) -> None:
    options = ("--instruments", NAMES, "--dut", CROSSBAR, "--station-out", "lab.toml")
    with mock_bench(*options, cwd=tmp_path) as (resources, _):
        station = tmp_path / "lab.toml"
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            gone = f"TCPIP::127.0.0.1::{nobody.getsockname()[1]}::SOCKET"
        smu, pulser = resources["keithley2450"], resources["keysight81160a"]
        wrong = [
            (("rows = [1, 2]", "rows = [1, 49]"), 3, "outputs 1 .. 48"),
            (("cols = [3, 4, 5]", "cols = [2, 3, 4]"), 3, "output is used twice"),
            (("rows = ", "row = "), 3, "changed.toml:17: unknown key 'row'"),
            (('driver = "keithley2450"', 'driver = "keithley2540"'), 3, "'keithley2450'?"),
            (('driver = "keithley2450"', 'driver = "keysightb2200"'), 3, "no SourceMeter"),
            ((smu, pulser), 3, "bench.smu: Keithley2450 expected"),
            ((pulser, gone), 4, "bench.pulser: "),
        ]
        for replacement, code, says in wrong:
            name = changed(station, replacement)
            with pytest.raises(CimError) as caught:
                cimlab.open(tmp_path / name)
            assert says in str(caught.value)
            assert isinstance(caught.value, ConfigError if code == 3 else LinkError)
        refused = result("read", "--station", name, cwd=tmp_path, code=4)
        assert gone in refused["error"]["message"]
        with cimlab.open(station) as array:  # and nothing is broken
            assert (array.read(0.1).g > 0).all()


@pytest.mark.slow
def test_an_instrument_that_never_answers_is_a_timeout(tmp_path: Path) -> None:
    options = ("--instruments", NAMES, "--dut", CROSSBAR, "--station-out", "lab.toml")
    with (
        mock_bench(*options, cwd=tmp_path) as (resources, _),
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        heard = []
        threading.Thread(target=lambda: heard.append(silent.accept()), daemon=True).start()
        dead = f"TCPIP::127.0.0.1::{silent.getsockname()[1]}::SOCKET"
        name = changed(tmp_path / "lab.toml", (resources["keysightb2200"], dead))
        refused = result("read", "--station", name, cwd=tmp_path, code=4)
        assert refused["error"]["kind"] == "LinkTimeout"
        assert refused["error"]["message"].startswith("bench.matrix: ")
        heard[0][0].close()
