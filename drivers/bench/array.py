"""A CimArray made of instruments: an SMU, a pulse generator and, beyond one cell, a matrix.

Cells are visited one after another, because a bench has one meter. Relays switch cold: sources are
off while crosspoints move. Every read runs under the compliance `converters.i_read`, which is
also where a reading counts as saturated; the pulse generator itself refuses levels beyond the
limits. Whatever a verb ends with, result or exception, it leaves sources off and lines grounded.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    Limits,
    Product,
    Reading,
    Window,
)
from cimlab.core.errors import CapabilityError, LimitError
from cimlab.drivers.bench.wiring import Source, Wiring
from cimlab.drivers.instruments import PulseGenerator, SourceMeter, SwitchMatrix

RESOLUTION = 16
"""Bits that are claimed for sources and meters: far beyond what a cell's noise leaves."""


class BenchArray(ArrayBase):
    """See the module. Closing it closes the instruments.

    Args:
        smu: Reads the cells.
        pulser: Programs them.
        matrix: Selects them; None for a single cell that both instruments hang on.
        wiring: What is plugged in where; ignored without a matrix.
        limits: What the devices stand.
        i_comp: Compliance of reads until `configure` says otherwise, A.
        origin: "measured", or "emulated" when the instruments are.

    Raises:
        ConfigError: The wiring does not fit the matrix.
    """

    def __init__(
        self,
        smu: SourceMeter,
        pulser: PulseGenerator,
        matrix: SwitchMatrix | None = None,
        wiring: Wiring | None = None,
        limits: Limits | None = None,
        i_comp: float = 100e-6,
        origin: Literal["measured", "emulated"] = "measured",
    ) -> None:
        self._smu, self._pulser, self._matrix = smu, pulser, matrix
        self._wiring = wiring if wiring is not None and matrix is not None else Wiring()
        if matrix is not None:
            self._wiring.check(matrix)
        self._usable = self._wiring.usable
        limits = _within(limits or Limits(), smu, pulser)
        parts = [part.identity for part in (smu, pulser, matrix) if part is not None]
        self._spec = ArraySpec(
            tiles=1,
            rows=len(self._wiring.rows),
            cols=len(self._wiring.cols),
            dac_bits=RESOLUTION,
            adc_bits=RESOLUTION,
            limits=limits,
            vmm="emulated",
            origin=origin,
            identity=" + ".join(parts),
        )
        self._converters = Converters(min(0.1, limits.v_read), 0.0, i_comp, (i_comp,))
        pulser.protect(-limits.v_reset, limits.v_set)
        self.ground()

    @property
    def spec(self) -> ArraySpec:
        """What this bench is."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """The settings in force; i_read is the compliance of reads."""
        return self._converters

    def configure(self, converters: Converters) -> None:
        """See CimArray; a bench drives no gate, so v_gate stays 0."""
        if converters.v_gate != 0:
            raise CapabilityError("this bench drives no word line: v_gate must be 0 V")
        self._converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray; NaN where a line is marked bad."""
        if abs(v) > self._spec.limits.v_read:
            raise LimitError(f"read voltage {v:g} V is beyond {self._spec.limits.v_read:g} V")
        asked = np.arange(self._spec.size, dtype=np.int64) if cells is None else cells
        with self._grounded_at_the_end():
            current, limited = self._visit(v, asked, averages)
        if cells is None:
            current, limited = current.reshape(self._spec.shape), limited.reshape(self._spec.shape)
        return Reading(current, v, limited, cells)

    def _visit(
        self, v: float, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Mean current of each cell and whether the compliance was in force, (n,)."""
        current = np.full(cells.size, np.nan)
        limited = np.zeros(cells.size, np.bool_)
        for k, cell in enumerate(cells):
            if self._usable[cell]:
                self._select(int(cell), "smu")
                self._smu.apply(v, self._converters.i_read)
                samples = self._smu.measure(averages)
                self._smu.off()
                current[k], limited[k] = samples.i.mean(), samples.limited.any()
        return current, limited

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray; LimitError when a cell on a bad line is to be pulsed."""
        shape = self._spec.shape if cells is None else cells.shape
        asked = np.arange(self._spec.size, dtype=np.int64) if cells is None else cells
        volts = np.broadcast_to(np.asarray(v, np.float64), shape).ravel()
        counts = np.broadcast_to(np.asarray(count, np.int64), shape).ravel()
        wanted = np.flatnonzero((volts != 0) & (counts > 0))
        self._check_pulses(volts[wanted], width, asked[wanted])
        with self._grounded_at_the_end():
            for k in wanted:
                self._select(int(asked[k]), "pulser")
                self._burst(float(volts[k]), width, int(counts[k]))

    def _check_pulses(self, volts: Floats, width: float, cells: Addresses) -> None:
        """Everything that can be refused is refused before the first relay moves."""
        limits = self._spec.limits
        if not np.all((volts >= -limits.v_reset) & (volts <= limits.v_set)):
            raise LimitError(f"pulses must lie within -{limits.v_reset:g} .. {limits.v_set:g} V")
        if not limits.width_min <= width <= limits.width_max:
            raise LimitError(
                f"pulse width {width:g} s is outside {limits.width_min:g} .. {limits.width_max:g} s"
            )
        bad = cells[~self._usable[cells]]
        if bad.size:
            raise LimitError(f"cells {bad.tolist()} are on lines that the wiring marks bad")

    def _burst(self, v: float, width: float, count: int) -> None:
        while count > 0:
            part = min(count, self._pulser.count_max)
            self._pulser.pulse(v, width, part)
            count -= part

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """See CimArray."""
        self.pulse(v, width, count, cells)
        return self.read(v_read, cells, averages)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray; the cells of the window are read once, the products are sums in software.

        A cell on a bad line carries no current.
        """
        window = window or Window.whole(self._spec)
        address = np.arange(self._spec.size, dtype=np.int64).reshape(self._spec.shape[1:])
        cells = address[slice(*window.rows), slice(*window.cols)]
        reading = self.read(self._converters.v_read, cells.ravel())
        g = np.nan_to_num(reading.g).reshape(cells.shape)
        saturated = reading.saturated.reshape(cells.shape).any(axis=0)
        current = (np.asarray(v, np.float64) @ g).astype(np.float32)
        return Product(current, np.broadcast_to(saturated, current.shape))

    def ground(self) -> None:
        """Sources off, then every line to ground; all of it is tried whatever fails."""
        with contextlib.ExitStack() as steps:
            if self._matrix is not None:
                steps.callback(self._matrix.connect, self._wiring.grounded())
            steps.callback(self._pulser.off)
            steps.callback(self._smu.off)

    def close(self) -> None:
        """Ground, then close every instrument, whatever fails."""
        with contextlib.ExitStack() as steps:
            if self._matrix is not None:
                steps.callback(self._matrix.close)
            steps.callback(self._pulser.close)
            steps.callback(self._smu.close)

    def _select(self, cell: int, source: Source) -> None:
        if self._matrix is not None:
            self._matrix.connect(self._wiring.select(cell, source))

    @contextlib.contextmanager
    def _grounded_at_the_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.ground()


def _within(limits: Limits, smu: SourceMeter, pulser: PulseGenerator) -> Limits:
    """The limits, as far as the instruments reach."""
    return dataclasses.replace(
        limits,
        v_set=min(limits.v_set, pulser.v_max),
        v_reset=min(limits.v_reset, pulser.v_max),
        v_read=min(limits.v_read, smu.v_max),
        width_min=max(limits.width_min, pulser.width_min),
    )
