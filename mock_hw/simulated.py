"""The chip in software: crossbars of device models behind converters, as a BoardHal.

It knows codes, pulses and physics; it never knows what the host wanted. All state is in a few
arrays (`state.state_layout`), so that it can live in a file and survive its process.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cimlab.board.hal import Codes8, HalInfo
from cimlab.core.array import (
    Addresses,
    Converters,
    Floats,
    JobResult,
    Limits,
    PairProduct,
    PairSum,
    Product,
    Unfold,
    Window,
)
from cimlab.core.errors import CapabilityError, LimitError
from cimlab.core.pairs import Part
from cimlab.mock_hw import born
from cimlab.mock_hw import converters as front_end
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices.base import Cells, DeviceModel, rest
from cimlab.mock_hw.devices.brram import BulkRram
from cimlab.mock_hw.multiplier import Multiplier, Side
from cimlab.mock_hw.philox import CellDraws, Stream, key_of
from cimlab.mock_hw.ramps import Chip, Front, Numbers, Ramp, numbers_of, program
from cimlab.mock_hw.state import State, new_state
from cimlab.wire.scaling import GATE_CODE_MAX, PULSE_CODE_MAX, dac_codes, ticks

V_PULSE = 3.3
V_GATE = 5.0
GATE_THRESHOLD = 0.7
TICK = 10e-9
SILENT = 1e-15
"""Read noise of cells that have none, S, where the converters' is stated in its units."""


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
        self.state: State = new_state(*self._shape) if state is None else state
        self._gate_open = False
        self._traits, self._alive = born.devices(device, self._key, self._flaws, self.state)
        self._sides = born.converters(self._key, self._flaws, self._shape)
        self._multiplier = Multiplier(self.conductances, self.state["vectors"])
        self._ones = np.ones(tiles)
        self.configure(0.1, 5e-6, (40e-6,) * tiles)

    @property
    def conductances(self) -> Cells:
        """The true conductances, (tiles, rows, cols) S: for tests and figures, not for hosts."""
        g: Cells = self.state["g"].reshape(self._shape)
        return g

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        """Set the converters' full scales."""
        self._v_read, self._i_read = v_read, i_read
        self._i_vmm = np.array(i_vmm)
        self._lsb = self._i_vmm / 255
        self._connect()

    def gate(self, code: int) -> None:
        """Set the word lines' voltage; below the transistors' threshold no cell conducts."""
        self._gate_open = code * V_GATE / GATE_CODE_MAX > GATE_THRESHOLD
        self._connect()

    def _connect(self) -> None:
        """What turns a product's sums into codes, for every converter."""
        # the job that `_job` is for: training asks for the same one again and again
        self._prepared: tuple[str, dict[str, float]] | None = None
        scale = np.float32(self._gate_open) * (self._v_read / self._i_vmm).astype(np.float32)
        # the converters' own noise, as so much more of squared input codes: both noises pass the
        # converter's gain, so their ratio is the same for all ranges
        sigma = self._device.sigma_read or SILENT
        floor = (255 * self._flaws.adc_noise / (self._v_read * sigma)) ** 2
        sides = []
        for side in self._sides:
            gain, keys = side.gain, side.keys
            # whole pairs: an odd last column gets a partner that nobody asks for
            front = np.zeros((len(scale), 4, 2 * keys.shape[2]), np.float32)
            slope = scale[:, None] * gain
            front[:, 0, : gain.shape[1]] = slope
            front[:, 1, : gain.shape[1]] = slope * np.float32(sigma)
            front[:, 2, : gain.shape[1]] = side.offset
            front[:, 3] = floor
            sides.append(Side(front, keys))
        self._multiplier.sides = (sides[0], sides[1])

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        """One VMM in codes."""
        out, _, _ = self._multiplier.currents(codes, 1.0, window, unfold, transposed, self._ones)
        return out.astype(np.uint8)

    def convert_pairs(
        self,
        codes: Codes8,
        parts: Sequence[Part],
        unfold: Unfold | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """See PairHal."""
        sums = [_apart(part) for part in parts]
        out, clipped = self._multiplier.pair_sums(codes, 1.0, sums, unfold, self._ones)
        return out.reshape(*out.shape[:2], -1).astype(np.int16), clipped

    def vmm(self, v: Floats, window: Window, unfold: Unfold | None, transposed: bool) -> Product:
        """One VMM in volts and amperes, with the bits that `convert` would give."""
        unit = 255 / self._v_read
        out, marks, wrong = self._multiplier.currents(
            v, unit, window, unfold, transposed, self._lsb
        )
        if wrong:
            raise LimitError(f"{wrong} VMM inputs are not in 0 .. {self._v_read} V")
        return Product(out, marks)

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None
    ) -> PairProduct:
        """With the bits that `convert_pairs` and `scaling.pair_product` would give."""
        unit = volts * 255 / self._v_read
        return PairProduct(*self._multiplier.pair_sums(x, unit, sums, unfold, self._lsb))

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Read cells one by one through their columns' converters."""
        sums = np.empty(cells.size, np.uint16)
        clipped = np.empty(cells.size, np.bool_)
        columns = self._sides[0]
        scale = np.float32(self._gate_open * code * self._v_read / self._i_read)
        front_end.read_cells(
            self.state["g"],
            cells,
            self.state["reads"],
            self._shape[1:],
            scale,
            scale * np.float32(self._device.sigma_read),
            columns.gain,
            columns.offset,
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
        target: NDArray[np.float32],
    ) -> JobResult:
        """Program cells to target (n,) A, as the protocol of that name does."""
        if (name, settings) != self._prepared:
            self._job = self._job_of(name, settings)
            self._prepared = (name, dict(settings))
        return program(*self._job, cells, target)

    def _job_of(self, name: str, settings: Mapping[str, float]) -> tuple[Chip, Numbers]:
        """What a programming job needs beside the cells."""
        device = self._device
        if f"job:{name}" not in self._jobs or not isinstance(device, BulkRram):
            raise CapabilityError(f"this chip has no job {name!r}")
        ramp = Ramp.of(name, settings)
        chip = Chip(
            g=self.state["g"],
            pulses=self.state["pulses"],
            reads=self.state["reads"],
            alive=self._alive,
            traits=self._traits.T,
            converters=np.stack([self._sides[0].gain, self._sides[0].offset]),
        )
        law = device.law(ticks(ramp.width, TICK) * TICK)
        return chip, numbers_of(ramp, self._front(ramp), law, self._key)

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


@functools.lru_cache(maxsize=256)
def _apart(part: Part) -> PairSum:
    """A sum that adds nothing up: every wanted pair of every tile is an output of its own."""
    targets = np.where(part.wanted, np.cumsum(part.wanted).reshape(part.wanted.shape) - 1, -1)
    scales = np.ones(len(targets), np.float32)
    constant = np.zeros(np.count_nonzero(part.wanted), np.float32)
    return PairSum(part.window, part.weights, scales, targets, constant)
