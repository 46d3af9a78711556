"""The composition root: from a station, which is data, to an array, which is hardware.

The one module that knows which hardware there is; everything else gets a `CimArray`::

    with cimlab.open("mock:?tiles=4") as array:
        print(array.read(0.1).g.mean())
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from cimlab.board.hal_array import HalArray
from cimlab.core.array import CimArray
from cimlab.core.errors import LinkError
from cimlab.core.events import Sink
from cimlab.core.guard import Guarded
from cimlab.core.station import (
    MockBoard,
    ModelArray,
    SerialBoard,
    Station,
    TcpBoard,
    load_station,
)
from cimlab.core.tap import Ledger, Tapped
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import SerialStream, TcpStream
from cimlab.wire.host_session import LinkStatistics

_READY_SECONDS = 180.0
_STOP_SECONDS = 10.0


class BoardProcess:
    """An emulated board in a process of its own, for as long as this object is open.

    Args:
        mock: Size, seed, device, transport and state file.

    Attributes:
        address: Where it listens, as a short form of a station.

    Raises:
        LinkError: The process did not get ready; carries what it said.
    """

    def __init__(self, mock: MockBoard) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        # A group of its own: Ctrl-C must reach the host alone, which then grounds the board's
        # lines over the link. The open pipe to stdin ends the board when the host dies.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cimlab", "mock", "board", *_arguments(mock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            self.address = self._await_ready()
        except BaseException:
            self.stop()
            raise

    def _await_ready(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        watch = threading.Timer(_READY_SECONDS, self._process.kill)
        watch.start()
        line = self._process.stdout.readline()
        late = not watch.is_alive()
        watch.cancel()
        try:
            answer = json.loads(line)
            return str(answer["address"])
        except (ValueError, KeyError, TypeError) as error:
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()[-2000:] or "nothing"
            when = f" within {_READY_SECONDS:g} s" if late else ""
            raise LinkError(f"the emulated board did not start{when}; it said: {said}") from error

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


def _arguments(mock: MockBoard) -> list[str]:
    listen = "pty" if mock.transport == "pty" else "tcp://127.0.0.1:0"
    arguments = ["--json", "--while-stdin", "--listen", listen]
    for name in ("tiles", "rows", "cols", "seed", "device", "state"):
        value = getattr(mock, name)
        if value is not None:
            arguments += [f"--{name}", str(value)]
    return arguments


class StationArray(Guarded):
    """A station's array: guarded, counted, and tapped where there is a sink.

    Args:
        station: What was opened.
        hardware: The bare array; closed with this one.
        sink: Receives an event for every verb.
        process: The emulated board's process, ended after the array is closed.

    Attributes:
        station: As given.
        ledger: The host's own counts of pulses and reads, to compare with `counters`.
    """

    def __init__(
        self,
        station: Station,
        hardware: CimArray,
        sink: Sink | None,
        process: BoardProcess | None,
    ) -> None:
        counted = hardware.counters() if "counters" in hardware.spec.capabilities else None
        self.ledger = Ledger(hardware.spec, counted)
        tapped = Tapped(hardware, self.ledger)
        if sink is not None:
            tapped = Tapped(tapped, sink)
        super().__init__(tapped, station.limits.limits())
        self.station = station
        self._hardware = hardware
        self._process = process

    @property
    def link(self) -> LinkStatistics | None:
        """What went over the board link so far; None where there is no link."""
        return self._hardware.statistics if isinstance(self._hardware, SocArray) else None

    def close(self) -> None:
        """Ground, release the hardware, and end what was started for it."""
        try:
            super().close()
        finally:
            if self._process is not None:
                self._process.stop()


def _hardware(connection: ModelArray | TcpBoard | SerialBoard) -> CimArray:
    match connection:
        case ModelArray():
            # compiled physics: not loaded by a host that only talks to a board
            from cimlab.mock_hw.board import Chip
            from cimlab.mock_hw.devices import device

            chip = Chip(
                device(connection.device),
                connection.tiles,
                connection.rows,
                connection.cols,
                connection.seed,
            )
            return HalArray(chip.hal())
        case TcpBoard(host=host, port=port, token=token):
            return SocArray(lambda: TcpStream.connect(host, port), token or "")
        case SerialBoard(port=line, baud=baud):
            return SocArray(lambda: SerialStream(line, baud))


def open_array(station: Station | str | Path, sink: Sink | None = None) -> StationArray:
    """Open the array that a station names, and apply the station's converter settings.

    Args:
        station: A station, its short form, or the path of its TOML file.
        sink: Receives an event for every verb.

    Raises:
        ConfigError: The station is wrong.
        LinkError: Nothing answers there.
    """
    if not isinstance(station, Station):
        station = load_station(station)
    connection = station.connection
    process = None
    with contextlib.ExitStack() as undo:
        if isinstance(connection, MockBoard):
            process = BoardProcess(connection)
            undo.callback(process.stop)
            connection = load_station(process.address).connection
        assert not isinstance(connection, MockBoard)  # noqa: S101 - a process listens on a port
        hardware = _hardware(connection)
        undo.callback(hardware.close)
        array = StationArray(station, hardware, sink, process)
        settings = station.converters.over(array.converters)
        array.configure(settings)
        if isinstance(hardware, SocArray):
            # the board refuses, too, what this station does not allow
            hardware.configure(settings, array.spec.limits)
        undo.pop_all()
    return array
