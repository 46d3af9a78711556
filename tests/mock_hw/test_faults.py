"""The bad cable: each fault does what it says, as often as it says, the same for the same seed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimlab.core.errors import LinkClosed
from cimlab.core.stream import Stream
from cimlab.drivers.streams import memory_pair
from cimlab.mock_hw.faults import Faults, FaultyStream, spoilt

Passage = Callable[[Faults], tuple[list[bytes], FaultyStream]]
N = 2000
FRAMES = [b"%05d frame" % i for i in range(N)]


def drain(stream: Stream, timeout: float = 0.0) -> list[bytes]:
    """Everything a stream holds, as it comes."""
    pieces = []
    while data := stream.read(timeout):
        pieces.append(data)
    return pieces


def sent(faults: Faults, seed: int = 1) -> tuple[list[bytes], FaultyStream]:
    """Frames that arrive when FRAMES are written through outgoing faults."""
    near, far = memory_pair()
    stream = FaultyStream(near, seed, outgoing=faults)
    for frame in FRAMES:
        stream.write(frame + b"\0")
    return b"".join(drain(far)).split(b"\0")[:-1], stream


def received(faults: Faults, seed: int = 1) -> tuple[list[bytes], FaultyStream]:
    """Frames that arrive when FRAMES are read through incoming faults."""
    near, far = memory_pair()
    stream = FaultyStream(near, seed, incoming=faults)
    for frame in FRAMES:
        far.write(frame + b"\0")
    return b"".join(drain(stream)).split(b"\0")[:-1], stream


@pytest.mark.parametrize("passed", [sent, received])
def test_no_faults_change_nothing(passed: Passage) -> None:
    frames, stream = passed(Faults())
    assert frames == FRAMES
    assert +stream.seen == Counter(frames=N)


@pytest.mark.parametrize("passed", [sent, received])
def test_dropped_frames_are_missing(passed: Passage) -> None:
    frames, stream = passed(Faults(drop=0.1))
    assert stream.seen["drop"] == N - len(frames)
    # four standard deviations of a binomial
    assert abs(stream.seen["drop"] - 0.1 * N) < 4 * (0.1 * 0.9 * N) ** 0.5
    assert set(frames) < set(FRAMES)
    assert frames == sorted(frames)


@pytest.mark.parametrize("passed", [sent, received])
def test_duplicated_frames_come_twice_in_place(passed: Passage) -> None:
    frames, stream = passed(Faults(duplicate=0.1))
    assert frames == sorted(frames)
    times = Counter(frames)
    assert set(times.values()) == {1, 2}
    assert list(times.values()).count(2) == stream.seen["duplicate"] > 0.05 * N


@pytest.mark.parametrize("passed", [sent, received])
def test_corrupted_frames_differ_in_one_bit(passed: Passage) -> None:
    frames, stream = passed(Faults(corrupt=0.1))
    before = b"\0".join(FRAMES) + b"\0"
    after = b"\0".join(frames) + b"\0"
    if len(after) < len(before):  # the last delimiter itself was hit
        after += before[len(after) :]
    flips = [a ^ b for a, b in zip(before, after, strict=True) if a != b]
    assert all(flip.bit_count() == 1 for flip in flips)
    assert len(flips) == stream.seen["corrupt"] > 0.05 * N


def test_split_frames_arrive_in_two_pieces() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, incoming=Faults(split=1.0))
    far.write(b"abc\0defg\0")
    pieces = drain(stream)
    assert b"".join(pieces) == b"abc\0defg\0"
    assert len(pieces) == 4


def test_a_frame_waits_for_its_delimiter() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1)
    far.write(b"half")
    assert stream.read(0.01) == b""
    far.write(b"whole\0rest")
    assert stream.read(0.01) == b"halfwhole\0"
    stream.write(b"half")
    assert drain(far) == []
    stream.write(b"whole\0")
    assert drain(far) == [b"halfwhole\0"]


def test_stalled_frames_come_late_and_hold_up_those_behind() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, incoming=Faults(stall=1.0, stall_time=0.5))
    far.write(b"first\0second\0")
    start = time.monotonic()
    assert stream.read(0.02) == b""
    assert stream.read(9.0) == b"first\0"
    assert 0.49 < time.monotonic() - start < 0.99
    assert stream.read(0.02) == b""
    assert stream.read(9.0) == b"second\0"
    assert 0.99 < time.monotonic() - start < 5.0


def test_a_stalled_write_takes_its_time() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, outgoing=Faults(stall=1.0, stall_time=0.1))
    start = time.monotonic()
    stream.write(b"late\0")
    assert time.monotonic() - start > 0.09
    assert drain(far) == [b"late\0"]


def test_a_reset_cuts_a_written_frame_and_ends_both_sides() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, outgoing=Faults(reset=1.0))
    with pytest.raises(LinkClosed, match="injected"):
        stream.write(b"never whole\0")
    arrived = far.read(0.0)
    assert arrived != b""
    assert b"never whole\0".startswith(arrived)
    assert not arrived.endswith(b"\0")
    with pytest.raises(LinkClosed):
        far.read(0.0)
    with pytest.raises(LinkClosed):
        stream.read(0.0)


def test_a_reset_ends_reading() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, incoming=Faults(reset=1.0))
    far.write(b"never whole\0")
    with pytest.raises(LinkClosed, match="injected"):
        stream.read(0.1)
    with pytest.raises(LinkClosed):
        stream.write(b"x\0")


def test_a_half_closed_direction_is_dead_and_the_other_is_not() -> None:
    near, far = memory_pair()
    stream = FaultyStream(near, 1, outgoing=Faults(half_close=1.0))
    for _ in range(2):
        stream.write(b"lost\0")
        far.write(b"heard\0")
    assert drain(far) == []
    assert b"".join(drain(stream)) == b"heard\0heard\0"
    assert stream.seen["half_close"] == 1


def test_each_new_stream_has_other_faults_and_the_same_again() -> None:
    def struck() -> list[bytes]:
        fars = []

        def connect() -> Stream:
            near, far = memory_pair()
            fars.append(far)
            return near

        opened = spoilt(connect, 3, Faults(drop=0.3))
        for stream in (opened(), opened()):
            for frame in FRAMES[:100]:
                stream.write(frame + b"\0")
        return [b"".join(drain(far)) for far in fars]

    first, second = struck()
    assert first != second
    assert struck() == [first, second]


MIXED = Faults(drop=0.1, corrupt=0.1, duplicate=0.1, split=0.1)


def test_the_same_seed_strikes_the_same_frames() -> None:
    assert sent(MIXED, seed=5)[0] == sent(MIXED, seed=5)[0]
    assert sent(MIXED, seed=5)[0] != sent(MIXED, seed=6)[0]
    assert sent(MIXED, seed=5)[0] != received(MIXED, seed=5)[0]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 200), max_size=60))
def test_how_bytes_are_cut_into_calls_changes_nothing(sizes: list[int]) -> None:
    data = b"".join(frame + b"\0" for frame in FRAMES[:100])
    near, far = memory_pair()
    stream = FaultyStream(near, 5, outgoing=MIXED, incoming=MIXED)
    at = 0
    for size in sizes:
        stream.write(data[at : at + size])
        far.write(data[at : at + size])
        at += size
    stream.write(data[at:])
    far.write(data[at:])
    there, back = b"".join(drain(far)), b"".join(drain(stream))
    assert (there, back) == whole(data)


def whole(data: bytes) -> tuple[bytes, bytes]:
    """What comes of data that passes in one call each way."""
    near, far = memory_pair()
    stream = FaultyStream(near, 5, outgoing=MIXED, incoming=MIXED)
    stream.write(data)
    far.write(data)
    return b"".join(drain(far)), b"".join(drain(stream))


def test_one_fault_does_not_move_the_others() -> None:
    alone = sent(Faults(drop=0.1))[1].seen["drop"]
    assert sent(Faults(drop=0.1, stall=0.1, stall_time=0.0, split=0.5))[1].seen["drop"] == alone
