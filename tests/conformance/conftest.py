"""Every backend of the conformance suite, as the fixture `array`."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cimlab.board.service import BoardService
from cimlab.core.array import CimArray, Limits
from cimlab.core.bench import MockBench
from cimlab.core.errors import LinkClosed
from cimlab.core.guard import Guarded
from cimlab.core.station import MockBoard, Station, load_station
from cimlab.core.stream import Stream
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams.memory import MemoryStream, memory_pair
from cimlab.emulated import EmulatedHardware
from cimlab.mock_hw.board import Chip, emulated_board
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.faults import Faults, FaultyStream
from cimlab.mock_hw.instruments import dut
from cimlab.protocols.jobs import JOBS
from cimlab.rig import open_array
from tests.drivers.arc2.standin import installed, standin

CHIP = Chip(device("brram"), tiles=2, rows=24, cols=20, seed=7)
SIZE = f"tiles={CHIP.tiles}&rows={CHIP.rows}&cols={CHIP.cols}&seed={CHIP.seed}"
PART = f"tiles=1&rows={CHIP.rows}&cols={CHIP.cols}"
LOSSY = Faults(drop=0.03, corrupt=0.03, duplicate=0.03)


class OneByteStream:
    """Passes on one byte a read, as the slowest of lines would."""

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self._left = b""

    def read(self, timeout: float) -> bytes:
        """The next byte."""
        if not self._left:
            self._left = self._inner.read(timeout)
        byte, self._left = self._left[:1], self._left[1:]
        return byte

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """All of it."""
        self._inner.write(data)

    def close(self) -> None:
        """Close the inner stream."""
        self._inner.close()


class BoardThread:
    """An emulated board in a thread, which any number of memory streams reach one after another."""

    def __init__(self, service: BoardService) -> None:
        self._service = service
        self._streams: list[MemoryStream] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def connect(self) -> Stream:
        """A new stream to the board."""
        near, far = memory_pair()
        thread = threading.Thread(target=self._serve, args=(far,))
        self._streams.append(near)
        self._threads.append(thread)
        thread.start()
        return near

    def _serve(self, stream: MemoryStream) -> None:
        connection = self._service.connect()
        with contextlib.suppress(LinkClosed):
            while True:
                data = stream.read(0.0 if self._service.busy else 0.02)
                with self._lock:
                    answer = connection.receive(data, time.monotonic()) if data else b""
                    self._service.poll(time.monotonic())
                    answer += connection.poll(time.monotonic())
                if answer:
                    stream.write(answer)

    def stop(self) -> None:
        """End every connection."""
        for stream in self._streams:
            stream.close()
        for thread in self._threads:
            thread.join(10)


@contextlib.contextmanager
def over_memory(wrap: Callable[[Stream], Stream]) -> Iterator[CimArray]:
    """The emulated board in a thread, behind a stream that `wrap` spoils."""
    with emulated_board(CHIP, JOBS) as service:
        board = BoardThread(service)
        try:
            with Guarded(SocArray(lambda: wrap(board.connect())), Limits()) as array:
                yield array
        finally:
            board.stop()


def lossy() -> Callable[[Stream], Stream]:
    """Every stream of one array with faults of its own."""
    seeds = itertools.count(1)
    return lambda stream: FaultyStream(stream, next(seeds), LOSSY, LOSSY)


@contextlib.contextmanager
def on_arc2() -> Iterator[CimArray]:
    """An ArC TWO whose library is replaced by one that drives a device under test."""
    device = dut("crossbar:12x10:brram")
    with (
        installed(standin(device)),
        open_array("arc2:?firmware=fw.bin&rows=12&cols=10") as array,
    ):
        yield array


BACKENDS: dict[str, Callable[[], contextlib.AbstractContextManager[CimArray]]] = {
    "model": lambda: open_array(f"model:?{SIZE}"),
    "memory": lambda: over_memory(lambda stream: stream),
    "one-byte": lambda: over_memory(OneByteStream),
    "lossy": lambda: over_memory(lossy()),
    "tcp": lambda: open_array(board_process("tcp")),
    "pty": lambda: open_array(board_process("pty")),
    "joined": lambda: open_array(f"model:?{PART}&seed=7 + model:?{PART}&seed=8"),
    "joined-boards": lambda: open_array(f"{board_process('tcp')} + model:?{PART}&seed=8"),
    "bench": lambda: open_array(bench_process("keithley2450,keysight81160a,keysightb2200")),
    "arc2": lambda: on_arc2(),
    "bench-smu": lambda: open_array(bench_process("keithley2400,keithley707b")),
}


@functools.cache
def board_process(transport: str) -> str:
    """The address of an emulated board in a process of its own, shared by all tests."""
    mock = load_station(f"mock:?{SIZE}&transport={transport}").connection
    assert isinstance(mock, MockBoard)
    process = EmulatedHardware(mock)
    atexit.register(process.stop)
    return str(process.ready["address"])


@functools.cache
def bench_process(instruments: str) -> Station:
    """An emulated bench in a process of its own, shared by all tests."""
    process = EmulatedHardware(MockBench(dut="crossbar:12x10:brram", instruments=instruments))
    atexit.register(process.stop)
    return Station(connection=process.connection, text="bench:")


@pytest.fixture(params=[*BACKENDS, pytest.param("hardware", marks=pytest.mark.hardware)])
def array(request: pytest.FixtureRequest) -> Iterator[CimArray]:
    """Each backend, fresh; "hardware" is the station that CIMLAB_STATION names."""
    if request.param == "hardware":
        opened: contextlib.AbstractContextManager[CimArray] = open_array(
            os.environ["CIMLAB_STATION"]
        )
    else:
        opened = BACKENDS[request.param]()
    with opened as array:
        yield array
