"""A HAL as a CimArray: volts in, codes to the HAL, amperes out.

On the board it lets a job be the same protocol code that runs on the host; on the host it makes
`model:`, the physics without a wire. Pulses are counted, and limits held, by the
`cimlab.board.counting.CountingHal` in between.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    JobResult,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Unfold,
    Window,
)
from cimlab.core.clock import RestingClock
from cimlab.core.errors import CapabilityError, ConfigError
from cimlab.wire import scaling

from .counting import CountingHal
from .hal import BoardHal


class HalArray(ArrayBase):
    """CimArray over a BoardHal.

    Args:
        hal: The hardware, counted already or not; its power-on defaults are applied.
    """

    checks_inputs = True

    def __init__(self, hal: BoardHal) -> None:
        info = hal.info
        self._hal = hal if isinstance(hal, CountingHal) else CountingHal(hal)
        self._info = info
        self._spec = ArraySpec(
            tiles=info.tiles,
            rows=info.rows,
            cols=info.cols,
            dac_bits=info.dac_bits,
            adc_bits=info.adc_bits,
            limits=info.limits,
            vmm="analog",
            origin=info.origin,
            identity=info.identity,
            capabilities=info.capabilities | {"counters"},
        )
        if "rest" in info.capabilities:
            self._clock = RestingClock(self._hal.relax)
        self._whole = Window.whole(self._spec)
        self.configure(info.defaults)

    @property
    def spec(self) -> ArraySpec:
        """What the hardware is."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._converters

    @functools.cached_property
    def _all(self) -> Addresses:
        """Every cell; made when first wanted, because it is twice the size of the chip's map."""
        return np.arange(self._spec.size, dtype=np.int64)

    def configure(self, converters: Converters) -> None:
        """Apply converter settings."""
        if len(converters.i_vmm) != self._spec.tiles:
            raise ConfigError(
                f"i_vmm needs one ADC full scale a tile: {self._spec.tiles}, "
                f"not {len(converters.i_vmm)}"
            )
        self._hal.gate(scaling.gate_code(converters.v_gate, self._info.v_gate))
        self._hal.configure(converters.v_read, converters.i_read, converters.i_vmm)
        self._converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """Read single cells; the voltage is rounded to the DAC's code and reported as applied."""
        settings, bits = self._converters, self._spec.dac_bits
        code = int(scaling.dac_codes(v, settings.v_read, bits))
        sums, clipped = self._hal.read(code, self._all if cells is None else cells, averages)
        current = scaling.cell_currents(sums, settings.i_read, averages, self._spec.adc_bits)
        if cells is None:
            current = current.reshape(self._spec.shape)
            clipped = clipped.reshape(self._spec.shape)
        return Reading(current, scaling.dac_volts(code, settings.v_read, bits), clipped, cells)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """Apply pulses; cells whose amplitude or count is zero are left alone."""
        addresses = self._all if cells is None else cells
        shape = self._spec.shape if cells is None else cells.shape
        codes = np.broadcast_to(scaling.pulse_codes(v, self._info.v_pulse), shape).reshape(-1)
        counts = np.broadcast_to(scaling.pulse_counts(count), shape).reshape(-1)
        hit = (codes != 0) & (counts != 0)
        if not hit.all():
            addresses, codes, counts = addresses[hit], codes[hit], counts[hit]
        if addresses.size:
            self._hal.pulse(
                addresses,
                np.ascontiguousarray(codes),
                scaling.ticks(width, self._info.tick),
                np.ascontiguousarray(counts),
            )

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """Pulse the cells, then read them all."""
        self.pulse(v, width, count, cells)
        return self.read(v_read, cells, averages)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """Multiply vectors of voltages by the window's conductances."""
        return self._convert(v, window or self._whole, None, transposed=False)

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """Multiply an unfolded feature map."""
        if "unfold" not in self._spec.capabilities:
            raise CapabilityError("this hardware cannot unfold feature maps")
        return self._convert(v, window, unfold, transposed=False)

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """Drive the window's columns, read its rows."""
        if "transpose" not in self._spec.capabilities:
            raise CapabilityError("this hardware has no transposed VMM")
        return self._convert(v, window or self._whole, None, transposed=True)

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """Multiply, and add up the pairs."""
        if self._hal.takes_floats:
            return self._hal.vmm_pairs(x, volts, sums, unfold)
        settings, spec = self._converters, self._spec
        return scaling.pair_product(x, volts, sums, unfold, settings, spec, self._hal.convert_pairs)

    def counters(self) -> NDArray[np.uint32]:
        """Pulses each cell has received, (tiles, rows, cols)."""
        return self._hal.counts.reshape(self._spec.shape).copy()

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """Run a programming protocol in the hardware itself."""
        if f"job:{name}" not in self._spec.capabilities:
            return super().run_job(name, settings, cells, target)
        return self._hal.run_job(name, settings, cells, np.asarray(target, np.float32))

    def _convert(
        self, v: Floats, window: Window, unfold: Unfold | None, *, transposed: bool
    ) -> Product:
        if self._hal.takes_floats:
            return self._hal.vmm(v, window, unfold, transposed)
        settings = self._converters
        codes = scaling.dac_codes(v, settings.v_read, self._spec.dac_bits)
        out = self._hal.convert(codes, window, unfold, transposed)
        return scaling.product(out, settings, window, self._spec.adc_bits)

    def ground(self) -> None:
        """Every line at 0 V."""
        self._hal.ground()

    def close(self) -> None:
        """Ground; a HAL is owned and closed by whoever made it."""
        self._hal.ground()
