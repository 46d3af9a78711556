"""The server's loop on real sockets, terminals and processes."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from cimlab.board.listeners import listen
from cimlab.board.serve import CONNECTIONS_MAX, BoardServer
from cimlab.board.service import BoardService
from cimlab.core.errors import BoardError, ConfigError, LinkClosed
from cimlab.core.stream import parse_address
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import Stream, open_stream
from cimlab.wire.frames import Kind, Verb, encode
from cimlab.wire.messages import Hello
from cimlab.wire.status import Status
from tests.board.stub import COLS, ROWS, TILES, StubHal
from tests.wire import reference_decoder as reference

LOOPBACK = "tcp://127.0.0.1:0"


@contextmanager
def serving(service: BoardService, where: str = LOOPBACK) -> Iterator[str]:
    """The service in a thread; the address it can be reached at."""
    server = BoardServer(service, where)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def connected(address: str) -> SocArray:
    return SocArray(lambda: open_stream(address))


def hello(session: int, token: str = "", tag: int = 1) -> bytes:
    return encode(Kind.REQUEST, Verb.HELLO, session, tag, Hello(0, 1 << 16, token).pack())


def ping(session: int, tag: int) -> bytes:
    return encode(Kind.REQUEST, Verb.PING, session, tag, [])


def answers(stream: Stream, n: int) -> list[reference.Message]:
    """The next n frames."""
    data, deadline = b"", time.monotonic() + 10
    while data.count(0) < n and time.monotonic() < deadline:
        data += stream.read(0.2)
    return [reference.decode(frame) for frame in reference.frames(data)]


@pytest.mark.parametrize("where", [LOOPBACK, "tcp://[::1]:0", "tcp://localhost:0", "pty"])
def test_hosts_come_one_after_the_other(where: str) -> None:
    with serving(BoardService(StubHal()), where) as address:
        for _ in range(3):
            with connected(address) as array:
                assert array.spec.shape == (TILES, ROWS, COLS)
                assert array.read(0.1).current.shape == (TILES, ROWS, COLS)


def test_a_second_host_is_told_that_the_board_is_busy() -> None:
    with serving(BoardService(StubHal())) as address, connected(address) as array:
        with pytest.raises(BoardError) as refusal:
            connected(address)
        assert refusal.value.code == Status.BUSY
        array.read(0.1)


def test_a_session_moves_to_a_new_connection() -> None:
    streams: list[Stream] = []

    def opened() -> Stream:
        streams.append(open_stream(address))
        return streams[-1]

    hal = StubHal()
    with serving(BoardService(hal)) as address, SocArray(opened) as array:
        cells = np.array([3], np.int64)
        for _ in range(5):
            array.pulse(1.0, 1e-6, cells=cells)
            streams[-1].write(b"half a frame")
            streams[-1].close()
        assert array.counters().ravel()[3] == hal.pulses[3] == 5
        assert len(streams) > 5


def test_a_byte_at_a_time_is_as_good() -> None:
    with serving(BoardService(StubHal())) as address:
        stream = open_stream(address)
        for byte in b"\0" + hello(7) + ping(7, 2):
            stream.write(bytes([byte]))
        info, status = answers(stream, 2)
        assert (info.kind, info.verb, info.session) == ("REPLY", "HELLO", 7)
        assert (status.kind, status.verb, status.seq) == ("STATUS", "PING", 2)
        stream.close()


def test_garbage_hurts_nobody() -> None:
    rng = np.random.default_rng(0)
    with serving(BoardService(StubHal())) as address, connected(address) as array:
        for _ in range(5):
            noise = open_stream(address)
            noise.write(rng.integers(0, 256, 100_000, np.uint8).tobytes())
            noise.write(bytes([1]) * 3_000_000)  # longer than any frame
            array.read(0.1)
            noise.close()


def test_a_host_that_does_not_read_does_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cimlab.board.serve.HIGH_WATER", 1 << 16)
    service = BoardService(StubHal())
    with serving(service) as address:
        deaf = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        deaf.setblocking(False)
        deaf.sendall(hello(7))
        pings = ping(7, 2) * 1000
        sent, quiet = 0, 0
        while quiet < 20 and sent < 1 << 28:  # until the board stops to listen
            if select.select([], [deaf], [], 0.02)[1]:
                sent, quiet = sent + deaf.send(pings), 0
            else:
                quiet += 1
        assert quiet == 20
        stream = open_stream(address)
        stream.write(hello(8))
        (refusal,) = answers(stream, 1)
        assert reference.answer_fields(refusal)["status"] == Status.BUSY
        stream.close()
        deaf.close()


def test_connections_are_limited_and_places_come_free() -> None:
    with serving(BoardService(StubHal())) as address:
        streams = [open_stream(address) for _ in range(CONNECTIONS_MAX)]
        for stream in streams:
            stream.write(hello(7))
            assert len(answers(stream, 1)) == 1
        late = open_stream(address)
        with pytest.raises(LinkClosed):
            late.read(5.0)
        late.close()
        for stream in streams:
            stream.close()
        deadline = time.monotonic() + 10
        while True:
            stream = open_stream(address)
            try:
                stream.write(hello(7))
                if answers(stream, 1):
                    break
            except LinkClosed:
                assert time.monotonic() < deadline
            finally:
                stream.close()


@pytest.mark.parametrize("stays", [True, False])
def test_the_watchdog_grounds_with_and_without_a_connection(stays: bool) -> None:
    hal = StubHal()
    with serving(BoardService(hal, watchdog=1.0)) as address:
        stream = open_stream(address)
        stream.write(hello(7))
        answers(stream, 1)
        grounded = hal.calls.count("ground")
        if not stays:
            stream.close()
        time.sleep(0.3)
        assert hal.calls.count("ground") == grounded
        give_up = time.monotonic() + 20
        while hal.calls.count("ground") == grounded and time.monotonic() < give_up:
            time.sleep(0.02)
        time.sleep(0.2)
        assert hal.calls.count("ground") == grounded + 1
        stream.close()


def test_stopping_grounds_and_frees_the_port() -> None:
    hal = StubHal()
    with serving(BoardService(hal)) as address:
        stream = open_stream(address)
        grounded = hal.calls.count("ground")
    assert hal.calls.count("ground") == grounded + 1
    with pytest.raises(LinkClosed):
        stream.read(1.0)
    stream.close()
    with serving(BoardService(StubHal()), address) as again:
        assert again == address


def test_the_pseudo_terminal_stays_when_hosts_go() -> None:
    with serving(BoardService(StubHal()), "pty") as address:
        for session in range(1, 6):
            stream = open_stream(address)
            stream.write(b"\0" + hello(session, tag=session) + ping(session, 9) + b"half a frame")
            assert answers(stream, 1)[0].session == session
            bye = encode(Kind.REQUEST, Verb.BYE, session, 10, [])
            stream.write(b"\0" + bye)
            while "BYE" not in [answer.verb for answer in answers(stream, 1)]:
                pass
            stream.close()


def test_a_serial_line_is_served_until_it_fails() -> None:
    host, device = os.openpty()
    tty.setraw(device)
    server = BoardServer(BoardService(StubHal()), f"serial://{os.ttyname(device)}?baud=115200")
    assert server.address == f"serial://{os.ttyname(device)}?baud=115200"
    os.close(device)
    failures: list[str] = []

    def run() -> None:
        try:
            server.run()
        except LinkClosed as error:
            failures.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    os.write(host, hello(7))
    data = b""
    while not data.endswith(b"\0"):
        data += os.read(host, 4096)
    assert reference.decode(data[:-1]).verb == "HELLO"
    os.close(host)
    thread.join(10)
    assert [server.address in failure for failure in failures] == [True]


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("tcp://0.0.0.0:0", "token"),
        ("tcp://[::]:0", "token"),
        ("tcp://192.0.2.1:0", "token"),
        ("tcp://board.example:0", "token"),
        ("carrier-pigeon:", "tcp:// or serial://"),
        ("tcp://127.0.0.1", "host and a port"),
    ],
)
def test_what_cannot_be_listened_on_is_explained(where: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        BoardServer(BoardService(StubHal()), where)


def test_a_token_opens_the_network() -> None:
    listener = listen("tcp://0.0.0.0:0", protected=True)
    assert parse_address(listener.address)
    listener.close()


def test_what_is_in_use_is_named() -> None:
    with serving(BoardService(StubHal())) as address, pytest.raises(LinkClosed, match=address):
        BoardServer(BoardService(StubHal()), address)
    with pytest.raises(LinkClosed, match="serial:///dev/no-such-line"):
        BoardServer(BoardService(StubHal()), "serial:///dev/no-such-line")


PROCESS = """
from cimlab.board.serve import serve
from cimlab.board.service import BoardService
from tests.board.stub import StubHal

class Loud(StubHal):
    def ground(self):
        print("ground", flush=True)

serve(BoardService(Loud()), "tcp://127.0.0.1:0", while_stdin=True,
      ready=lambda address: print(address, flush=True))
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, None])
def test_signals_and_the_end_of_stdin_end_it_cleanly(end: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        while not (line := process.stdout.readline()).startswith("tcp://"):
            assert line == "ground\n"
        stream = open_stream(line.strip())
        stream.write(hello(7))
        answers(stream, 1)
        if end is None:
            process.stdin.close()
        else:
            process.send_signal(end)
        assert process.wait(10) == 0
        assert process.stdout.read().endswith("ground\n")
        assert process.stderr is not None
        assert process.stderr.read() == ""
        stream.close()
