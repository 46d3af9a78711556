"""A bad cable in software: wraps any stream, and loses, damages, repeats and delays frames.

What happens to the k-th frame of a direction is a pure function of (seed, direction, k), so a
run under faults can be repeated, whatever the timing.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from cimlab.core.errors import LinkClosed
from cimlab.core.stream import Stream

_DELIMITER = b"\0"  # ends a frame (docs/wire.md)
_FATES = ("reset", "drop", "corrupt", "duplicate", "split", "stall", "half_close")


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what happens to the frames of one direction; each a probability a frame.

    Attributes:
        drop: The frame is lost.
        corrupt: One bit of it, the delimiter included, is flipped.
        duplicate: It arrives twice.
        split: It arrives in two pieces.
        stall: It, and all behind it, arrive stall_time late.
        reset: The connection ends in the middle of it.
        half_close: It and all behind it are lost: the direction is dead, the other one is not.
        stall_time: s.
    """

    drop: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0
    split: float = 0.0
    stall: float = 0.0
    reset: float = 0.0
    half_close: float = 0.0
    stall_time: float = 0.05


@dataclass(frozen=True, slots=True)
class _Piece:
    data: bytes
    wait: float = 0.0
    reset: bool = False


class _Damage:
    """Cuts one direction's bytes into frames and decides each frame's fate."""

    def __init__(self, faults: Faults, rng: np.random.Generator, seen: Counter[str]) -> None:
        self._faults = faults
        self._rng = rng
        self._seen = seen
        self._partial = bytearray()
        self._dead = False

    def pieces(self, data: bytes | bytearray | memoryview) -> list[_Piece]:
        """What the other side gets for these bytes; an unfinished frame waits for its delimiter."""
        self._partial += data
        *frames, rest = self._partial.split(_DELIMITER)
        self._partial = rest
        return [piece for frame in frames for piece in self._fate(bytes(frame) + _DELIMITER)]

    def _fate(self, frame: bytes) -> list[_Piece]:
        # all numbers are drawn for every frame, so that one fate does not shift the next frame's
        *chances, where_bit, where_cut = self._rng.random(len(_FATES) + 2).tolist()
        luck = dict(zip(_FATES, chances, strict=True))
        bit = int(where_bit * len(frame) * 8)
        cut = 1 + int(where_cut * (len(frame) - 1))
        self._seen["frames"] += 1

        def strikes(fault: str) -> bool:
            struck: bool = luck[fault] < getattr(self._faults, fault)
            self._seen[fault] += struck
            return struck

        if self._dead:
            return []
        if strikes("half_close"):
            self._dead = True
            return []
        if strikes("reset"):
            return [_Piece(frame[:cut], reset=True)]
        if strikes("drop"):
            return []
        if strikes("corrupt"):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            frame = bytes(damaged)
        copies = [frame] * (2 if strikes("duplicate") else 1)
        if strikes("split") and len(frame) > 1:
            copies[:1] = [frame[:cut], frame[cut:]]
        wait = self._faults.stall_time if strikes("stall") else 0.0
        return [_Piece(copy, wait if i == 0 else 0.0) for i, copy in enumerate(copies)]


class FaultyStream:
    """A Stream that passes everything on to another one, with faults.

    Args:
        inner: The stream to spoil; closed with this one.
        seed: Same seed, same faults. After a reset, wrap the new stream with another seed.
        outgoing: Faults of what is written.
        incoming: Faults of what is read.

    Attributes:
        seen: How often each fault struck, and "frames", both directions together.
    """

    def __init__(
        self,
        inner: Stream,
        seed: int,
        outgoing: Faults | None = None,
        incoming: Faults | None = None,
    ) -> None:
        self.seen: Counter[str] = Counter()
        self._inner = inner
        self._out, self._in = (
            _Damage(faults or Faults(), np.random.default_rng((seed, direction)), self.seen)
            for direction, faults in enumerate((outgoing, incoming))
        )
        self._arrived: deque[_Piece] = deque()
        self._due: float | None = None  # when the first of them may be read

    def read(self, timeout: float) -> bytes:
        """See `cimlab.core.stream.Stream.read`; at most one piece of a frame a call."""
        deadline = time.monotonic() + timeout
        while not self._arrived:
            data = self._inner.read(max(0.0, deadline - time.monotonic()))
            if not data:
                return b""
            self._arrived.extend(self._in.pieces(data))
        if not self._wait_for_head(deadline):
            return b""
        piece = self._arrived.popleft()
        self._due = None
        if piece.reset:  # the bytes before the break are of no use to who has lost the rest
            self._reset()
        return piece.data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `cimlab.core.stream.Stream.write`; a stalled frame holds the writer up."""
        for piece in self._out.pieces(data):
            time.sleep(piece.wait)
            self._inner.write(piece.data)
            if piece.reset:
                self._reset()

    def close(self) -> None:
        """Close the inner stream."""
        self._inner.close()

    def _wait_for_head(self, deadline: float) -> bool:
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._arrived[0].wait
        if self._due > now:
            time.sleep(max(0.0, min(self._due, deadline) - now))
        return self._due <= max(now, deadline)

    def _reset(self) -> NoReturn:
        self._inner.close()
        raise LinkClosed("the connection was reset (injected fault); open a new stream")


def spoilt(connect: Callable[[], Stream], seed: int, faults: Faults) -> Callable[[], FaultyStream]:
    """Opens streams that are faulty both ways; each new one, after a reset, with other faults."""
    seeds = itertools.count(seed)
    return lambda: FaultyStream(connect(), next(seeds), faults, faults)
