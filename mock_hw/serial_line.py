"""A slow line in software: wraps any stream, and lets bytes through no faster than a baud rate.

Each direction has a rate of its own, as on a serial line (full duplex). Bytes of a chunk are seen
when the last of them would have arrived; what is written while the line is still busy waits its
turn, and the writer with it once more than a buffer's worth waits.
"""

from __future__ import annotations

import time
from collections import deque

from cimlab.core.stream import Stream

BITS_PER_BYTE = 10
"""A start bit, eight, and a stop bit."""
BUFFER = 4096
"""Bytes that wait in a serial port's output before its writer does."""


class SerialLine:
    """A Stream at the pace of a serial line.

    Args:
        inner: The stream that carries the bytes; closed with this one.
        baud: Bit/s of each direction.

    Attributes:
        busy: Seconds that the line carried bytes, in either direction or both.
    """

    def __init__(self, inner: Stream, baud: int = 3_000_000) -> None:
        self.busy = 0.0
        self._inner = inner
        self._each = BITS_PER_BYTE / baud
        self._out_free = self._in_free = self._counted = 0.0
        self._arrived: deque[tuple[float, bytes]] = deque()

    def read(self, timeout: float) -> bytes:
        """See `cimlab.core.stream.Stream.read`."""
        deadline = time.monotonic() + timeout
        while True:
            now = time.monotonic()
            if self._arrived and self._arrived[0][0] <= now:
                return self._arrived.popleft()[1]
            ready = self._arrived[0][0] if self._arrived else deadline
            data = self._inner.read(max(0.0, min(ready, deadline) - now))
            now = time.monotonic()
            if data:
                self._in_free = self._occupy(self._in_free, now, len(data))
                self._arrived.append((self._in_free, data))
            elif now >= deadline:
                return b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `cimlab.core.stream.Stream.write`."""
        left = memoryview(data).cast("B")
        while left:
            piece, left = left[:BUFFER], left[BUFFER:]
            self._out_free = self._occupy(self._out_free, time.monotonic(), len(piece))
            wait = self._out_free - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._inner.write(piece)

    def close(self) -> None:
        """Close the inner stream."""
        self._inner.close()

    def _occupy(self, free: float, now: float, count: int) -> float:
        """When a direction that is free then has carried so many bytes; counts the busy time."""
        start = max(free, now)
        end = start + count * self._each
        self.busy += max(0.0, end - max(start, self._counted))
        self._counted = max(self._counted, end)
        return end
