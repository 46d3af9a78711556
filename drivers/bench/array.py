"""A CimArray made of instruments: an SMU, a pulse generator and, beyond one cell, a matrix.

A pulser with a meter and a buffer (`PulseTrainer`: an SMU that pulses by itself) has whole trains.
With a bias source, a second SMU, the other lines stand at half the voltage of a pulse: cells of the
selected row and column see V/2, all others 0. It stands from before the pulse until after it, which
with instruments is milliseconds, so V/2 must be a voltage at which nothing moves. Sweeps and trains
go through many levels, which it could not follow: during sweeps the other lines float, and a bench
with a bias has no trains.

Cells are visited one after another, because a bench has one meter. Relays switch cold: sources are
off while crosspoints move. Every read runs under the compliance `converters.i_read`, which is
also where a reading counts as saturated; the pulse generator itself refuses levels beyond the
limits. Whatever a verb ends with, result or exception, it leaves sources off and lines grounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal, cast

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
    Trace,
    Window,
)
from cimlab.core.clock import RestingClock
from cimlab.core.errors import CapabilityError, ConfigError, InstrumentError, LimitError
from cimlab.core.software_vmm import product_of_reads
from cimlab.drivers.bench.checks import check_levels, check_pulses, check_read, within
from cimlab.drivers.bench.clock import BenchClock
from cimlab.drivers.bench.wiring import Source, Wiring
from cimlab.drivers.instruments import (
    PulseGenerator,
    Samples,
    SourceMeter,
    SwitchMatrix,
)
from cimlab.drivers.instruments.roles import PulseTrainer, SweepMeter

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
        bias: Holds the lines that are not selected at half the voltage of a pulse.
        clock: Time of emulated cells; that of this machine if None.

    Raises:
        ConfigError: The wiring does not fit the matrix, or names a bias that there is not.
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
        bias: SourceMeter | None = None,
        clock: BenchClock | None = None,
    ) -> None:
        self._smu, self._pulser, self._matrix = smu, pulser, matrix
        self._bias, self._time = bias, clock
        if clock is not None:
            self._clock = RestingClock(clock.rest)
        self._wiring = wiring if wiring is not None and matrix is not None else Wiring()
        if matrix is not None:
            self._wiring.check(matrix)
        if (bias is None) != (self._wiring.bias is None):
            raise ConfigError("a bias source needs its matrix input in the wiring, and vice versa")
        self._usable = self._wiring.usable
        limits = within(limits or Limits(), smu, pulser)
        parts = [part.identity for part in (smu, pulser, matrix, bias) if part is not None]
        can = {"sweep": hasattr(smu, "sweep"), "rest": clock is not None}
        can["train"] = bias is None and hasattr(pulser, "train")
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
            capabilities=frozenset(word for word in can if can[word]),
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
        check_read(self._spec.limits, v)
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
        check_pulses(self._spec.limits, volts[wanted], width)
        self._check_cells(asked[wanted])
        with self._grounded_at_the_end():
            for k in wanted:
                self._select(int(asked[k]), "pulser")
                with self._others_at(float(volts[k]) / 2):
                    self._burst(float(volts[k]), width, int(counts[k]))

    def _check_cells(self, cells: Addresses) -> None:
        bad = cells[~self._usable[cells]]
        if bad.size:
            raise LimitError(f"cells {bad.tolist()} are on lines that the wiring marks bad")

    @contextlib.contextmanager
    def _others_at(self, v: float) -> Iterator[None]:
        """Hold the lines that are not selected at v volts, if there is a bias source."""
        if self._bias is None:
            yield
            return
        lines = len(self._wiring.rows) + len(self._wiring.cols)
        try:
            self._bias.apply(v, lines * self._converters.i_read)
            if self._bias.measure().limited.any():
                raise InstrumentError(f"bias of {v:g} V", "compliance: it cannot hold the lines")
            yield
        finally:
            self._bias.off()

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

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """See CimArray."""
        if "sweep" not in self._spec.capabilities:
            return super().sweep(v, i_comp, dwell, cells)
        check_levels(self._spec.limits, v)
        self._check_cells(cells)
        smu, levels = cast(SweepMeter, self._smu), np.asarray(v, np.float64)
        return self._trace(cells, v.size, "smu", lambda: smu.sweep(levels, i_comp, dwell))

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """See CimArray."""
        if "train" not in self._spec.capabilities:
            return super().train(v, width, v_read, cells, averages)
        check_pulses(self._spec.limits, v, width)
        check_read(self._spec.limits, v_read)
        self._check_cells(cells)
        pulser, levels = cast(PulseTrainer, self._pulser), np.asarray(v, np.float64)
        widths = np.broadcast_to(np.asarray(width, np.float64), v.shape)
        return self._trace(
            cells, v.size, "pulser", lambda: pulser.train(levels, widths, v_read, averages)
        )

    def _trace(
        self, cells: Addresses, points: int, source: Source, run: Callable[[], Samples]
    ) -> Trace:
        """So many points of each cell in turn, each the mean of as many samples as there are."""
        current = np.empty((points, cells.size))
        limited = np.empty((points, cells.size), np.bool_)
        with self._grounded_at_the_end():
            for k, cell in enumerate(cells):
                self._select(int(cell), source)
                samples = run()
                current[:, k] = samples.i.reshape(points, -1).mean(axis=1)
                limited[:, k] = samples.limited.reshape(points, -1).any(axis=1)
        return Trace(current, limited, cells)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray; the cells of the window are read once, the products are sums in software.

        A cell on a bad line carries no current.
        """
        return product_of_reads(self, v, window)

    def ground(self) -> None:
        """Sources off, then every line to ground; all of it is tried whatever fails."""
        with contextlib.ExitStack() as steps:
            if self._matrix is not None:
                steps.callback(self._matrix.connect, self._wiring.grounded())
            if self._bias is not None:
                steps.callback(self._bias.off)
            steps.callback(self._pulser.off)
            steps.callback(self._smu.off)

    def close(self) -> None:
        """Ground, then close every instrument, whatever fails."""
        with contextlib.ExitStack() as steps:
            if self._matrix is not None:
                steps.callback(self._matrix.close)
            if self._time is not None:
                steps.callback(self._time.close)
            if self._bias is not None:
                steps.callback(self._bias.close)
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
