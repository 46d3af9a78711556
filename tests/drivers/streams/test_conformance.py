"""What every Stream promises, whatever carries it.

Payloads end with the delimiter 0x00, because a fault injector passes on whole frames only.
"""

from __future__ import annotations

import os
import time

import pytest

from cimlab.core.errors import LinkClosed, LinkTimeout
from tests.drivers.streams.ends import Ends, in_background, make

EVERY_BYTE = bytes(range(255, -1, -1)) * 4


def test_bytes_arrive_unchanged_in_both_directions(ends: Ends) -> None:
    ends.stream.write(EVERY_BYTE)
    assert ends.peer.receive_exactly(len(EVERY_BYTE)) == EVERY_BYTE
    ends.peer.send(EVERY_BYTE)
    assert ends.read_exactly(len(EVERY_BYTE)) == EVERY_BYTE


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_write_takes_every_kind_of_buffer(ends: Ends, wrap: type) -> None:
    ends.stream.write(wrap(b"abc\0"))
    assert ends.peer.receive_exactly(4) == b"abc\0"


def test_write_takes_arrays_of_numbers(ends: Ends) -> None:
    ends.stream.write(memoryview(b"\1\2\3\0").cast("H"))
    assert ends.peer.receive_exactly(4) == b"\1\2\3\0"


def test_writing_nothing_is_allowed(ends: Ends) -> None:
    ends.stream.write(b"")
    ends.stream.write(b"x\0")
    assert ends.peer.receive_exactly(2) == b"x\0"


def test_read_returns_nothing_after_the_timeout(ends: Ends) -> None:
    start = time.monotonic()
    assert ends.stream.read(0.1) == b""
    assert 0.09 <= time.monotonic() - start < 5.0


def test_a_look_does_not_wait(ends: Ends) -> None:
    taken = []
    for _ in range(5):
        start = time.monotonic()
        assert ends.stream.read(0.0) == b""
        taken.append(time.monotonic() - start)
    assert min(taken) < 0.05  # other programs may have had the processor


def test_read_returns_as_soon_as_bytes_arrive(ends: Ends) -> None:
    def later() -> None:
        time.sleep(0.1)
        ends.peer.send(b"late\0")

    in_background(later)
    start = time.monotonic()
    assert ends.read_exactly(5) == b"late\0"
    assert 0.05 < time.monotonic() - start < 5.0


def test_bulk_passes_both_ways_at_once(ends: Ends) -> None:
    size = 1 << 14 if ends.kind == "slow" else 1 << 20
    data = os.urandom(size - 1) + b"\0"
    received: list[bytes] = []
    threads = [
        in_background(lambda: ends.peer.send(data)),
        in_background(lambda: ends.stream.write(data)),
        in_background(lambda: received.append(ends.peer.receive_exactly(size))),
    ]
    assert ends.read_exactly(size, within=20.0) == data
    for thread in threads:
        thread.join(20.0)
    assert received == [data]


def test_read_fails_once_the_other_side_has_gone(ends: Ends) -> None:
    ends.peer.hang_up()
    with pytest.raises(LinkClosed):
        ends.read_exactly(1, within=2.0)


def test_bytes_before_the_end_are_delivered(ends: Ends) -> None:
    if ends.kind != "serial":  # the system drops what a hung-up terminal still held
        ends.peer.send(b"last\0")
        ends.peer.hang_up()
        assert ends.read_exactly(5) == b"last\0"
    ends.peer.hang_up()
    with pytest.raises(LinkClosed):
        ends.stream.read(1.0)


def test_write_fails_once_the_other_side_has_gone(ends: Ends) -> None:
    ends.peer.hang_up()

    def keep_writing() -> None:  # a socket learns of it with the answer to the first write
        for _ in range(20):
            ends.stream.write(b"anyone there?\0")
            time.sleep(0.05)

    with pytest.raises(LinkClosed):
        keep_writing()


def test_close_ends_both_verbs_and_may_be_repeated(ends: Ends) -> None:
    ends.stream.close()
    ends.stream.close()
    with pytest.raises(LinkClosed, match="open"):
        ends.stream.read(0.1)
    with pytest.raises(LinkClosed, match="open"):
        ends.stream.write(b"x\0")


def test_close_wakes_a_reader_in_another_thread(ends: Ends) -> None:
    errors: list[Exception] = []

    def wait() -> None:
        try:
            ends.stream.read(10.0)
        except Exception as error:
            errors.append(error)

    thread = in_background(wait)
    time.sleep(0.1)
    ends.stream.close()
    thread.join(9.0)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [LinkClosed]


@pytest.mark.parametrize("kind", ["tcp", "serial", "memory"])
def test_write_gives_up_when_nobody_takes_the_bytes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"cimlab.drivers.streams.{kind}.WRITE_STALL", 0.2)
    stream, peer = make(kind)
    with pytest.raises(LinkTimeout, match=r"took no bytes for 0.2 s"):
        stream.write(bytes(1 << 25))
    stream.close()
    peer.hang_up()
