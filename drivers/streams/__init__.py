"""Byte streams to a board, and the addresses that name them."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

from cimlab.core.errors import ConfigError
from cimlab.core.stream import Stream
from cimlab.drivers.streams.memory import MemoryStream, memory_pair
from cimlab.drivers.streams.serial import DEFAULT_BAUD, SerialStream
from cimlab.drivers.streams.tcp import TcpStream

__all__ = ["MemoryStream", "SerialStream", "Stream", "TcpStream", "memory_pair", "open_stream"]


def open_stream(address: str) -> Stream:
    """Open ``tcp://host:port`` or ``serial:///dev/ttyUSB0?baud=3000000`` (``serial://COM3``).

    Raises:
        ConfigError: The address does not name a stream; says what is wrong with it.
        LinkClosed: Nothing answers there, or the port cannot be opened.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme == "tcp":
            return TcpStream.connect(*_endpoint(parts))
        if parts.scheme == "serial":
            return SerialStream(*_line(parts))
        raise ValueError("it must begin with tcp:// or serial://")
    except ValueError as error:
        raise ConfigError(f"cannot use the address {address!r}: {error}") from error


def _endpoint(parts: SplitResult) -> tuple[str, int]:
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("tcp:// takes a host and a port only, as in tcp://192.168.0.7:7000")
    if not parts.hostname or not parts.port:  # .port itself refuses what is no number
        raise ValueError("it needs a host and a port, as in tcp://192.168.0.7:7000")
    return parts.hostname, parts.port


def _line(parts: SplitResult) -> tuple[str, int]:
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
    return device, baud
