"""A serial line (or a pseudo-terminal) to a board, through pyserial in bulk."""

from __future__ import annotations

import contextlib
import time

import serial

from cimlab.core.errors import LinkClosed, LinkTimeout
from cimlab.core.stream import DEFAULT_BAUD

SLICE = 0.005
"""Longest wait inside pyserial, s, and so the grain of read timeouts: changing pyserial's own
timeout for each call would reconfigure the port every time."""
WRITE_BLOCK = 4096
"""Bytes handed to pyserial at once, so that a stall is told from a slow line."""
WRITE_STALL = 10.0
"""Give up a write when a block takes longer, s; 4096 bytes take 4.3 s at 9600 baud."""


class SerialStream:
    """A Stream on a serial port, 8 data bits, no parity, no handshake, locked for this process.

    Args:
        path: Device, such as /dev/ttyUSB0 or COM3.
        baud: Bit/s; a pseudo-terminal ignores it.

    Raises:
        LinkClosed: The port cannot be opened.
    """

    def __init__(self, path: str, baud: int = DEFAULT_BAUD) -> None:
        self._path = path
        try:
            self._port = serial.Serial(
                path, baud, timeout=SLICE, write_timeout=WRITE_STALL, exclusive=True
            )
        except (OSError, ValueError) as error:  # ValueError: a baud rate the port cannot do
            raise LinkClosed(
                f"cannot open {path} at {baud} baud ({error}); see that the board is plugged in, "
                "that no other program holds the port, and that you may use it"
            ) from error

    def read(self, timeout: float) -> bytes:
        """See `cimlab.core.stream.Stream.read`."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                if waiting := self._port.in_waiting:
                    return bytes(self._port.read(waiting))
                if time.monotonic() >= deadline:
                    return b""
                if first := self._port.read(1):
                    return bytes(first + self._port.read(self._port.in_waiting))
        except (OSError, TypeError) as error:  # TypeError: closed by another thread in the middle
            raise self._broken(error) from error

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `cimlab.core.stream.Stream.write`."""
        view = memoryview(data).cast("B")
        try:
            for start in range(0, len(view), WRITE_BLOCK):
                self._port.write(view[start : start + WRITE_BLOCK])
        except serial.SerialTimeoutException as error:
            raise LinkTimeout(
                f"{self._path} took no bytes for {WRITE_STALL:g} s; see whether the board hangs"
            ) from error
        except (OSError, TypeError) as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Release the port."""
        with contextlib.suppress(OSError):  # a port that was unplugged has nothing to release
            self._port.close()

    def _broken(self, error: Exception) -> LinkClosed:
        if not self._port.is_open:
            return LinkClosed(f"{self._path} was closed on our side; open it again")
        return LinkClosed(
            f"{self._path} failed ({error}); see that the board is plugged in and powered"
        )
