"""The lab example: imports without the hardware, and serves a fake SoC behind fake pins."""

from __future__ import annotations

import binascii
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from cimlab.board.serve import BoardServer
from cimlab.board.service import BoardService
from cimlab.core.array import Limits, Window
from cimlab.core.errors import BoardError, CapabilityError, LimitError
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import open_stream
from cimlab.protocols.jobs import JOBS
from cimlab.wire.status import Status
from examples.raspberry_pi_board import port as pins
from examples.raspberry_pi_board.hal import SocHal
from examples.raspberry_pi_board.port import PiPort

SIZE = 4 * 64 * 64
LIMITS = Limits(v_set=3.0, v_reset=3.0, v_read=0.3, count_max=10)


class FakePins:
    """The SoC's side of SPI and GPIO, as the table in hal.py describes it; also its two modules."""

    BCM, OUT, IN, LOW, HIGH = 11, 0, 1, 0, 1

    def __init__(self) -> None:
        self.levels = {PiPort.READY: 0, PiPort.CONNECT: 1}
        self.conductance = np.zeros(SIZE, np.int64)
        self.scale: tuple[int, ...] = ()
        self.gate_code = 0
        self.vectors = 0
        self.hangs = self.flips = False
        self.status = 0
        self.longest = 0
        self._answer = b""

    def setmode(self, mode: int) -> None:
        assert mode == self.BCM

    def setup(self, pin: int, way: int, initial: int | None = None) -> None:
        assert way == (self.OUT if pin == PiPort.CONNECT else self.IN)
        if initial is not None:
            self.levels[pin] = initial

    def output(self, pin: int, level: int) -> None:
        self.levels[pin] = level

    def input(self, pin: int) -> int:
        return self.levels[pin]

    def writebytes2(self, data: bytes) -> None:
        assert len(data) <= 4096
        self.longest = max(self.longest, len(data))
        (crc,) = struct.unpack("<H", data[-2:])
        assert crc == binascii.crc_hqx(data[:-2], 0xFFFF)
        code, length = struct.unpack("<BH", data[:3])
        payload = data[3:-2]
        assert length == len(payload)
        self.levels[PiPort.READY] = not self.hangs
        handler = (self.who, self.rescale, self.gate, self.vmm, self.read, self.pulse)[code]
        answer = handler(payload)
        body = struct.pack("<BH", self.status, len(answer)) + answer
        self._answer = body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))

    def readbytes(self, n: int) -> list[int]:
        assert n == len(self._answer) <= 4096
        damaged = bytearray(self._answer)
        damaged[n // 2] ^= self.flips
        return list(damaged)

    def who(self, payload: bytes) -> bytes:
        assert payload == b""
        return b"no. 42".ljust(16, b"\0")

    def rescale(self, payload: bytes) -> bytes:
        self.scale = struct.unpack("<6H", payload)
        return b""

    def gate(self, payload: bytes) -> bytes:
        assert self.levels[PiPort.CONNECT], "the array is tied to ground"
        (self.gate_code,) = struct.unpack("<H", payload)
        return b""

    def vmm(self, payload: bytes) -> bytes:
        assert self.levels[PiPort.CONNECT], "the array is tied to ground"
        tile, row0, rows, col0, cols, vectors = struct.unpack("<5BH", payload[:7])
        x = np.frombuffer(payload[7:], np.uint8).reshape(vectors, rows).astype(np.int64)
        self.vectors += vectors
        return self.product(tile, slice(row0, row0 + rows), slice(col0, col0 + cols), x).tobytes()

    def product(
        self, tile: int, rows: slice, cols: slice, x: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        g = self.conductance.reshape(4, 64, 64)[tile, rows, cols]
        return np.minimum((x @ g) // 256, 255).astype(np.uint8)

    def read(self, payload: bytes) -> bytes:
        assert self.levels[PiPort.CONNECT], "the array is tied to ground"
        code, averages, n = struct.unpack("<BHH", payload[:5])
        cells = np.frombuffer(payload[5:], "<u2")
        assert (code, cells.size) == (255, n)
        codes = np.clip(self.conductance[cells], 0, 255)
        return (codes * averages).astype("<u2").tobytes() + (codes == 255).astype("u1").tobytes()

    def pulse(self, payload: bytes) -> bytes:
        assert self.levels[PiPort.CONNECT], "the array is tied to ground"
        ticks, n = struct.unpack("<IH", payload[:6])
        assert ticks == 100
        cells = np.frombuffer(payload, "<u2", n, 6)
        codes = np.frombuffer(payload, "<i2", n, 6 + 2 * n)
        counts = np.frombuffer(payload, "<u2", n, 6 + 4 * n)
        assert len(payload) == 6 + 6 * n
        assert len(set(cells.tolist())) == n
        self.conductance[cells] += codes.astype(np.int64) * counts
        return b""


@contextmanager
def lab(soc: FakePins) -> Iterator[SocArray]:
    """A host's array, over TCP, to the example's HAL on fake pins."""
    service = BoardService(SocHal(PiPort(spi=soc, gpio=soc), LIMITS), JOBS)
    server = BoardServer(service, "tcp://127.0.0.1:0")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with SocArray(lambda: open_stream(server.address)) as array:
            yield array
    finally:
        server.stop()
        thread.join(10)


def test_it_imports_without_the_libraries_of_the_pi() -> None:
    code = (
        "import sys; sys.modules.update({'spidev': None, 'RPi': None})\n"
        "import examples.raspberry_pi_board.__main__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_host_sees_the_soc() -> None:
    soc = FakePins()
    with lab(soc) as array:
        assert array.spec.shape == (4, 64, 64)
        assert array.spec.origin == "measured"
        assert "no. 42" in array.spec.identity
        assert array.spec.capabilities >= {"counters", "job:write_verify"}
        # 0.1 V in 0.1 mV, 5 uA and 40 uA in 10 nA; 4 V of 5 V in 1023 steps
        assert soc.scale == (1000, 500, 4000, 4000, 4000, 4000)
        array.read(0.1, np.array([0]))
        assert soc.gate_code == 818


def test_pulses_reach_their_cells_once_and_are_counted() -> None:
    soc = FakePins()
    rng = np.random.default_rng(0)
    cells = np.flatnonzero(rng.random(SIZE) < 0.6)  # several transfers
    codes = rng.integers(-200, 200, cells.size)
    counts = rng.integers(0, 10, cells.size)
    with lab(soc) as array:
        array.pulse(codes * 3.3 / 255, 1e-6, counts, cells)
        wanted = np.zeros(SIZE, np.int64)
        wanted[cells] = codes * counts
        np.testing.assert_array_equal(soc.conductance, wanted)
        counted = np.zeros(SIZE, np.int64)
        counted[cells] = np.where(codes == 0, 0, counts)
        np.testing.assert_array_equal(array.counters().ravel(), counted)
    assert soc.longest > 4000


def test_reads_arrive_in_amperes() -> None:
    soc = FakePins()
    soc.conductance[:] = np.arange(SIZE) % 300
    with lab(soc) as array:
        reading = array.read(0.1, averages=3)
    codes = np.minimum(np.arange(SIZE) % 300, 255).reshape(4, 64, 64)
    np.testing.assert_allclose(reading.current, codes * 5e-6 / 255, rtol=1e-6)
    np.testing.assert_array_equal(reading.saturated, codes == 255)


def test_products_are_cut_into_transfers_and_put_together() -> None:
    soc = FakePins()
    rng = np.random.default_rng(1)
    soc.conductance[:] = rng.integers(0, 16, SIZE)
    window = Window((1, 3), (2, 50), (10, 30))
    codes = rng.integers(0, 256, (2, 200, 48))
    with lab(soc) as array:
        product = array.vmm((codes * 0.1 / 255).astype(np.float32), window)
        with pytest.raises(CapabilityError):
            array.vmm_transposed(np.zeros((4, 1, 64), np.float32))
    wanted = [
        soc.product(tile, slice(2, 50), slice(10, 30), codes[k]) for k, tile in ((0, 1), (1, 3))
    ]
    np.testing.assert_allclose(product.current, np.stack(wanted) * (40e-6 / 255), rtol=1e-6)
    assert soc.vectors == 400


def test_limits_are_refused_before_the_pins() -> None:
    soc = FakePins()
    with lab(soc) as array:
        with pytest.raises((LimitError, BoardError)):
            array.pulse(3.2, 1e-6, cells=np.array([5]))
        with pytest.raises((LimitError, BoardError)):
            array.pulse(1.0, 1e-6, 11, cells=np.array([5]))
    assert not soc.conductance.any()


@pytest.mark.parametrize("fault", ["hangs", "flips", "status"])
def test_a_failing_soc_grounds_the_array(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "PATIENCE", 0.1)
    soc = FakePins()
    with lab(soc) as array:
        array.read(0.1, np.array([1]))
        assert soc.levels[PiPort.CONNECT] == soc.HIGH
        setattr(soc, fault, 1)
        with pytest.raises(BoardError) as failure:
            array.read(0.1, np.array([1]))
        assert failure.value.code == Status.HARDWARE
        assert soc.levels[PiPort.CONNECT] == soc.LOW
        setattr(soc, fault, 0)
        array.read(0.1, np.array([1]))


def test_leaving_the_array_grounds_it() -> None:
    soc = FakePins()
    with lab(soc) as array:
        array.read(0.1, np.array([1]))
        assert soc.levels[PiPort.CONNECT] == soc.HIGH
    assert soc.levels[PiPort.CONNECT] == soc.LOW


def test_full_scales_beyond_the_references_are_refused() -> None:
    hal = SocHal(PiPort(spi=(soc := FakePins()), gpio=soc), LIMITS)
    with pytest.raises(LimitError, match="655 uA"):
        hal.configure(0.1, 1e-3, (40e-6,) * 4)
