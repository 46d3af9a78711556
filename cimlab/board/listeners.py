"""Where hosts reach a board: a TCP port, a serial line, or a pseudo-terminal. Nothing blocks."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
import sys
from typing import Protocol

from cimlab.core.errors import ConfigError, LinkClosed
from cimlab.core.stream import SerialAddress, TcpAddress, parse_address

CHUNK = 1 << 18
"""Most bytes taken from a line at once."""

_log = logging.getLogger(__name__)


class Line(Protocol):
    """One open stream, as the server's loop sees it. Everything may raise OSError."""

    def fileno(self) -> int:
        """What to select on."""
        ...

    def read(self) -> bytes:
        """What has arrived; b"" when the host has closed. BlockingIOError if nothing has."""
        ...

    def write(self, data: memoryview) -> int:
        """Hand over what the system takes now, in bytes. BlockingIOError if that is nothing."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Listener(Protocol):
    """A way in.

    Attributes:
        address: Where hosts connect to.
        lines: Lines that are there from the start and must stay: a serial line.
        socket: What new lines are accepted from, where they come and go.
    """

    address: str
    lines: list[Line]
    socket: socket.socket | None

    def close(self) -> None:
        """Let nobody in any more."""
        ...


def listen(where: str, protected: bool) -> Listener:
    """Open ``tcp://127.0.0.1:0`` (port 0: any free one), ``pty`` or ``serial:///dev/...``.

    Args:
        where: As above.
        protected: Whether the board asks for a token; without one, TCP is for this machine only.

    Raises:
        ConfigError: It names nothing to listen on, or a network without a token.
        LinkClosed: It is in use, or cannot be opened.
    """
    try:
        if where == "pty":
            return PtyListener()
        address = parse_address(where)
        if isinstance(address, SerialAddress):
            return SerialListener(address)
        if not protected and not _is_loopback(address.host):
            raise ConfigError(
                f"{where} can be reached from the network: give the board a token, "
                "or listen on 127.0.0.1"
            )
        return TcpListener(address)
    except (OSError, ValueError) as error:  # ValueError: a baud rate the port cannot do
        raise LinkClosed(
            f"cannot listen on {where} ({error}); see that no other program has it"
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


class TcpListener:
    """Accepts connections."""

    def __init__(self, address: TcpAddress) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.socket: socket.socket | None = socket.create_server(
            (address.host, address.port), family=family
        )
        self.socket.setblocking(False)
        self.address = str(TcpAddress(*self.socket.getsockname()[:2]))
        self.lines: list[Line] = []

    def close(self) -> None:
        """Close the port; connections live on."""
        if self.socket is not None:
            self.socket.close()


class SocketLine:
    """A connection that was accepted."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # a host that vanished without a word must not keep its place for ever
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connection

    def fileno(self) -> int:
        """See Line."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """See Line."""
        return self._socket.recv(CHUNK)

    def write(self, data: memoryview) -> int:
        """See Line."""
        return self._socket.send(data)

    def close(self) -> None:
        """See Line."""
        self._socket.close()


class FileLine:
    """A terminal device, open and non-blocking."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """See Line."""
        return self._descriptor

    def read(self) -> bytes:
        """See Line."""
        return os.read(self._descriptor, CHUNK)

    def write(self, data: memoryview) -> int:
        """See Line."""
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """See Line."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


class PtyListener:
    """A pseudo-terminal in raw mode; hosts open its other end like a serial port."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise ConfigError("Windows has no pseudo-terminals: listen on tcp://127.0.0.1:0")
        import tty

        master, self._slave = os.openpty()
        # our own hold on the slave keeps it raw, and the master alive, while no host has it open
        tty.setraw(self._slave)
        os.set_blocking(master, False)
        self.address = str(SerialAddress(os.ttyname(self._slave)))
        self.lines: list[Line] = [FileLine(master)]
        self.socket: socket.socket | None = None

    def close(self) -> None:
        """Hang up."""
        os.close(self._slave)


class SerialListener:
    """A serial line, 8 data bits, no parity, no handshake."""

    def __init__(self, address: SerialAddress) -> None:
        if sys.platform == "win32":
            raise ConfigError("a board on Windows cannot serve a serial line: listen on TCP")
        import serial

        # pyserial sets the line up; bytes go past it, through its non-blocking descriptor
        self._port = serial.Serial(address.device, address.baud, timeout=0, exclusive=True)
        self.address = str(address)
        self.lines: list[Line] = [FileLine(os.dup(self._port.fileno()))]
        self.socket: socket.socket | None = None

    def close(self) -> None:
        """Release the port."""
        self._port.close()
