"""Serving emulated instruments: one TCP port or pseudo-terminal each, loopback only."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, Self

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import Emulator

CHUNK = 1 << 16
Transport = Literal["tcp", "pty"]


class BenchServer:
    """Serves the instruments of a bench until it is closed; a context manager.

    Args:
        bench: What the instruments share; its lock makes one message one transaction.
        instruments: By name.
        transport: "tcp" on 127.0.0.1, or "pty".

    Attributes:
        bench, emulators: As given.
        resources: VISA resource name of each instrument.
    """

    def __init__(
        self, bench: Bench, instruments: Mapping[str, Emulator], transport: Transport = "tcp"
    ) -> None:
        self.bench, self.emulators = bench, dict(instruments)
        self._closers: list[Callable[[], None]] = []
        self._closed = threading.Event()
        serve = {"tcp": self._listen, "pty": self._terminal}[transport]
        self.resources = {name: serve(instrument) for name, instrument in instruments.items()}

    def close(self) -> None:
        """Stop serving; connections end."""
        self._closed.set()
        for close in self._closers:
            with contextlib.suppress(OSError):
                close()
        self._closers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self, instrument: Emulator) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        self._closers.append(lambda: _hang_up(listener))
        self._start(self._accept, listener, instrument)
        return f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET"

    def _accept(self, listener: socket.socket, instrument: Emulator) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._closers.append(lambda c=connection: _hang_up(c))  # type: ignore[misc]
            if self._closed.is_set():  # since the last look: nobody calls the closers again
                _hang_up(connection)
            self._start(self._serve, instrument, connection.recv, connection.sendall)

    def _terminal(self, instrument: Emulator) -> str:
        import tty  # not on Windows

        host, instrument_side = os.openpty()
        tty.setraw(instrument_side)
        name = os.ttyname(instrument_side)
        self._closers += [lambda: os.close(host), lambda: os.close(instrument_side)]

        def write(data: bytes) -> None:
            while data:
                data = data[os.write(host, data) :]

        self._start(self._serve, instrument, lambda n: os.read(host, n), write)
        return f"ASRL{name}::INSTR"

    def _serve(
        self,
        instrument: Emulator,
        read: Callable[[int], bytes],
        write: Callable[[bytes], None],
    ) -> None:
        """Cut bytes into messages, carry them out one after another."""
        waiting = b""
        with contextlib.suppress(OSError):  # either side hung up
            while data := read(CHUNK):
                *messages, waiting = (waiting + data).split(instrument.end)
                for message in messages:
                    with self.bench.lock:
                        reply = instrument.handle(message)
                    if reply:
                        write(reply)

    @staticmethod
    def _start(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()


def _hang_up(connection: socket.socket) -> None:
    """Close a socket so that a thread waiting in it wakes up."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
