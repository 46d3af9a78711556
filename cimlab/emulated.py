"""Emulated hardware in a process of its own, for as long as somebody needs it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from cimlab.core.bench import MockBench
from cimlab.core.errors import ConfigError, LinkError
from cimlab.core.station import Connection, MockBoard, load_station

_READY_SECONDS = 180.0
_WORD_SECONDS = 5.0
"""After so long, whoever waits is told for what."""
_PATIENCE = "the emulated %s is getting ready; the first time on a machine that is half a minute"
_STOP_SECONDS = 10.0
_REFUSED = 3
"""Exit code of commands that were told something wrong."""

_log = logging.getLogger(__name__)


class EmulatedHardware:
    """`cimlab mock board` or `cimlab mock bench` as a child of this process.

    Args:
        mock: What is emulated.

    Attributes:
        ready: What it said once it was ready.

    Raises:
        ConfigError: There is nothing like that to emulate.
        LinkError: The process did not get ready; carries what it said.
    """

    def __init__(self, mock: MockBoard | MockBench) -> None:
        self._what = "board" if isinstance(mock, MockBoard) else "bench"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._folder = tempfile.TemporaryDirectory(prefix="cimlab-", ignore_cleanup_errors=True)
        self._station = Path(self._folder.name) / "station.toml"
        arguments = ["--json", "--while-stdin"]
        if isinstance(mock, MockBoard):
            arguments += _board(mock)
        else:
            arguments += [*_bench(mock), "--station-out", str(self._station)]
        # A group of its own: Ctrl-C must reach the host alone, which then grounds all lines over
        # the link. The open pipe to stdin ends the emulation when the host dies.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cimlab", "mock", self._what, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            self.ready = self._await_ready()
        except BaseException:
            self.stop()
            raise

    def _await_ready(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        watch = threading.Timer(_READY_SECONDS, self._process.kill)
        word = threading.Timer(_WORD_SECONDS, _log.warning, (_PATIENCE, self._what))
        for timer in (watch, word):
            timer.start()
        line = self._process.stdout.readline()
        late = not watch.is_alive()
        for timer in (watch, word):
            timer.cancel()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            answer = {}
        if answer.get("ready"):
            return answer
        if answer.get("exit_code") == _REFUSED:
            raise ConfigError(f"the emulated {self._what}: {answer['error']['message']}")
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-2000:] or "nothing"
        when = f" within {_READY_SECONDS:g} s" if late else ""
        raise LinkError(f"the emulated {self._what} did not start{when}; it said: {said}")

    @property
    def connection(self) -> Connection:
        """Where it is to be found."""
        return load_station(self.ready.get("address", self._station)).connection

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def stop(self) -> None:
        """End the process, forcibly if it does not end by itself; a second call does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()


def _board(mock: MockBoard) -> list[str]:
    arguments = ["--listen", "pty" if mock.transport == "pty" else "tcp://127.0.0.1:0"]
    names = ("tiles", "rows", "cols", "seed", "device", "adc_noise", "state")
    return arguments + _options(mock, *names)


def _bench(mock: MockBench) -> list[str]:
    arguments = _options(mock, "dut", "transport", "seed")
    return [*arguments, "--instruments", f"{mock.instruments},clock"]


def _options(mock: MockBoard | MockBench, *names: str) -> list[str]:
    given = {name: getattr(mock, name) for name in names}
    flags = {f"--{name.replace('_', '-')}": v for name, v in given.items()}
    return [word for flag, v in flags.items() if v is not None for word in (flag, str(v))]
