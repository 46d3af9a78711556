"""Byte streams to a board, and the addresses that name them."""

from __future__ import annotations

from cimlab.core.errors import ConfigError
from cimlab.core.stream import Stream, TcpAddress, parse_address
from cimlab.drivers.streams.memory import MemoryStream, memory_pair
from cimlab.drivers.streams.serial import SerialStream
from cimlab.drivers.streams.tcp import TcpStream

__all__ = ["MemoryStream", "SerialStream", "Stream", "TcpStream", "memory_pair", "open_stream"]


def open_stream(address: str) -> Stream:
    """Open ``tcp://host:port`` or ``serial:///dev/ttyUSB0?baud=3000000`` (``serial://COM3``).

    Raises:
        ConfigError: The address does not name a stream; says what is wrong with it.
        LinkClosed: Nothing answers there, or the port cannot be opened.
    """
    place = parse_address(address)
    if not isinstance(place, TcpAddress):
        return SerialStream(place.device, place.baud)
    if place.port == 0:
        raise ConfigError(f"cannot use the address {address!r}: port 0 is for listening only")
    return TcpStream.connect(place.host, place.port)
