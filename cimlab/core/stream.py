"""A byte stream to a board: the least that serial lines, sockets and memory have in common.

`drivers.streams` implements it, `drivers.soc` and the fault injector use it. It lives in core
so that neither has to import the other; so do the addresses, which hosts connect to and boards
listen on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, parse_qsl, urlsplit

from .errors import ConfigError

DEFAULT_BAUD = 3_000_000
"""Bit/s of a serial line whose address names none."""


class Stream(Protocol):
    """Bytes both ways, in order, without message boundaries.

    One thread may read while another writes; `close` may be called from any thread.
    Implementations translate every OSError to LinkClosed, with a message that says what to do.
    """

    def read(self, timeout: float) -> bytes:
        """Whatever has arrived, as one chunk; waits at most timeout seconds for a first byte.

        Args:
            timeout: s; 0 only looks.

        Returns:
            At least one byte, or b"" when none arrived in time.

        Raises:
            LinkClosed: The stream ended, or was closed here. Bytes that arrived before the end are
                delivered first, except on a serial line, where the system drops them.
        """
        ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand over all of data.

        Raises:
            LinkTimeout: The other side takes no bytes; how many it took is unknown, so a frame
                may be cut short there.
            LinkClosed: The stream ended, or was closed here.
        """
        ...

    def close(self) -> None:
        """Release the line; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """``tcp://host:port``; to listen, port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """``serial:///dev/ttyUSB0?baud=3000000`` or ``serial://COM3``."""

    device: str
    baud: int = DEFAULT_BAUD

    def __str__(self) -> str:
        baud = "" if self.baud == DEFAULT_BAUD else f"?baud={self.baud}"
        return f"serial://{self.device}{baud}"


def parse_address(text: str) -> TcpAddress | SerialAddress:
    """What an address names.

    Raises:
        ConfigError: It names no stream; says what is wrong with it.
    """
    try:
        parts = urlsplit(text)
        if parts.scheme == "tcp":
            return _tcp(parts)
        if parts.scheme == "serial":
            return _serial(parts)
        raise ValueError("it must begin with tcp:// or serial://")
    except ValueError as error:
        raise ConfigError(f"cannot use the address {text!r}: {error}") from error


def _tcp(parts: SplitResult) -> TcpAddress:
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("tcp:// takes a host and a port only, as in tcp://192.168.0.7:7000")
    if not parts.hostname or parts.port is None:  # .port itself refuses what is no port
        raise ValueError("it needs a host and a port, as in tcp://192.168.0.7:7000")
    return TcpAddress(parts.hostname, parts.port)


def _serial(parts: SplitResult) -> SerialAddress:
    device = parts.netloc + parts.path
    if not device:
        raise ValueError("it needs a device, as in serial:///dev/ttyUSB0?baud=3000000")
    baud = DEFAULT_BAUD
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key != "baud":
            raise ValueError(f"unknown setting {key!r}; only baud can be given")
        if not value.isdecimal() or int(value) == 0:
            raise ValueError(f"baud must be a positive whole number, not {value!r}")
        baud = int(value)
    return SerialAddress(device, baud)
