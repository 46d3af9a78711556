"""Frames of the board link (docs/wire.md 1): COBS, CRC-32 and the 12-byte header.

The codec is C (`cobs`, `zlib`) but for a few lines a frame; it copies each byte once a layer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, cast
from zlib import crc32

import numpy as np
from cobs import cobs
from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview | NDArray[np.generic]
Piece = NDArray[np.uint8]

VERSION = 1
HEADER = struct.Struct("<BBBBII")
CRC = struct.Struct("<I")
BEHIND = struct.Struct("<II")
OVERHEAD = HEADER.size + CRC.size
"""Bytes of a body that are not payload."""
MAX_FRAME = 1 << 20
"""Longest body that this implementation accepts unless told otherwise."""
BULK = 0x80
"""Flag: the payload comes behind the frame, as it is."""
BULK_LEAST = 2048
"""Bytes from which a payload is sent so: shorter ones cost less in the frame."""


class Kind(IntEnum):
    """What a frame is."""

    REQUEST = 0
    REPLY = 1
    ERROR = 2
    STATUS = 3


class Verb(IntEnum):
    """What a request asks for."""

    HELLO = 0x01
    PING = 0x02
    GROUND = 0x03
    BYE = 0x04
    CONFIGURE = 0x10
    READ = 0x11
    PULSE = 0x12
    VMM = 0x13
    COUNTERS = 0x14
    JOB = 0x15
    REST = 0x16
    WEIGHTS = 0x17
    PAIRS = 0x18


FIRST_NUMBERED = 0x10
"""Verbs from here on are executed once and in order; those below at once."""


class Frame(NamedTuple):
    """A frame that arrived whole; verb and kind may be values that no enum has."""

    version: int
    kind: int
    verb: int
    flags: int
    session: int
    seq: int
    payload: memoryview
    bulk: bool = False
    """Whether the payload came, or is still to come, behind the frame."""


def encode(
    kind: int,
    verb: int,
    session: int,
    seq: int,
    payload: list[Buffer],
    flags: int = 0,
    bulk: bool = False,
) -> bytes:
    """A frame with its delimiter; the payload is given in contiguous pieces.

    With bulk a long payload goes behind the frame, where nothing is stuffed.
    """
    parts = cast("list[bytes]", payload)  # arrays are buffers too; Python 3.11 cannot say so
    if bulk:
        length = crc = 0
        for part in parts:
            # the piece's own bytes: an array's length counts its elements
            length += memoryview(part).nbytes
            crc = crc32(part, crc)
        if length >= BULK_LEAST:
            announced = encode(kind, verb, session, seq, [BEHIND.pack(length, crc)], flags | BULK)
            return b"".join((announced, *parts, b"\0"))
    header = HEADER.pack(VERSION, kind, verb, flags, session, seq)
    crc = crc32(header)
    for part in parts:
        crc = crc32(part, crc)
    return bytes(cobs.encode(b"".join((header, *parts, CRC.pack(crc)))) + b"\0")


def decode(body: Buffer) -> Frame | None:
    """A frame from the bytes between two delimiters; None if it is broken."""
    try:
        plain = cobs.decode(cast("bytes", body))
    except cobs.DecodeError:
        return None
    if len(plain) < OVERHEAD:
        return None
    view = memoryview(plain)
    end = len(plain) - CRC.size
    if crc32(view[:end]) != CRC.unpack_from(plain, end)[0]:
        return None
    version, kind, verb, flags, session, seq = HEADER.unpack_from(plain)
    payload = view[HEADER.size : end]
    return Frame(version, kind, verb, flags & ~BULK, session, seq, payload, bool(flags & BULK))


class FrameDecoder:
    """Cuts a stream of bytes into frames; finds its place again after garbage.

    Args:
        max_frame: Longest body that is accepted.

    Attributes:
        broken: How many frames were dropped.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.max_frame = max_frame
        self.broken = 0
        self.reset()

    def reset(self) -> None:
        """Forget a frame that has begun: the stream is a new one."""
        self._chunks: list[Piece] = []
        self._held = 0
        self._skipping = False
        self._announced: Frame | None = None
        self._missing = 0

    def give_up(self) -> bool:
        """Wait no longer for a payload behind a frame; whether there was one to wait for."""
        waited = self._announced is not None
        if waited:
            self.reset()
            self.broken += 1
        return waited

    def feed(self, data: bytes) -> Iterator[Frame | None]:
        """Frames that end in these bytes; None stands for a broken one."""
        start = 0
        while start < len(data):
            if self._announced is not None:
                end = start + min(self._missing, len(data) - start)
                self._missing -= end - start
                self._hold(data, start, end)
                if self._missing:
                    return
                start, frame = end, self._filled(self._announced)
            elif (end := data.find(0, start)) >= 0:
                if start < end:
                    self._hold(data, start, end)
                start, chunks, skipped = end + 1, self._chunks, self._skipping
                if not chunks and not skipped:
                    continue
                self.reset()
                frame = None if skipped else self._taken(_whole(chunks))
                if self._missing:
                    continue
            else:
                self._hold(data, start, len(data))
                return
            self.broken += frame is None
            yield frame

    def _taken(self, body: Buffer) -> Frame | None:
        """A frame from its bytes; one whose payload is behind it is put by."""
        frame = decode(body)
        if frame is None or len(frame.payload) + OVERHEAD > self.max_frame:
            return None
        if frame.bulk:
            if len(frame.payload) != BEHIND.size:
                return None
            length = BEHIND.unpack(frame.payload)[0]
            if not 0 < length <= self.max_frame - OVERHEAD:
                return None
            self._announced, self._missing = frame, length
        return frame

    def _filled(self, frame: Frame) -> Frame | None:
        """The frame that was put by, with the payload that has arrived."""
        payload = memoryview(cast("bytes", _whole(self._chunks)))
        self.reset()
        whole = crc32(payload) == BEHIND.unpack(frame.payload)[1]
        # not _replace, which takes four times as long
        return Frame(*frame[:-2], payload, True) if whole else None

    def _hold(self, data: bytes, start: int, end: int) -> None:
        if start == end:
            return
        self._held += end - start
        if self._held > self.max_frame + self.max_frame // 254 + 1:
            self._chunks.clear()  # never hold more than one frame, whatever is sent
            self._skipping = True
        else:
            # a view: what arrives in one piece is not copied before it is decoded
            self._chunks.append(np.frombuffer(data, np.uint8, end - start, start))


def _whole(pieces: list[Piece]) -> Buffer:
    return pieces[0] if len(pieces) == 1 else b"".join(cast("list[bytes]", pieces))
