"""BoardHal for the SoC of four 64 x 64 tiles: the six verbs as commands over SPI.

The commands are this example's own; replace `Command` and the packing by what your firmware
understands. All integers are little endian; a cell is its address (tile * 64 + row) * 64 + col.

    code  command  payload                                          answer
    0x00  WHO      -                                                16 bytes of ASCII
    0x01  SCALE    v_read u16 (0.1 mV), i_read u16 (10 nA),         -
                   i_vmm u16 a tile (10 nA)
    0x02  GATE     code u16                                         -
    0x03  VMM      tile, row0, rows, col0, cols u8, vectors u16,    u8 a vector and column
                   codes u8
    0x04  READ     code u8, averages u16, n u16, cells u16          sums u16, clipped u8
    0x05  PULSE    ticks u32, n u16, cells u16, codes i16,          -
                   counts u16
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cimlab.board.hal import Codes8, HalInfo
from cimlab.core.array import Addresses, Converters, Limits, Unfold, Window
from cimlab.core.errors import LimitError

from .port import PAYLOAD_MAX, Port

TILES, ROWS, COLS = 4, 64, 64
VOLT, AMPERE = 1e-4, 1e-8
"""Units of the SoC's reference converters, V and A."""


class Command(IntEnum):
    """First byte of a command."""

    WHO = 0x00
    SCALE = 0x01
    GATE = 0x02
    VMM = 0x03
    READ = 0x04
    PULSE = 0x05


class SocHal:
    """The SoC behind a port.

    It only translates: sessions, exactly-once pulses, limits, counters, the watchdog and on-board
    jobs are the service's. It cannot unfold or transpose, so it does not say so, and hosts do
    that themselves.

    Args:
        port: The wiring.
        limits: What the devices on this chip stand.
    """

    def __init__(self, port: Port, limits: Limits) -> None:
        self._port = port
        who = port.command(Command.WHO, b"", 16).decode("ascii").rstrip("\0 ")
        self.info = HalInfo(
            tiles=TILES,
            rows=ROWS,
            cols=COLS,
            dac_bits=8,
            adc_bits=8,
            v_pulse=3.3,
            v_gate=5.0,
            tick=10e-9,
            limits=limits,
            origin="measured",
            identity=f"bulk-switching RRAM SoC, {who}, on a Raspberry Pi",
            defaults=Converters(v_read=0.1, v_gate=4.0, i_read=5e-6, i_vmm=(40e-6,) * TILES),
        )

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        """Set the references of the converters; LimitError where they do not reach."""
        steps = [round(v_read / VOLT), *(round(i / AMPERE) for i in (i_read, *i_vmm))]
        if not all(1 <= step <= 0xFFFF for step in steps):
            raise LimitError("full scales go from 0.1 mV to 6.5 V and from 10 nA to 655 uA")
        self._port.command(Command.SCALE, struct.pack(f"<{len(steps)}H", *steps), 0)

    def gate(self, code: int) -> None:
        """Connect the lines, then raise the word lines."""
        self._port.connect()
        self._port.command(Command.GATE, struct.pack("<H", code), 0)

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        """Multiply, as many vectors a command as a transfer holds."""
        out = np.empty((len(window.tiles), codes.shape[1], window.n_cols), np.uint8)
        step = (PAYLOAD_MAX - 7) // max(window.n_rows, window.n_cols)
        place = (window.rows[0], window.n_rows, window.cols[0], window.n_cols)
        for k, tile in enumerate(window.tiles):
            for start in range(0, codes.shape[1], step):
                part = codes[k, start : start + step]
                head = struct.pack("<5BH", tile, *place, len(part))
                size = len(part) * window.n_cols
                answer = self._port.command(Command.VMM, head + part.tobytes(), size)
                result = np.frombuffer(answer, np.uint8).reshape(len(part), -1)
                out[k, start : start + step] = result
        return out

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Read cells one by one."""
        sums = np.empty(cells.size, np.uint16)
        clipped = np.empty(cells.size, np.bool_)
        for part in _parts(cells.size, 3, head=5):
            chosen = cells[part].astype("<u2")
            payload = struct.pack("<BHH", code, averages, chosen.size) + chosen.tobytes()
            answer = self._port.command(Command.READ, payload, 3 * chosen.size)
            sums[part] = np.frombuffer(answer, "<u2", chosen.size)
            clipped[part] = np.frombuffer(answer, np.uint8, offset=2 * chosen.size) != 0
        return sums, clipped

    def pulse(
        self, cells: Addresses, codes: NDArray[np.int16], ticks: int, counts: NDArray[np.uint16]
    ) -> None:
        """Pulse cells; the service has checked amplitudes, width and counts."""
        for part in _parts(cells.size, 6, head=6):
            n = cells[part].size
            columns = (
                cells[part].astype("<u2"),
                codes[part].astype("<i2"),
                counts[part].astype("<u2"),
            )
            data = b"".join(column.tobytes() for column in columns)
            head = struct.pack("<IH", ticks, n)
            self._port.command(Command.PULSE, head + data, 0)

    def ground(self) -> None:
        """Open the switches: works although the SoC may hang."""
        self._port.isolate()


def _parts(n: int, width: int, head: int) -> Iterator[slice]:
    """Slices of n cells, each cell so many bytes of a transfer."""
    step = (PAYLOAD_MAX - head) // width
    return (slice(start, start + step) for start in range(0, n, step))
