"""Frames: whatever arrives, good frames are found and nothing else is taken for one."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from cimlab.wire.frames import (
    BULK,
    BULK_LEAST,
    HEADER,
    OVERHEAD,
    Frame,
    FrameDecoder,
    Kind,
    Verb,
    encode,
)

payloads = st.binary(max_size=1200) | st.integers(0, 1200).map(lambda n: b"\0" * n)
Sent = tuple[int, int, int, int, bytes, int, bool]
frames = st.tuples(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    payloads,
    st.integers(0, BULK - 1),
    st.just(False),
)
bulk = st.tuples(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255).map(lambda n: bytes(range(n)) * 40 + bytes(BULK_LEAST)),
    st.integers(0, BULK - 1),
    st.just(True),
)


def whole(frame: Frame | None) -> Sent:
    assert frame is not None
    payload = bytes(frame.payload)
    return frame.kind, frame.verb, frame.session, frame.seq, payload, frame.flags, frame.bulk


def coded(frame: Sent) -> bytes:
    kind, verb, session, seq, payload, flags, behind = frame
    return encode(kind, verb, session, seq, [payload], flags, behind)


@given(st.lists(frames | bulk, max_size=5), st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_frames_survive_any_cutting_of_the_stream(sent: list[Sent], steps: list[int]) -> None:
    stream = b"".join(coded(frame) for frame in sent)
    decoder, got, start, k = FrameDecoder(), [], 0, 0
    while start < len(stream):
        step = steps[k % len(steps)]
        got += [whole(frame) for frame in decoder.feed(stream[start : start + step])]
        start, k = start + step, k + 1
    assert got == sent
    assert decoder.broken == 0


@given(frames | bulk, st.binary(max_size=300), frames | bulk)
def test_garbage_costs_at_most_the_frame_it_hits(
    first: Sent,
    garbage: bytes,
    second: Sent,
) -> None:
    stream = garbage + b"\0" + coded(first) + garbage + b"\0" + coded(second)
    good = [whole(frame) for frame in FrameDecoder().feed(stream) if frame is not None]
    assert good == [first, second]


@given(frames | bulk, st.data())
def test_no_single_flipped_bit_passes(frame: Sent, data: st.DataObject) -> None:
    coded_frame = bytearray(coded(frame))
    # the zero behind a payload carries nothing: without it the next frame is a broken one
    carrying = len(coded_frame) - (1 if frame[-1] else 0)
    bit = data.draw(st.integers(0, 8 * carrying - 1))
    coded_frame[bit // 8] ^= 1 << bit % 8
    assert all(got is None for got in FrameDecoder().feed(bytes(coded_frame) + b"\0"))


def test_a_frame_holds_no_zero_but_its_end() -> None:
    frame = encode(Kind.REQUEST, Verb.VMM, 1, 2, [bytes(1000), np.zeros(9, "<u2")])
    assert frame.index(0) == len(frame) - 1


def test_empty_frames_are_ignored() -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(b"\0\0\0")) == []
    assert decoder.broken == 0


def test_pieces_are_joined() -> None:
    together = encode(1, 2, 3, 4, [b"abc", memoryview(b"de"), np.array([0x6766], "<u2")])
    assert together == encode(1, 2, 3, 4, [b"abcdefg"])


@pytest.mark.parametrize("size", [0, 3, OVERHEAD - 1])
def test_bodies_shorter_than_a_header_are_broken(size: int) -> None:
    body = b"\1" * max(0, size - 4)
    body = (body + zlib.crc32(body).to_bytes(4, "little"))[:size]
    decoder = FrameDecoder()
    assert list(decoder.feed(cobs.encode(body) + b"\0")) == [None]
    assert decoder.broken == 1


@pytest.mark.parametrize("fill", [b"\0", b"\1"])
def test_max_frame_is_a_limit_of_the_body(fill: bytes) -> None:
    longest = encode(0, 1, 2, 3, [fill * (500 - OVERHEAD)])
    longer = encode(0, 1, 2, 3, [fill * (501 - OVERHEAD)])
    decoder = FrameDecoder(max_frame=500)
    assert [frame is None for frame in decoder.feed(longest + longer + longest)] == [
        False,
        True,
        False,
    ]


def test_an_endless_frame_is_not_kept() -> None:
    decoder = FrameDecoder(max_frame=500)
    for _ in range(100):
        assert list(decoder.feed(b"\1" * 100)) == []
    assert sum(map(len, decoder._chunks)) == 0
    good = encode(0, 1, 2, 3, [b"x"])
    assert [frame is None for frame in decoder.feed(b"\0" + good)] == [True, False]


def test_reset_forgets_half_a_frame() -> None:
    decoder = FrameDecoder()
    good = encode(0, 1, 2, 3, [b"x"])
    assert list(decoder.feed(good[:9])) == []
    decoder.reset()
    assert [frame is None for frame in decoder.feed(good)] == [False]


def test_the_payload_is_a_view_of_the_decoded_frame() -> None:
    (frame,) = FrameDecoder().feed(encode(0, 1, 2, 3, [b"abcd"]))
    assert frame is not None
    assert len(memoryview(frame.payload.obj)) == HEADER.size + 4 + 4


@given(bulk, frames, st.data())
def test_a_damaged_payload_behind_its_frame_costs_that_frame_alone(
    first: Sent, second: Sent, data: st.DataObject
) -> None:
    payload = bytearray(first[4])
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    announced = coded(first)[: -len(payload) - 1]
    decoder = FrameDecoder()
    got = list(decoder.feed(announced + bytes(payload) + coded(second)))
    assert got[0] is None
    assert [whole(frame) for frame in got[1:]] == [second]
    assert decoder.broken == 1


@given(bulk, frames)
def test_a_payload_whose_rest_stays_away_is_given_up(first: Sent, second: Sent) -> None:
    decoder = FrameDecoder()
    assert list(decoder.feed(coded(first)[:-2])) == []
    assert decoder.give_up()
    assert [whole(frame) for frame in decoder.feed(coded(second))] == [second]
    assert decoder.broken == 1
    assert not decoder.give_up()


@pytest.mark.parametrize("length", [0, 485, 2**32 - 1])
def test_payloads_longer_than_a_frame_may_be_are_not_waited_for(length: int) -> None:
    announced = encode(0, 1, 2, 3, [length.to_bytes(4, "little"), bytes(4)], BULK)
    decoder, good = FrameDecoder(max_frame=500), encode(0, 1, 2, 3, [b"x"])
    assert [frame is None for frame in decoder.feed(announced + good)] == [True, False]


# made by hand from docs/wire.md: crcs bit by bit; announcement, then payload
BEHIND_ITS_FRAME = [
    (
        Kind.REQUEST,
        "02 01 08 18 80 78 56 34 12 02 01 01 02 20 01 01 09 45 5b 32 e0 01 7e ef 1b 00",
        "01 00 00 03 00 00 00 04 00 02 00 00 00 01 00 0b 02 00 00 00 05 00"
        " 01 02 03 04 05 06 07 08 09 0a",
    ),
    (
        Kind.REPLY,
        "0a 01 01 18 80 78 56 34 12 02 01 01 02 0f 01 01 09 4a f4 b9 da 9a 1c 67 78 00",
        "01 00 00 00 00 00 00 00 10 ff 00 ff 00 80 26",
    ),
]


@pytest.mark.parametrize(("kind", "announced", "payload"), BEHIND_ITS_FRAME)
def test_a_payload_behind_its_frame_byte_by_byte(
    kind: Kind, announced: str, payload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = bytes.fromhex(payload)
    stream = bytes.fromhex(announced) + behind + b"\0"
    (frame,) = FrameDecoder().feed(stream)
    assert whole(frame) == (kind, Verb.PAIRS, 0x12345678, 2, behind, 0, True)
    monkeypatch.setattr("cimlab.wire.frames.BULK_LEAST", 1)
    assert encode(kind, Verb.PAIRS, 0x12345678, 2, [behind[:3], behind[3:]], bulk=True) == stream
