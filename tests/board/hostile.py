"""A board at the end of a bad cable, in virtual time: as a Stream, without threads or waits."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from cimlab.board.service import BoardService
from cimlab.core.clock import VirtualClock
from cimlab.core.errors import LinkClosed


@dataclass(frozen=True)
class Faults:
    """Probabilities a frame, of either direction."""

    drop: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0
    garbage: float = 0.0
    reorder: float = 0.0
    reset: float = 0.0
    fragment: bool = False


class Cable:
    """One direction: bytes in, what is left of them out."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self._faults, self._rng = faults, rng
        self._partial = b""
        self._late = b""

    def carry(self, data: bytes) -> Iterator[bytes]:
        *frames, self._partial = (self._partial + data).split(b"\0")
        for frame in frames:
            yield from self._pieces(frame + b"\0")

    def _pieces(self, frame: bytes) -> Iterator[bytes]:
        f, rng = self._faults, self._rng
        if rng.random() < f.reset:
            yield frame[: rng.randrange(len(frame))]
            raise LinkClosed("the cable was pulled")
        if rng.random() < f.garbage:
            yield rng.randbytes(rng.randrange(1, 40))
        if rng.random() < f.drop:
            return
        if rng.random() < f.corrupt:
            damaged = bytearray(frame)
            damaged[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
            frame = bytes(damaged)
        if rng.random() < f.duplicate:
            frame *= 2
        if rng.random() < f.reorder:
            self._late, frame = frame, self._late
        if f.fragment:
            step = rng.randrange(1, 60)
            yield from (frame[i : i + step] for i in range(0, len(frame), step))
        elif frame:
            yield frame


class BoardStream:
    """A Stream with a service at its other end; whoever reads lets the time pass."""

    def __init__(
        self,
        service: BoardService,
        clock: VirtualClock,
        faults: Faults | None = None,
        seed: int = 0,
        delay: float = 1e-3,
    ) -> None:
        rng = random.Random(seed)
        self.service = service
        self._clock = clock
        self._connection = service.connect()
        self._there = Cable(faults or Faults(), rng)
        self._back = Cable(faults or Faults(), rng)
        self._arrived: deque[bytes] = deque()
        self._delay = delay
        self._broken = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        with self._breaking():
            for piece in self._there.carry(bytes(data)):
                self._send(self._connection.receive(piece, self._clock.now()))
        self._check()

    def read(self, timeout: float) -> bytes:
        self._check()
        if not self._arrived:
            self._clock.sleep(min(timeout, self._delay))
            with self._breaking():
                self._send(self._connection.poll(self._clock.now()))
            if not self._arrived and timeout > self._delay and not self.service.busy:
                self._clock.sleep(timeout - self._delay)
        return self._arrived.popleft() if self._arrived else b""

    def close(self) -> None:
        self._broken = True

    def _send(self, data: bytes) -> None:
        self._arrived.extend(self._back.carry(data))

    def _breaking(self) -> _Breaking:
        return _Breaking(self)

    def _check(self) -> None:
        if self._broken:
            raise LinkClosed("the stream ended")


class _Breaking:
    """A pulled cable ends the stream for both."""

    def __init__(self, stream: BoardStream) -> None:
        self._stream = stream

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if isinstance(error, LinkClosed):
            self._stream.close()
            return True
        return False
