"""The composition root: from a station, which is data, to an array, which is hardware.

The one module that knows which hardware there is; everything else gets a `CimArray`::

    with cimlab.open("mock:?tiles=4") as array:
        print(array.read(0.1).g.mean())
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from cimlab.board.hal_array import HalArray
from cimlab.core.array import CimArray, Converters
from cimlab.core.bench import BenchTable, MockBench
from cimlab.core.errors import BoardError
from cimlab.core.events import Sink
from cimlab.core.guard import Guarded
from cimlab.core.joined import JoinedArray
from cimlab.core.limits import tighter
from cimlab.core.station import (
    Arc2Board,
    Connection,
    JoinedBoards,
    MockBoard,
    ModelArray,
    ReplayedTrace,
    SerialBoard,
    Station,
    TcpBoard,
    load_station,
)
from cimlab.core.stream import Stream
from cimlab.core.tap import Tapped
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import SerialStream, TcpStream
from cimlab.emulated import EmulatedHardware
from cimlab.life import Life
from cimlab.minder import Minder
from cimlab.wire.statistics import LinkStatistics
from cimlab.wire.status import Status

_log = logging.getLogger(__name__)
_Connection: TypeAlias = (
    ModelArray | TcpBoard | SerialBoard | BenchTable | Arc2Board | ReplayedTrace
)
_RESETS = 50
"""Frames struck by each other fault for one broken connection."""
_ASK_AGAIN = 1.0
"""Between two questions whether a board is free, s."""


class StationArray(Guarded):
    """A station's array: guarded, counted, and tapped where there is a sink.

    Args:
        station: What was opened.
        hardware: The bare array; closed with this one.
        sink: Receives an event for every verb.
        processes: Emulated hardware, ended after the array is closed.
        minder: Turns a bench off should this process die; released after the array is closed.

    Attributes:
        station: As given.
        ledger: The host's own counts of pulses and reads, to compare with `counters`.
        usable: False for the cells that the station's health file marks as bad, (tiles, rows,
            cols); None without such a file.
    """

    def __init__(
        self,
        station: Station,
        hardware: CimArray,
        sink: Sink | None,
        processes: Sequence[EmulatedHardware] = (),
        minder: Minder | None = None,
    ) -> None:
        seam = hardware if station.trace is None else _recorded(station, station.trace, hardware)
        counted = seam.counters() if "counters" in seam.spec.capabilities else None
        self._life = Life(seam.spec, counted, station.health)
        self.ledger = self._life.ledger
        self.usable = self._life.usable
        tapped = Tapped(seam, self._life, products=False)
        if sink is not None:
            tapped = Tapped(tapped, sink)
        limits = station.limits
        wear = self._life.wear(limits.pulses_max)
        super().__init__(tapped, limits.limits(), wear, limits.dose())
        self.station = station
        self._hardware = hardware
        self._processes = processes
        self._minder = minder

    @property
    def link(self) -> LinkStatistics | None:
        """What went over the board links so far, all together; None where there is no link."""
        each = [board.statistics for board, _ in _boards(self._hardware, self.converters)]
        if not each:
            return None
        sums = [sum(values) for values in zip(*map(dataclasses.astuple, each), strict=True)]
        return LinkStatistics(*sums)

    def close(self) -> None:
        """Ground, release the hardware, and end what was started for it."""
        try:
            super().close()
        except BaseException:
            if self._minder is not None:
                self._minder.step_in()
            raise
        else:
            if self._minder is not None:
                self._minder.release()
        finally:
            _stop(self._processes)
            self._life.keep()


def _boards(hardware: CimArray, settings: Converters) -> list[tuple[SocArray, Converters]]:
    """The arrays that are behind a board link, and each one's part of converter settings."""
    if isinstance(hardware, JoinedArray):
        each = zip(hardware.members, hardware.settings(settings), strict=True)
        return [(member, own) for member, own in each if isinstance(member, SocArray)]
    return [(hardware, settings)] if isinstance(hardware, SocArray) else []


def _recorded(station: Station, trace: str, hardware: CimArray) -> CimArray:
    """The hardware with a link trace of all that happens from now on."""
    # HDF5: not loaded where nothing is recorded
    from cimlab.records.recording import Recording

    limits = tighter(hardware.spec.limits, station.limits.limits())
    seen = dataclasses.replace(hardware.spec, limits=limits)
    settings = station.converters.over(hardware.converters)
    return Recording(hardware, trace, seen, settings, station.text)


def _hardware(connection: _Connection) -> CimArray:
    match connection:
        case ModelArray():
            # compiled physics: not loaded by a host that only talks to a board
            from cimlab.mock_hw.board import Chip
            from cimlab.mock_hw.born import Imperfections
            from cimlab.mock_hw.compiling import announced
            from cimlab.mock_hw.devices import device

            announced()
            chip = Chip(
                device(connection.device),
                connection.tiles,
                connection.rows,
                connection.cols,
                connection.seed,
                Imperfections(adc_noise=connection.adc_noise),
            )
            return HalArray(chip.hal())
        case TcpBoard(host=host, port=port, token=token):
            streams = _streams(connection, lambda: TcpStream.connect(host, port))
            # an emulated cable loses bytes, as TCP does not
            return SocArray(streams, token or "", bulk=not connection.faults)
        case SerialBoard(port=line, baud=baud):
            return SocArray(_streams(connection, lambda: SerialStream(line, baud)))
        case BenchTable():
            # PyVISA: not loaded where there are no instruments
            from cimlab.drivers.bench import open_bench

            return open_bench(connection)
        case Arc2Board(port=number, firmware=firmware, rows=rows, cols=cols):
            from cimlab.drivers.arc2 import open_arc2

            return open_arc2(number, firmware, rows, cols)
        case ReplayedTrace(file=file):
            from cimlab.records.replay import Replay

            return Replay(file)


def _streams(board: TcpBoard | SerialBoard, connect: Callable[[], Stream]) -> Callable[[], Stream]:
    """Opens streams to the board, spoilt on purpose where the station says so."""
    if not board.faults:
        return connect
    from cimlab.mock_hw.faults import Faults, spoilt

    rate = board.faults
    _log.warning("the link is spoilt on purpose: faults=%g", rate)
    faults = Faults(drop=rate, corrupt=rate, duplicate=rate, reset=rate / _RESETS)
    return spoilt(connect, board.fault_seed, faults)


def _patiently(connection: _Connection, patience: float) -> CimArray:
    """Open the hardware; a board that another host holds is asked again for so many seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return _hardware(connection)
        except BoardError as error:
            if error.code != Status.BUSY or time.monotonic() > end:
                raise
            _log.info("the board is held by another host; asking again")
        time.sleep(_ASK_AGAIN)


def _reached(mock: MockBoard | MockBench, process: EmulatedHardware) -> Connection:
    """Where emulated hardware is to be found, with the faults that are wanted on the way."""
    found = process.connection
    if isinstance(mock, MockBoard):
        return found.model_copy(update={"faults": mock.faults, "fault_seed": mock.fault_seed})
    return found


def _opened(connection: Connection, patience: float, processes: list[EmulatedHardware]) -> CimArray:
    """Open hardware; processes that are started for it are added to the list."""
    if isinstance(connection, MockBoard | MockBench):
        processes.append(EmulatedHardware(connection))
        connection = _reached(connection, processes[-1])
    if isinstance(connection, JoinedBoards):
        with contextlib.ExitStack() as undo:
            members = []
            for board in connection.boards:
                members.append(_opened(board, patience, processes))
                undo.callback(members[-1].close)
            joined = JoinedArray(members)
            undo.pop_all()
        return joined
    assert not isinstance(connection, MockBoard | MockBench)  # noqa: S101 - it has an address
    return _patiently(connection, patience)


def _stop(processes: Sequence[EmulatedHardware]) -> None:
    for process in processes:
        process.stop()


def open_array(
    station: Station | str | Path, sink: Sink | None = None, patience: float = 0.0
) -> StationArray:
    """Open the array that a station names, and apply the station's converter settings.

    Args:
        station: A station, its short form, or the path of its TOML file.
        sink: Receives an event for every verb.
        patience: How long to wait for a board that is held by another host, s. A board waits some
            seconds (its lease) for a host that went without goodbye.

    Raises:
        ConfigError: The station is wrong.
        LinkError: Nothing answers there.
        BoardError: The board is held by another host, still.
        RecordError: A trace to replay is damaged, or one to write is there already.
    """
    if not isinstance(station, Station):
        station = load_station(station)
    processes: list[EmulatedHardware] = []
    with contextlib.ExitStack() as undo:
        undo.callback(_stop, processes)
        hardware = _opened(station.connection, patience, processes)
        undo.callback(hardware.close)
        minder = None
        if isinstance(station.connection, BenchTable):
            minder = Minder(station.connection)
            undo.callback(minder.release)
        array = StationArray(station, hardware, sink, processes, minder)
        undo.callback(array.close)
        settings = station.converters.over(array.converters)
        array.configure(settings)
        for board, own in _boards(hardware, settings):
            # it refuses, too, what this station does not allow
            board.configure(own, array.spec.limits)
        undo.pop_all()
    return array
