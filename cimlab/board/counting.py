"""A HAL that counts pulses, refuses what the devices do not stand, and survives a grounding.

Limits are compared in codes and ticks, rounded to the nearest as requests are: a request for just
the limit is allowed, one code more is not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import (
    Addresses,
    Floats,
    JobResult,
    Limits,
    PairProduct,
    PairSum,
    Product,
    Unfold,
    Window,
)
from cimlab.core.errors import BoardError, CapabilityError, ConfigError, LimitError
from cimlab.core.pairs import Part
from cimlab.wire import scaling
from cimlab.wire.status import Status
from cimlab.wire.verbs import AVERAGES_MAX

from .hal import BoardHal, Codes8, FloatHal, HalInfo, JobHal, PairHal, RestingHal

CODE8_MAX = 255
"""The most that a code's field can hold."""


class CountingHal:
    """BoardHal on a BoardHal; everything that reaches the hardware passes here, in codes.

    Args:
        hal: The hardware.
        counts: Where pulses are counted, uint32, one a cell in order of address, any shape; used
            in place, so it may live in a file. New zeros if None.

    Attributes:
        takes_floats: Whether `vmm` and `vmm_pairs` work: the hardware does, and all of its DAC may
            be used.
    """

    def __init__(self, hal: BoardHal, counts: NDArray[np.uint32] | None = None) -> None:
        info = hal.info
        self._hal = hal
        self._info = info
        self._size = info.tiles * info.rows * info.cols
        self._counts = np.zeros(self._size, np.uint32) if counts is None else counts.reshape(-1)
        if self._counts.size != self._size or (
            counts is not None and not np.shares_memory(self._counts, counts)
        ):
            raise ValueError("counts must be contiguous, with one entry a cell")
        self._top = (1 << info.dac_bits) - 1
        self._v_read = info.defaults.v_read
        self._gate = 0
        self._grounded = True
        # looked up once: asking whether an object fits a protocol takes as long as a small product
        self._float_hal = hal if isinstance(hal, FloatHal) else None
        self._pair_hal = hal if isinstance(hal, PairHal) else None
        self._look()

    @property
    def info(self) -> HalInfo:
        """The hardware's, with the limits in force."""
        return self._info

    @property
    def limits(self) -> Limits:
        """What is refused beyond; may be replaced by tighter ones."""
        return self._info.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._info = dataclasses.replace(self._info, limits=limits)
        self._look()

    @property
    def counts(self) -> NDArray[np.uint32]:
        """Pulses each cell has received, (cells,); the array itself."""
        return self._counts

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        """See BoardHal; LimitError beyond the limits."""
        # comparisons are written so that NaN fails them
        if not 0 < v_read <= self.limits.v_read:
            raise LimitError(f"v_read {v_read} V is not in 0 .. {self.limits.v_read} V")
        if not all(0 < i < np.inf for i in (i_read, *i_vmm)):
            raise LimitError("ADC full scales must be positive")
        self._hal.configure(v_read, i_read, i_vmm)
        self._v_read = v_read
        self._look()

    def _look(self) -> None:
        """After a change of limits or ranges: what was found with the old ones holds no more."""
        # the last job that was found harmless
        self._passed: tuple[str, dict[str, float]] | None = None
        # kept, because asking costs a share of a small product
        self.takes_floats = self._float_hal is not None and self._v_read <= self.limits.v_read

    def gate(self, code: int) -> None:
        """See BoardHal."""
        if not 0 <= code <= scaling.GATE_CODE_MAX:
            raise LimitError(f"gate code {code} is not in 0 .. {scaling.GATE_CODE_MAX}")
        self._gate = code
        self._hal.gate(code)
        self._grounded = False

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        """See BoardHal."""
        self._check_inputs(codes)
        return self._hal.convert(codes, window, unfold, transposed)

    def convert_pairs(
        self,
        codes: Codes8,
        parts: Sequence[Part],
        unfold: Unfold | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """See PairHal; works with any hardware."""
        self._check_inputs(codes)
        if self._pair_hal is not None:
            return self._pair_hal.convert_pairs(codes, parts, unfold)
        return scaling.pairs_by_columns(
            codes,
            parts,
            unfold,
            self._info.adc_bits,
            lambda codes, window, unfold: self._hal.convert(codes, window, unfold, False),
        )

    def vmm(self, v: Floats, window: Window, unfold: Unfold | None, transposed: bool) -> Product:
        """See FloatHal; only if `takes_floats`."""
        if self._grounded:
            self._power()
        assert self._float_hal is not None  # noqa: S101 - takes_floats said so
        return self._float_hal.vmm(v, window, unfold, transposed)

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None
    ) -> PairProduct:
        """See FloatHal; only if `takes_floats`."""
        if self._grounded:
            self._power()
        assert self._float_hal is not None  # noqa: S101 - takes_floats said so
        return self._float_hal.vmm_pairs(x, volts, sums, unfold)

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """See BoardHal."""
        self.check_read(code, averages)
        self._check_cells(cells)
        self._power()
        return self._hal.read(code, cells, averages)

    def pulse(
        self, cells: Addresses, codes: NDArray[np.int16], ticks: int, counts: NDArray[np.uint16]
    ) -> None:
        """See BoardHal; cells whose code or count is 0 are neither touched nor counted."""
        self.check_pulse(codes, ticks, counts)
        self._check_cells(cells)
        hit = (codes != 0) & (counts != 0)
        if not hit.all():
            cells, codes, counts = cells[hit], codes[hit], counts[hit]
        if not cells.size:
            return
        self._power()
        # counted first: a pulse that the hardware breaks off may have happened
        self._counts[cells] += counts
        self._hal.pulse(cells, codes, ticks, counts)

    def run_job(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: NDArray[np.float32],
    ) -> JobResult:
        """See JobHal; the ends of the ramps are held to the limits before the first pulse."""
        self._check_cells(cells)
        if (name, settings) != self._passed:
            self._check_job(name, settings)
            self._passed = (name, dict(settings))
        self._power()
        done = cast(JobHal, self._hal).run_job(name, settings, cells, target)
        self._counts[cells] += done.pulses.astype(np.uint32)
        return done

    def relax(self, seconds: float) -> None:
        """See RestingHal."""
        if "rest" not in self._info.capabilities:
            raise CapabilityError("these cells age in real time (capability 'rest')")
        if not 0 <= seconds < np.inf:
            raise LimitError(f"cells cannot rest for {seconds} s")
        cast(RestingHal, self._hal).relax(seconds)

    def _check_job(self, name: str, settings: Mapping[str, float]) -> None:
        info = self._info
        try:
            ends = np.array([settings["set_stop"], -settings["reset_stop"]])
            width, v_read = settings["width"], settings["v_read"]
            averages = int(settings["averages"])
        except KeyError as error:
            raise ConfigError(f"job {name} needs the setting {error}") from error
        once = np.ones(2, np.uint16)
        self.check_pulse(
            scaling.pulse_codes(ends, info.v_pulse), scaling.ticks(width, info.tick), once
        )
        self.check_read(int(scaling.dac_codes(v_read, self._v_read, info.dac_bits)), averages)

    def check_read(self, code: int, averages: int) -> None:
        """Refuse a read beyond the limits with LimitError."""
        if not 1 <= averages <= AVERAGES_MAX:
            raise LimitError(f"{averages} averages are not in 1 .. {AVERAGES_MAX}")
        if code < 1:
            raise LimitError("a read needs a voltage above 0 V")
        self._check_code(code)

    def check_pulse(self, codes: NDArray[np.int16], ticks: int, counts: NDArray[np.uint16]) -> None:
        """Refuse a pulse beyond the limits with LimitError."""
        limits, info = self.limits, self._info
        if (
            not _nearest(limits.width_min, info.tick)
            <= ticks
            <= _nearest(limits.width_max, info.tick)
        ):
            raise LimitError(
                f"width {ticks * info.tick:g} s is not in "
                f"{limits.width_min:g} .. {limits.width_max:g} s"
            )
        if not codes.size:
            return
        lsb = info.v_pulse / scaling.PULSE_CODE_MAX
        low, high = int(codes.min()), int(codes.max())
        if max(high, -low) > scaling.PULSE_CODE_MAX:
            raise LimitError(f"pulse codes go to +-{scaling.PULSE_CODE_MAX}")
        if high > _nearest(limits.v_set, lsb) or -low > _nearest(limits.v_reset, lsb):
            raise LimitError(
                f"amplitudes {low * lsb:.4g} .. {high * lsb:.4g} V are not in "
                f"{-limits.v_reset} .. {limits.v_set} V"
            )
        if counts.max() > limits.count_max:
            raise LimitError(f"{counts.max()} pulses are more than {limits.count_max} in one call")

    def ground(self) -> None:
        """Every line at 0 V; the next verb sets the gate voltage again."""
        self._grounded = True
        self._hal.ground()

    def _power(self) -> None:
        if self._grounded:
            self._hal.gate(self._gate)
            self._grounded = False

    def _check_inputs(self, codes: Codes8) -> None:
        if codes.size and self._code_max() < CODE8_MAX:
            self._check_code(int(codes.max()))
        self._power()

    def _code_max(self) -> int:
        if self._v_read <= self.limits.v_read:  # asked first: it may be as small as floats get
            return self._top
        return _nearest(self.limits.v_read, self._v_read / self._top)

    def _check_code(self, code: int) -> None:
        if code > self._code_max():
            raise LimitError(
                f"DAC code {code} ({scaling.dac_volts(code, self._v_read, self._info.dac_bits):.4g}"
                f" V) is beyond {self.limits.v_read} V or code {self._top}"
            )

    def _check_cells(self, cells: Addresses) -> None:
        if cells.size and not (cells.item(0) >= 0 and cells.item(-1) < self._size):
            raise BoardError(Status.ADDRESS, f"this array has cells 0 .. {self._size - 1}")


def _nearest(limit: float, unit: float) -> int:
    """A limit in codes: what a host gets that asks for just the limit."""
    return round(limit / unit)


def check_vmm(
    shape: tuple[int, ...], window: Window, unfold: Unfold | None, transposed: bool, info: HalInfo
) -> None:
    """Refuse a VMM that the array cannot do.

    Args:
        shape: Of the input codes: (tiles, vectors, driven), (vectors, inputs) or a map.
        window: Where.
        unfold: How the map is cut, or None.
        transposed: Drive columns, read rows.
        info: Of the hardware.

    Raises:
        CapabilityError: Unfolding or transposing on hardware that does not.
        BoardError: Tiles, rows, columns or channels that there are not.
    """
    for wanted, word in ((unfold is not None, "unfold"), (transposed, "transpose")):
        if wanted and word not in info.capabilities:
            raise CapabilityError(f"this hardware lacks the capability {word!r}")
    tiles = window.tiles
    ascending = all(a < b for a, b in pairwise(tiles))
    if not ascending or tiles[-1] >= info.tiles:
        raise BoardError(Status.ADDRESS, f"tiles {tiles}, of {info.tiles}, must ascend")
    if window.rows[1] > info.rows or window.cols[1] > info.cols:
        raise BoardError(Status.ADDRESS, f"a tile has {info.rows} rows and {info.cols} columns")
    if unfold is not None or len(shape) == 2:
        taps, channels = (math.prod(unfold.kernel) if unfold else 1), shape[1]
        per_tile, rest = divmod(window.n_rows, taps)
        if rest or not (len(tiles) - 1) * per_tile < channels <= len(tiles) * per_tile:
            raise BoardError(
                Status.ADDRESS, f"{channels} channels of {taps} taps do not fit {window}"
            )
