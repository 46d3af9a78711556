"""The chip in software: crossbars of device models behind converters, as a BoardHal.

It knows codes, pulses and physics; it never knows what the host wanted. All state is in a few
arrays (`state_layout`), so that it can live in a file and survive its process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.board.hal import Codes8, HalInfo
from cimlab.core.array import Addresses, Converters, JobResult, Limits, Unfold, Window
from cimlab.core.errors import CapabilityError
from cimlab.mock_hw import converters as front_end
from cimlab.mock_hw.devices.base import Cells, DeviceModel, rest
from cimlab.mock_hw.devices.brram import BulkRram
from cimlab.mock_hw.philox import CellDraws, Stream, key_of
from cimlab.mock_hw.ramps import Chip, Front, Ramp, program
from cimlab.wire.scaling import GATE_CODE_MAX, PULSE_CODE_MAX, dac_codes, ticks

State = Mapping[str, NDArray[Any]]

V_PULSE = 3.3
V_GATE = 5.0
GATE_THRESHOLD = 0.7
TICK = 10e-9
NARROW = 2048
"""Cells of a window up to which product and conversion are one pass; then the library's wins."""


@dataclass(frozen=True, slots=True)
class Imperfections:
    """What a real chip has and a textbook one has not; never all zero by default.

    Attributes:
        stuck: Share of cells that no pulse moves, half of them stuck low, half high.
        adc_gain: Standard deviation of the converters' gain, relative.
        adc_offset: Standard deviation of their offset, ADC codes.
    """

    stuck: float = 0.002
    adc_gain: float = 0.005
    adc_offset: float = 0.5


def state_layout(
    tiles: int, rows: int, cols: int
) -> dict[str, tuple[np.dtype[np.generic], tuple[int, ...]]]:
    """Names, types and shapes of the chip's state: everything that a power cut must not lose."""
    size = (tiles * rows * cols,)
    return {
        "g": (np.dtype(np.float32), size),
        "pulses": (np.dtype(np.uint32), size),
        "reads": (np.dtype(np.uint32), size),
        "vectors": (np.dtype(np.uint64), (2, tiles)),
        "counted": (np.dtype(np.uint32), size),
        "rests": (np.dtype(np.uint32), (1,)),
        "rested": (np.dtype(np.float32), size),
        "age": (np.dtype(np.float64), size),
        "born": (np.dtype(np.uint8), (1,)),
    }


class SimulatedHal:
    """A chip of `tiles` crossbars of one device model.

    Args:
        device: The physics of a cell.
        tiles, rows, cols: Size.
        seed: Decides the devices, their noise and the converters.
        imperfections: Stuck cells and converter mismatch.
        limits: What the chip says it stands.
        state: Arrays as `state_layout` describes, to be used in place: zero for a new chip, or
            kept from before. "pulses" is the chip's own truth and keys the pulses' noise;
            "counted" is left to the board's counter.
    """

    def __init__(
        self,
        device: DeviceModel,
        tiles: int = 8,
        rows: int = 64,
        cols: int = 64,
        seed: int = 0,
        imperfections: Imperfections | None = None,
        limits: Limits | None = None,
        state: State | None = None,
    ) -> None:
        self._device = device
        self._shape = (tiles, rows, cols)
        self._key = key_of(seed)
        self._flaws = imperfections or Imperfections()
        # compiled for this device; others are programmed with one verb a round
        jobs = ("job:write_verify", "job:ispp") if isinstance(device, BulkRram) else ()
        self._jobs = frozenset(jobs)
        self.info = HalInfo(
            tiles=tiles,
            rows=rows,
            cols=cols,
            dac_bits=8,
            adc_bits=8,
            v_pulse=V_PULSE,
            v_gate=V_GATE,
            tick=TICK,
            limits=limits or Limits(),
            origin="emulated",
            identity=f"cimlab emulated board, {device.name}, {tiles}x{rows}x{cols}, seed {seed}",
            defaults=Converters(0.1, 4.0, 5e-6, (40e-6,) * tiles),
            capabilities=frozenset({"unfold", "transpose", "rest"}) | self._jobs,
        )
        self.state: State = (
            state
            if state is not None
            else {
                name: np.zeros(shape, kind)
                for name, (kind, shape) in state_layout(*self._shape).items()
            }
        )
        self._wake()
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._gate_open = False

    def _wake(self) -> None:
        """Derive what the seed decides, and make the devices if they are not born yet."""
        size = int(np.prod(self._shape))
        cells = np.arange(size, dtype=np.int64)
        never = np.zeros(size, np.uint32)
        g0, self._traits = self._device.born(size, CellDraws(self._key, Stream.BORN, cells, never))
        u = CellDraws(self._key, Stream.STUCK, cells, never).uniform(0)
        low, high = u < self._flaws.stuck / 2, u > 1 - self._flaws.stuck / 2
        self._alive = ~(low | high)
        if not self.state["born"][0]:
            g0[low], g0[high] = self._device.g_min, self._device.g_max
            self.state["g"][:] = g0
            self.state["born"][0] = 1
        tiles, rows, cols = self._shape
        wide = np.arange(tiles * (rows + cols), dtype=np.int64)
        draws = CellDraws(self._key, Stream.CONVERTERS, wide, np.zeros(wide.size, np.uint32))
        gain = 1 + np.float32(self._flaws.adc_gain) * draws.normal(0)
        offset = np.float32(self._flaws.adc_offset) * draws.normal(1)
        split = tiles * cols
        # converters at the columns, and those at the rows for a transposed product
        self._gain = (gain[:split].reshape(tiles, cols), gain[split:].reshape(tiles, rows))
        self._offset = (offset[:split].reshape(tiles, cols), offset[split:].reshape(tiles, rows))

    @property
    def conductances(self) -> Cells:
        """The true conductances, (tiles, rows, cols) S: for tests and figures, not for hosts."""
        g: Cells = self.state["g"].reshape(self._shape)
        return g

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        """Set the converters' full scales."""
        self._v_read, self._i_read = v_read, i_read
        self._i_vmm = tuple(i_vmm)

    def gate(self, code: int) -> None:
        """Set the word lines' voltage; below the transistors' threshold no cell conducts."""
        self._gate_open = code * V_GATE / GATE_CODE_MAX > GATE_THRESHOLD

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        """One VMM: a pass over inputs laid out first, or around the library's product."""
        x, n = self._inputs(codes, window, unfold, transposed)
        rows, cols = slice(*window.rows), slice(*window.cols)
        g = self.state["g"].reshape(self._shape)[list(window.tiles), rows, cols]
        if transposed:
            g = g.transpose(0, 2, 1)
        out = np.empty((len(window.tiles), n, g.shape[2]), np.uint8)
        # by the window alone: a cut batch must take the same way
        narrow = g.shape[1] * g.shape[2] <= NARROW
        if not narrow:
            power = self._scratch("power", (len(window.tiles), n))
            front_end.sum_of_squares(x[:, :, :n], power)
            analog = self._scratch("analog", (len(window.tiles), x.shape[2], g.shape[2]))
            np.matmul(x.transpose(0, 2, 1), g, out=analog)
        vectors = self.state["vectors"][int(transposed)]
        first = window.rows[0] if transposed else window.cols[0]
        span = slice(first, first + g.shape[2])
        on = np.float32(self._gate_open)
        stream = int(Stream.VMM_TRANSPOSED if transposed else Stream.VMM)
        for k, tile in enumerate(window.tiles):
            scale = on * np.float32(self._v_read / self._i_vmm[tile])
            rest = (
                scale,
                scale * np.float32(self._device.sigma_read),
                self._gain[transposed][tile, span],
                self._offset[transposed][tile, span],
                tile,
                vectors[tile],
                first,
                stream,
                self._key,
                np.float32(255),
                out[k],
            )
            if narrow:
                front_end.narrow_product(x[k, :, :n], g[k], *rest)
            else:
                front_end.digitise(analog[k, :n], power[k], *rest)
            vectors[tile] += np.uint64(n)
        return out

    def _inputs(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> tuple[NDArray[np.float32], int]:
        """Codes as numbers, (tiles, driven, n), and n; the library's product gets at least two."""
        driven = window.n_cols if transposed else window.n_rows
        if unfold is None:
            n = codes.shape[1]
        else:
            size = unfold.output(codes.shape[2], codes.shape[3])
            n = codes.shape[0] * size[0] * size[1]
        # At least two vectors: for one the library takes another routine, whose sums round
        # differently, and a cut batch would not give the same bits.
        x = self._scratch("x", (len(window.tiles), driven, max(n, 2)))
        x[:, :, n:] = 0
        if unfold is None:
            x[:, :, :n] = codes.transpose(0, 2, 1)
        else:
            front_end.unfolded_inputs(
                codes,
                unfold.kernel,
                unfold.stride,
                unfold.padding,
                unfold.dilation,
                size,
                x[:, :, :n],
            )
        return x, n

    def _scratch(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Working memory kept from call to call: fresh pages cost more than the work on them."""
        size = int(np.prod(shape))
        kept = self._kept.get(name)
        if kept is None or kept.size < size:
            kept = self._kept[name] = np.empty(size, np.float32)
        return kept[:size].reshape(shape)

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Read cells one by one through their columns' converters."""
        sums = np.empty(cells.size, np.uint16)
        clipped = np.empty(cells.size, np.bool_)
        scale = np.float32(self._gate_open * code * self._v_read / self._i_read)
        front_end.read_cells(
            self.state["g"],
            cells,
            self.state["reads"],
            self._shape[1:],
            scale,
            scale * np.float32(self._device.sigma_read),
            self._gain[0],
            self._offset[0],
            averages,
            int(Stream.READ),
            self._key,
            np.float32(255),
            sums,
            clipped,
        )
        return sums, clipped

    def pulse(
        self, cells: Addresses, codes: NDArray[np.int16], ticks: int, counts: NDArray[np.uint16]
    ) -> None:
        """Pulse cells, one pulse after another; stuck cells and closed gates do not move."""
        if not self._gate_open:
            return
        g, pulses = self.state["g"], self.state["pulses"]
        v = codes * np.float32(V_PULSE / PULSE_CODE_MAX)
        left = counts
        while cells.size:
            alive = self._alive[cells]
            moved = cells if alive.all() else cells[alive]
            draws = CellDraws(self._key, Stream.PULSE, moved, pulses[moved])
            amplitude = v if alive.all() else v[alive]
            g[moved] = self._device.pulse(
                g[moved], self._traits[:, moved], amplitude, ticks * TICK, draws
            )
            pulses[cells] += np.uint32(1)
            if left.max() == 1:
                return
            more = left > 1
            cells, v, left = cells[more], v[more], left[more] - np.uint16(1)

    def run_job(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: NDArray[np.float64],
    ) -> JobResult:
        """Program cells to target (n,) A, as the protocol of that name does."""
        device = self._device
        if f"job:{name}" not in self._jobs or not isinstance(device, BulkRram):
            raise CapabilityError(f"this chip has no job {name!r}")
        ramp = Ramp.of(name, settings)
        state = self.state
        chip = Chip(
            g=state["g"],
            pulses=state["pulses"],
            reads=state["reads"],
            alive=self._alive,
            traits=self._traits,
            gain=self._gain[0],
            offset=self._offset[0],
            law=device.law(ticks(ramp.width, TICK) * TICK),
            key=self._key,
        )
        return program(ramp, chip, self._front(ramp), cells, target)

    def _front(self, ramp: Ramp) -> Front:
        """The converters' numbers for a job's reads and pulses."""
        code = int(dac_codes(ramp.v_read, self._v_read, 8))
        scale = np.float32(self._gate_open * code * self._v_read / self._i_read)
        return Front(
            codes_per_volt=PULSE_CODE_MAX / V_PULSE,
            volts_per_code=np.float32(V_PULSE / PULSE_CODE_MAX),
            scale=scale,
            sigma=scale * np.float32(self._device.sigma_read),
            top=np.float32(255),
            lsb=self._i_read / 255 / ramp.averages,
            rows=self._shape[1],
            cols=self._shape[2],
            powered=self._gate_open,
            averages=ramp.averages,
            pulse_stream=int(Stream.PULSE),
            read_stream=int(Stream.READ),
        )

    def relax(self, seconds: float) -> None:
        """Let the whole array rest: retention and drift, on whatever clock the caller keeps."""
        g = self.state["g"]
        cells = np.arange(g.size, dtype=np.int64)
        rests, rested, age = (self.state[name] for name in ("rests", "rested", "age"))
        draws = CellDraws(self._key, Stream.RELAX, cells, np.broadcast_to(rests, g.shape))
        rest(self._device, g, self._traits, rested, age, seconds, draws)
        g[:] = np.where(self._alive, rested, g)
        rests += np.uint32(1)

    def ground(self) -> None:
        """Lines are driven only within a verb; nothing is left at a voltage."""
