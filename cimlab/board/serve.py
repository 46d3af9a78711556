"""Serves a BoardService to hosts: one thread, select, any number of connections.

The service refuses a second session; connections are tolerated, so that a host whose stream
broke can come back by a new one before the old one is seen to be dead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

from cimlab.board.listeners import Line, Listener, SocketLine, listen
from cimlab.board.service import BoardService, Connection
from cimlab.core.errors import LinkClosed

LOOK = 0.02
"""How long the board looks for requests before it sleeps, s: a host that trains asks more often."""
TICK = 0.05
"""Longest time between two looks at the watchdog, s."""
CONNECTIONS_MAX = 32
HIGH_WATER = 1 << 24
"""Unsent bytes beyond which a host is not listened to; more than a window of full frames."""

_log = logging.getLogger(__name__)
_give_way = getattr(os, "sched_yield", lambda: None)  # Windows has none


class BoardServer:
    """A service on a listener.

    Args:
        service: The board.
        where: What to listen on, see `listeners.listen`.
        protected: Whether the service asks for a token.

    Attributes:
        address: Where hosts connect to.

    Raises:
        ConfigError: `where` names nothing to listen on, or a network without a token.
        LinkClosed: It is in use, or cannot be opened.
    """

    def __init__(self, service: BoardService, where: str, protected: bool = False) -> None:
        self._service = service
        self._listener: Listener = listen(where, protected)
        self.address = self._listener.address
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        self._waker = waker
        self._stopping = False
        self._open: set[_Channel] = set()
        self._selector.register(self._wake, selectors.EVENT_READ)
        if self._listener.socket is not None:
            self._selector.register(self._listener.socket, selectors.EVENT_READ)
        for line in self._listener.lines:
            self._welcome(line, lasting=True)

    def run(self) -> None:
        """Serve until `stop`; then ground and release everything.

        Raises:
            LinkClosed: A serial line failed, so no host can come any more.
        """
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._service.abort()
            self._service.ground()
            self._close()

    def stop(self) -> None:
        """Make `run` return soon; from any thread or signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):  # it has returned already
            self._waker.send(b"\0")

    def _turn(self) -> None:
        for key, _ in self._events():
            if key.data is not None:
                self._do(key.data, _Channel.turn)
            elif key.fileobj is self._listener.socket:
                self._accept(self._listener.socket)
        if not self._open:  # the watchdog runs when everybody has left, too
            self._service.poll(time.monotonic())
        for channel in list(self._open):
            self._do(channel, _Channel.poll)

    def _events(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What has happened, or nothing after a while; at once while a job runs."""
        # Look for a moment before going to sleep: waking up takes longer than most requests do.
        # Every look yields the processor to whoever wants it.
        end = time.perf_counter() + LOOK
        while not (events := self._selector.select(0)) and not self._service.busy:
            if time.perf_counter() >= end:
                return self._selector.select(TICK)
            _give_way()
        return events

    def _do(self, channel: _Channel, step: Callable[[_Channel, float], None]) -> None:
        try:
            step(channel, time.monotonic())
        except OSError as error:
            _log.info("a connection ended: %s", error)
            self._selector.unregister(channel.line)
            self._open.discard(channel)
            channel.line.close()
            if channel.lasting:
                raise LinkClosed(f"the line {self.address} failed: {error}") from error
        else:
            if channel.events != channel.watched:
                channel.watched = channel.events
                self._selector.modify(channel.line, channel.events, channel)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the host has gone again, or no descriptor is free
            connection, peer = listening.accept()
            if len(self._open) >= CONNECTIONS_MAX:
                _log.warning("too many connections: refused %s", peer)
                connection.close()
                return
            _log.info("connection from %s", peer)
            self._welcome(SocketLine(connection), lasting=False)

    def _welcome(self, line: Line, lasting: bool) -> None:
        channel = _Channel(line, self._service.connect(), lasting)
        self._open.add(channel)
        self._selector.register(line, selectors.EVENT_READ, channel)

    def _close(self) -> None:
        for channel in self._open:
            channel.line.close()
        self._open.clear()
        self._listener.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()


class _Channel:
    """A line, the service's end of it, and what could not be sent yet."""

    def __init__(self, line: Line, connection: Connection, lasting: bool) -> None:
        self.line = line
        self.lasting = lasting
        self.watched = selectors.EVENT_READ
        self._connection = connection
        self._unsent = bytearray()

    @property
    def events(self) -> int:
        """What to wait for."""
        reading = selectors.EVENT_READ if len(self._unsent) < HIGH_WATER else 0
        return reading | (selectors.EVENT_WRITE if self._unsent else 0)

    def turn(self, now: float) -> None:
        """The line has something for us, or takes something again."""
        self._resend()
        if len(self._unsent) >= HIGH_WATER:
            return
        with contextlib.suppress(BlockingIOError):
            data = self.line.read()
            if not data:
                raise ConnectionResetError("the host closed it")
            for answer in self._connection.answers(data, now):
                self._send(answer)

    def poll(self, now: float) -> None:
        """Time passed."""
        self._send(self._connection.poll(now))

    def _send(self, data: bytes) -> None:
        self._resend()
        if data and not self._unsent:  # the usual case, without a copy
            with contextlib.suppress(BlockingIOError):
                data = data[self.line.write(memoryview(data)) :]
        self._unsent += data

    def _resend(self) -> None:
        if self._unsent:
            sent = 0
            with contextlib.suppress(BlockingIOError), memoryview(self._unsent) as view:
                sent = self.line.write(view)
            del self._unsent[:sent]


def serve(
    service: BoardService,
    where: str,
    *,
    protected: bool = False,
    while_stdin: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT (Ctrl-C), then ground and return.

    Args:
        service: The board.
        where: What to listen on, see `listeners.listen`.
        protected: Whether the service asks for a token.
        while_stdin: End, too, when standard input does: with the process that holds its other end.
        ready: Called with the address once hosts can connect.

    Raises:
        ConfigError: `where` names nothing to listen on, or a network without a token.
        LinkClosed: It is in use, or a serial line failed.
    """
    server = BoardServer(service, where, protected)
    if while_stdin:
        stop_at_end_of_stdin(server.stop)
    with ending_by_signal(server.stop):
        if ready is not None:
            ready(server.address)
        server.run()


@contextlib.contextmanager
def ending_by_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call stop on SIGTERM and SIGINT, where signals can be had: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def stop_at_end_of_stdin(stop: Callable[[], None]) -> None:
    """Call stop when whoever holds the other end of standard input has gone; returns at once."""
    threading.Thread(target=_await_end_of_stdin, args=(stop,), daemon=True).start()


def _await_end_of_stdin(stop: Callable[[], None]) -> None:
    # the bare descriptor: a lock of sys.stdin held here would hinder the interpreter's end
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop()
