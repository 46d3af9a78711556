"""The emulated line: all bytes, in order, at the pace of its baud rate."""

import threading
import time

import pytest

from cimlab.drivers.streams.memory import memory_pair
from cimlab.mock_hw.serial_line import SerialLine


def test_bytes_come_in_order_and_not_before_their_time() -> None:
    here, there = memory_pair()
    line = SerialLine(here, baud=1_000_000)
    data = bytes(range(256)) * 40
    start = time.monotonic()
    line.write(data)
    assert time.monotonic() - start >= len(data) * 10e-6 * 0.99
    got = b""
    while len(got) < len(data):
        got += there.read(1.0)
    assert got == data
    assert line.busy == pytest.approx(len(data) * 10e-6, rel=1e-6)


def test_reading_waits_for_the_last_byte_and_times_out() -> None:
    here, there = memory_pair()
    line = SerialLine(here, baud=100_000)
    there.write(b"x" * 5000)
    start = time.monotonic()
    assert line.read(0.01) == b""
    assert time.monotonic() - start < 0.49
    assert line.read(5.0) == b"x" * 5000
    assert time.monotonic() - start >= 0.5
    assert line.read(0.0) == b""


def test_both_directions_at_once_are_busy_once() -> None:
    here, there = memory_pair()
    line = SerialLine(here, baud=1_000_000)
    there.write(b"y" * 40_000)
    reader = threading.Thread(target=lambda: line.read(0.01))
    reader.start()
    reader.join()
    line.write(b"x" * 40_000)
    assert 0.4 <= line.busy < 0.79
    line.close()
