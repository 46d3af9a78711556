"""Both ends of every kind of stream: the one under test, and a peer made of plain calls."""

from __future__ import annotations

import os
import socket
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress

from cimlab.drivers.streams import MemoryStream, SerialStream, Stream, TcpStream, memory_pair
from cimlab.mock_hw.faults import Faults, FaultyStream


class Peer:
    """The other side: blocking calls that know nothing of Stream."""

    def __init__(
        self,
        send: Callable[[bytes], object],
        receive: Callable[[int], bytes],
        hang_up: Callable[[], object],
    ) -> None:
        self.send = send
        self.receive = receive
        self.hang_up = hang_up

    def receive_exactly(self, n: int) -> bytes:
        """The next n bytes."""
        data = bytearray()
        while len(data) < n:
            data += self.receive(n - len(data))
        return bytes(data)


class Ends:
    """A stream under test and its peer."""

    def __init__(self, kind: str, stream: Stream, peer: Peer) -> None:
        self.kind, self.stream, self.peer = kind, stream, peer

    def read_exactly(self, n: int, within: float = 10.0) -> bytes:
        """The next n bytes from the stream under test."""
        data, deadline = bytearray(), time.monotonic() + within
        while len(data) < n and time.monotonic() < deadline:
            data += self.stream.read(0.2)
        return bytes(data)


def tcp_ends() -> tuple[TcpStream, Peer]:
    """A connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = TcpStream.connect(*server.getsockname())
        peer, _ = server.accept()
    return stream, Peer(peer.sendall, peer.recv, peer.close)


def trickle(send: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A send that hands over one byte at a time."""

    def slowly(data: bytes) -> None:
        for i in range(len(data)):
            send(data[i : i + 1])

    return slowly


def pty_ends() -> tuple[SerialStream, Peer]:
    """A pseudo-terminal, whose master end plays the board."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stream = SerialStream(os.ttyname(slave), 3_000_000)
    os.close(slave)

    def send(data: bytes) -> None:
        while data:
            data = data[os.write(master, data) :]

    def hang_up() -> None:
        with suppress(OSError):
            os.close(master)

    return stream, Peer(send, lambda n: os.read(master, n), hang_up)


def memory_ends() -> tuple[MemoryStream, Peer]:
    """Two ends in this process."""
    stream, far = memory_pair()
    rest = bytearray()

    def receive(n: int) -> bytes:
        rest.extend(b"" if rest else far.read(1.0))
        data = bytes(rest[:n])
        del rest[:n]
        return data

    return stream, Peer(far.write, receive, far.close)


def make(kind: str) -> tuple[Stream, Peer]:
    """Ends of the named kind."""
    if kind == "memory":
        return memory_ends()
    if kind == "serial":
        return pty_ends()
    stream, peer = tcp_ends()
    if kind == "slow":
        return stream, Peer(trickle(peer.send), peer.receive, peer.hang_up)
    if kind == "faultless":
        return FaultyStream(stream, 0), peer
    if kind == "split":
        return FaultyStream(stream, 0, Faults(split=1.0), Faults(split=1.0)), peer
    return stream, peer


def in_background(call: Callable[[], object]) -> threading.Thread:
    """Run call in a thread."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread
