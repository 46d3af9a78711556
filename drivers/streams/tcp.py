"""A TCP connection to a board. A plain socket: pyserial's ``socket://`` is far slower for bulk."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time

from cimlab.core.errors import LinkClosed, LinkTimeout

CHUNK = 1 << 18
"""Most bytes one read returns."""
CONNECT_TIMEOUT = 5.0
"""Wait for the other side to accept, s."""
LOOK = 0.0005
"""How long a reader looks for bytes before it sleeps, s."""
WRITE_STALL = 10.0
"""Give up a write after so long without a byte taken, s."""

_give_way = getattr(os, "sched_yield", lambda: None)  # Windows has none


class TcpStream:
    """A Stream on a connected socket, which it owns from now on.

    The socket never blocks; waiting is done with select, so a reader and a writer in two
    threads do not change each other's timeouts. The system sizes the socket's buffers: fixing
    them switches off its tuning, which grows them beyond what may be asked for.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # a request is smaller than a segment and must not wait for the next one
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection

    @classmethod
    def connect(cls, host: str, port: int) -> TcpStream:
        """Connect to a listening board.

        Raises:
            LinkClosed: Nobody accepts there.
        """
        try:
            return cls(socket.create_connection((host, port), CONNECT_TIMEOUT))
        except OSError as error:
            raise LinkClosed(
                f"no board accepts connections at {host}:{port} ({error}); "
                "start the board, or correct the address"
            ) from error

    def read(self, timeout: float) -> bytes:
        """See `cimlab.core.stream.Stream.read`."""
        try:
            if not self._wait_readable(timeout):
                return b""
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:  # ValueError: select on a closed socket
            raise self._broken(error) from error
        if not data:
            raise LinkClosed("the board closed the connection; see whether it is still running")
        return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `cimlab.core.stream.Stream.write`."""
        left = memoryview(data).cast("B")
        try:
            while left:
                try:
                    left = left[self._socket.send(left) :]
                except BlockingIOError:
                    self._wait_writable()
        except (OSError, ValueError) as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close the connection; a thread that waits in read wakes up with LinkClosed."""
        with contextlib.suppress(OSError):  # closed before, or broken already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _wait_readable(self, timeout: float) -> bool:
        # Look for a moment before going to sleep: waking up takes longer than most answers do.
        # Every look yields the processor to whoever wants it.
        end = time.perf_counter() + min(timeout, LOOK)
        while not (ready := select.select([self._socket], [], [], 0)[0]):
            if time.perf_counter() >= end:
                break
            _give_way()
        return bool(ready or select.select([self._socket], [], [], max(timeout - LOOK, 0))[0])

    def _wait_writable(self) -> None:
        if not select.select([], [self._socket], [], WRITE_STALL)[1]:
            raise LinkTimeout(
                f"the board took no bytes for {WRITE_STALL:g} s; see whether it hangs"
            )

    def _broken(self, error: Exception) -> LinkClosed:
        if self._socket.fileno() < 0:
            return LinkClosed("this connection was closed on our side; open a new one")
        return LinkClosed(f"the connection broke ({error}); see whether the board is running")
