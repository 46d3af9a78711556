"""Two ends of a stream inside one process, for tests and for a board in a thread."""

from __future__ import annotations

import threading
import time
from collections import deque

from cimlab.core.errors import LinkClosed, LinkTimeout

CAPACITY = 1 << 22
"""Bytes that wait in one direction before a writer has to."""
WRITE_STALL = 10.0
"""Give up a write after so long without a byte taken, s."""


class _Pipe:
    """One direction: chunks in order, and whether it has ended."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.chunks: deque[bytes] = deque()
        self.waiting = 0
        self.ended = False

    def end(self) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()


class MemoryStream:
    """A Stream on two pipes; made in pairs by `memory_pair`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False

    def read(self, timeout: float) -> bytes:
        """See `cimlab.core.stream.Stream.read`."""
        pipe = self._incoming
        with pipe.changed:
            pipe.changed.wait_for(lambda: pipe.chunks or pipe.ended or self._closed, timeout)
            if self._closed:
                raise LinkClosed("this stream was closed on our side; open a new one")
            if not pipe.chunks:
                if pipe.ended:
                    raise LinkClosed("the other side closed the stream; open a new one")
                return b""
            data = b"".join(pipe.chunks)
            pipe.chunks.clear()
            pipe.waiting = 0
            pipe.changed.notify_all()
            return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `cimlab.core.stream.Stream.write`."""
        pipe, left = self._outgoing, bytes(data)
        deadline = time.monotonic() + WRITE_STALL
        with pipe.changed:
            while True:
                if pipe.ended:
                    raise LinkClosed("the stream is closed; open a new one")
                taken = left[: CAPACITY - pipe.waiting]
                if taken:
                    pipe.chunks.append(taken)
                    pipe.waiting += len(taken)
                    pipe.changed.notify_all()
                    left = left[len(taken) :]
                    deadline = time.monotonic() + WRITE_STALL
                if not left:
                    return
                if not pipe.changed.wait(deadline - time.monotonic()):
                    raise LinkTimeout(f"the other side took no bytes for {WRITE_STALL:g} s")

    def close(self) -> None:
        """End both directions; a thread that waits in read wakes up with LinkClosed."""
        self._closed = True
        self._incoming.end()
        self._outgoing.end()


def memory_pair() -> tuple[MemoryStream, MemoryStream]:
    """Two connected streams: what one writes, the other reads."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(there, back), MemoryStream(back, there)
