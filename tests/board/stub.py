"""A HAL of integers whose every answer tells how often it was asked: nothing can happen twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cimlab.board.hal import Codes8, HalInfo
from cimlab.core.array import Addresses, Converters, Limits, Unfold, Window
from cimlab.wire.scaling import GATE_CODE_MAX

TILES, ROWS, COLS = 2, 6, 5
SIZE = TILES * ROWS * COLS
LIMITS = Limits(v_set=2.0, v_reset=2.5, v_read=0.2, width_min=1e-7, width_max=1e-4, count_max=300)


class StubHal:
    """Reads depend on pulses and on how often a cell was read, products on how many went before."""

    def __init__(
        self, capabilities: frozenset[str] = frozenset({"unfold", "transpose", "rest"})
    ) -> None:
        self.info = HalInfo(
            tiles=TILES,
            rows=ROWS,
            cols=COLS,
            dac_bits=8,
            adc_bits=8,
            v_pulse=3.3,
            v_gate=5.0,
            tick=1e-8,
            limits=LIMITS,
            origin="emulated",
            identity="stub",
            defaults=Converters(0.1, 4.0, 5e-6, (4e-5,) * TILES),
            capabilities=capabilities,
        )
        self.pulses = np.zeros(SIZE, np.int64)
        self.state = np.zeros(SIZE, np.int64)
        self.reads = np.zeros(SIZE, np.int64)
        self.products = 0
        self.calls: list[str] = []
        self.lit = False
        self.fails: type[Exception] | None = None

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        self._called("configure")

    def gate(self, code: int) -> None:
        assert 0 <= code <= GATE_CODE_MAX
        self.lit = code > 0

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        self._called("convert")
        assert self.lit, "driven while grounded"
        if unfold is None:
            vectors = codes.shape[1]
        else:
            vectors = codes.shape[0] * int(np.prod(unfold.output(*codes.shape[2:])))
        outputs = window.n_rows if transposed else window.n_cols
        # each vector has its number, as each vector of a chip has its noise
        number = np.arange(self.products, self.products + vectors)[None, :, None]
        self.products += vectors
        tiles = np.array(window.tiles)[:, None, None] + 1
        mixed = 31 * number + 7 * tiles * np.arange(outputs) + self._digest(codes, unfold)
        return (mixed % 256).astype(np.uint8)

    def _digest(self, codes: Codes8, unfold: Unfold | None) -> NDArray[np.int64]:
        if unfold is None:
            sums: NDArray[np.int64] = codes.sum(axis=2, dtype=np.int64)[:, :, None]
            return sums
        each = int(np.prod(unfold.output(*codes.shape[2:])))
        return np.repeat(codes.sum(axis=(1, 2, 3), dtype=np.int64), each)[None, :, None]

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        self._called("read")
        assert self.lit, "driven while grounded"
        sums = np.zeros(cells.size, np.uint16)
        clipped = np.zeros(cells.size, np.bool_)
        for _ in range(averages):
            codes = (self.state[cells] * 3 + self.reads[cells] * 11 + code) % 256
            sums += codes.astype(np.uint16)
            clipped |= codes == 255
            self.reads[cells] += 1
        return sums, clipped

    def pulse(
        self, cells: Addresses, codes: NDArray[np.int16], ticks: int, counts: NDArray[np.uint16]
    ) -> None:
        self._called("pulse")
        assert self.lit, "driven while grounded"
        assert codes.all()
        assert counts.all()
        self.pulses[cells] += counts
        self.state[cells] += codes.astype(np.int64) * counts + ticks

    def relax(self, seconds: float) -> None:
        self._called("relax")
        self.state += int(seconds)

    def ground(self) -> None:
        self.lit = False
        self.calls.append("ground")

    def _called(self, verb: str) -> None:
        if self.fails:
            raise self.fails("smoke")
        self.calls.append(verb)
