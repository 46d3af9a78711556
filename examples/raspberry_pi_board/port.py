"""The Raspberry Pi's pins: commands to the SoC over SPI, a line that says it is ready, a switch.

`spidev` and `RPi.GPIO` are imported when the port is opened, so that everything else here can be
read, tested and type-checked on any machine.
"""

from __future__ import annotations

import binascii
import struct
import time
from importlib import import_module
from typing import Any, Protocol

TRANSFER_MAX = 4096
"""Bytes that Linux' spidev moves at once unless told otherwise (`spidev.bufsiz`)."""
PATIENCE = 1.0
"""Wait for the SoC to finish a command, s."""

_HEAD = struct.Struct("<BH")  # command or status, length of the payload
_CHECK = struct.Struct("<H")
PAYLOAD_MAX = TRANSFER_MAX - _HEAD.size - _CHECK.size


class PortError(Exception):
    """The SoC did not answer, or not in a way that can be trusted."""


class Port(Protocol):
    """What the HAL needs of the wiring."""

    def command(self, code: int, payload: bytes, answer: int) -> bytes:
        """Send a command; return its answer of so many bytes. PortError if it fails."""
        ...

    def isolate(self) -> None:
        """Tie all lines of the array to ground, without the SoC's help. Does not fail."""
        ...

    def connect(self) -> None:
        """Let the SoC drive the lines."""
        ...


def packet(code: int, payload: bytes) -> bytes:
    """A command or an answer as it goes over SPI: head, payload, CRC-16 (CCITT)."""
    body = _HEAD.pack(code, len(payload)) + payload
    return body + _CHECK.pack(binascii.crc_hqx(body, 0xFFFF))


def unpacked(data: bytes) -> tuple[int, bytes]:
    """Status and payload of an answer; PortError if it is damaged."""
    body, check = data[: -_CHECK.size], data[-_CHECK.size :]
    if _CHECK.pack(binascii.crc_hqx(body, 0xFFFF)) != check:
        raise PortError("an answer of the SoC is damaged: check the wiring, or lower the SPI clock")
    status, length = _HEAD.unpack_from(body)
    if length != len(body) - _HEAD.size:
        raise PortError(f"the SoC announced {length} bytes where {len(body) - _HEAD.size} came")
    return status, body[_HEAD.size :]


class PiPort:
    """The wiring of README.md: SPI 0, GPIO 25 in (READY), GPIO 24 out (CONNECT).

    Nothing is ever sent twice: the SoC may have pulsed before an answer was lost. A failed
    command becomes a HARDWARE error, the lines are grounded, and the host decides.

    Args:
        hertz: SPI clock.
        spi: An open spidev.SpiDev; opened if None.
        gpio: The module RPi.GPIO; imported if None.
    """

    READY, CONNECT = 25, 24

    def __init__(self, hertz: int = 10_000_000, spi: Any = None, gpio: Any = None) -> None:
        if spi is None:
            spi = import_module("spidev").SpiDev()
            spi.open(0, 0)
            spi.max_speed_hz, spi.mode = hertz, 0
        if gpio is None:
            gpio = import_module("RPi.GPIO")
        self._spi, self._gpio = spi, gpio
        gpio.setmode(gpio.BCM)
        gpio.setup(self.CONNECT, gpio.OUT, initial=gpio.LOW)
        gpio.setup(self.READY, gpio.IN)

    def command(self, code: int, payload: bytes, answer: int) -> bytes:
        """See Port."""
        self._spi.writebytes2(packet(code, payload))
        deadline = time.monotonic() + PATIENCE
        while not self._gpio.input(self.READY):
            if time.monotonic() > deadline:
                raise PortError(f"the SoC was not ready within {PATIENCE} s of command {code:#04x}")
        size = _HEAD.size + answer + _CHECK.size
        status, data = unpacked(bytes(self._spi.readbytes(size)))
        if status:
            raise PortError(f"the SoC failed command {code:#04x} with status {status}")
        return data

    def isolate(self) -> None:
        """See Port; the switches are normally closed to ground, so that a dead Pi grounds too."""
        self._gpio.output(self.CONNECT, self._gpio.LOW)

    def connect(self) -> None:
        """See Port."""
        self._gpio.output(self.CONNECT, self._gpio.HIGH)
