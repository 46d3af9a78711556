"""Watching an array: every verb becomes an event, and the host's own count of pulses.

`Tapped` wraps any CimArray and hands an event to one sink for each verb that succeeded. A verb
that raised emits nothing: whether its pulses happened is for the audit to tell
(`Ledger.differs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    CimArray,
    Converters,
    Floats,
    JobResult,
    Mask,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Trace,
    Unfold,
    Window,
)
from .clock import Clock, RealClock
from .events import (
    CellsRead,
    Configured,
    Event,
    Grounded,
    JobRun,
    Multiplied,
    Pulsed,
    Sink,
    Swept,
    Trained,
)


class Tapped(ArrayBase):
    """An array whose verbs are announced to a sink.

    Args:
        array: What does the work; closed with this wrapper.
        sink: Called once after each verb, in the caller's thread.
        clock: Source of the events' times.
        products: Whether VMMs are announced too: far the most of a training's verbs.
    """

    def __init__(
        self, array: CimArray, sink: Sink, clock: Clock | None = None, products: bool = True
    ) -> None:
        self._array = array
        self._products = products
        self.checks_inputs = array.checks_inputs
        self._sink = sink
        self._now = (clock or RealClock()).now

    @property
    def spec(self) -> ArraySpec:
        """What the wrapped array is."""
        return self._array.spec

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._array.converters

    @property
    def clock(self) -> Clock:
        """The time of the cells; events carry the tap's own."""
        return self._array.clock

    def configure(self, converters: Converters) -> None:
        """See CimArray; emits Configured."""
        start = self._now()
        self._array.configure(converters)
        self._sink(Configured(start, self._now() - start, converters))

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray; emits CellsRead."""
        start = self._now()
        reading = self._array.read(v, cells, averages)
        self._sink(CellsRead(start, self._now() - start, reading, averages))
        return reading

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray; emits Pulsed."""
        start = self._now()
        self._array.pulse(v, width, count, cells)
        self._sink(Pulsed(start, self._now() - start, v, width, count, cells))

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """See CimArray; emits one Pulsed with the reading."""
        start = self._now()
        reading = self._array.pulse_and_read(v, width, v_read, cells, count, averages)
        self._sink(Pulsed(start, self._now() - start, v, width, count, cells, reading))
        return reading

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray; emits Multiplied."""
        if not self._products:
            return self._array.vmm(v, window)
        start = self._now()
        product = self._array.vmm(v, window)
        self._sink(_multiplied(start, self._now(), "vmm", window, product))
        return product

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """See CimArray; emits Multiplied."""
        if not self._products:
            return self._array.vmm_unfolded(v, unfold, window)
        start = self._now()
        product = self._array.vmm_unfolded(v, unfold, window)
        self._sink(_multiplied(start, self._now(), "vmm_unfolded", window, product))
        return product

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """See CimArray; emits one Multiplied for each window."""
        if not self._products:
            return self._array.vmm_pairs(x, volts, sums, unfold)
        start = self._now()
        product = self._array.vmm_pairs(x, volts, sums, unfold)
        seconds = (self._now() - start) / len(sums)
        vectors, tile = product.values.size // product.values.shape[1], 0
        for k, part in enumerate(sums):
            window, end = part.window, tile + len(part.window.tiles)
            self._sink(
                Multiplied(
                    start + k * seconds,
                    seconds,
                    "vmm_pairs",
                    window,
                    vectors=vectors,
                    conversions=2 * vectors * int(np.count_nonzero(part.targets >= 0)),
                    saturated=int(product.clipped[tile:end].sum()),
                )
            )
            tile = end
        return product

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray; emits Multiplied."""
        if not self._products:
            return self._array.vmm_transposed(v, window)
        start = self._now()
        product = self._array.vmm_transposed(v, window)
        self._sink(_multiplied(start, self._now(), "vmm_transposed", window, product))
        return product

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """See CimArray; emits Swept."""
        start = self._now()
        trace = self._array.sweep(v, i_comp, dwell, cells)
        self._sink(Swept(start, self._now() - start, v, i_comp, dwell, trace))
        return trace

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """See CimArray; emits Trained."""
        start = self._now()
        trace = self._array.train(v, width, v_read, cells, averages)
        self._sink(Trained(start, self._now() - start, v, width, v_read, averages, trace))
        return trace

    def counters(self) -> NDArray[np.uint32]:
        """See CimArray; no event, nothing happens to the cells."""
        return self._array.counters()

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """See CimArray; emits JobRun."""
        start = self._now()
        result = self._array.run_job(name, settings, cells, target)
        self._sink(JobRun(start, self._now() - start, name, settings, cells, result))
        return result

    def run_job_and_read(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: Floats,
        v_read: float,
        averages: int = 1,
    ) -> tuple[JobResult, Reading]:
        """See CimArray; emits JobRun and CellsRead, each as long as both took."""
        start = self._now()
        result, reading = self._array.run_job_and_read(
            name, settings, cells, target, v_read, averages
        )
        seconds = self._now() - start
        self._sink(JobRun(start, seconds, name, settings, cells, result))
        self._sink(CellsRead(start, seconds, reading, averages))
        return result, reading

    def meanwhile(self, work: Callable[[], None]) -> None:
        """See CimArray."""
        self._array.meanwhile(work)

    def ground(self) -> None:
        """See CimArray; emits Grounded."""
        start = self._now()
        self._array.ground()
        self._sink(Grounded(start, self._now() - start))

    def close(self) -> None:
        """Close the wrapped array."""
        self._array.close()


def _multiplied(
    start: float,
    end: float,
    verb: Literal["vmm", "vmm_unfolded", "vmm_transposed"],
    window: Window | None,
    product: Product,
) -> Multiplied:
    return Multiplied(
        start,
        end - start,
        verb,
        window,
        vectors=product.current.shape[1],
        conversions=product.current.size,
        saturated=int(np.count_nonzero(product.saturated)),
    )


class Ledger:
    """A sink: the host's exact count of the pulses each cell received, and of its reads.

    Args:
        spec: The array's.
        start: Counts to begin with, (tiles, rows, cols): `array.counters()` where the array has
            been pulsed before; zeros if None.

    Attributes:
        pulses: (tiles, rows, cols) uint32, wrapping around like the board's counters.
        reads: (tiles, rows, cols) uint32, how often each cell was read, however many conversions
            were averaged. An on-board job does not tell: one verify read a pulse is counted.
            Every point of a sweep is a read, and beyond the limit of reads a pulse too.
    """

    def __init__(self, spec: ArraySpec, start: NDArray[np.uint32] | None = None) -> None:
        self.pulses = np.zeros(spec.shape, np.uint32) if start is None else start.copy()
        self.reads = np.zeros(spec.shape, np.uint32)
        self._pulses, self._reads = self.pulses.reshape(-1), self.reads.reshape(-1)
        self._v_read = spec.limits.v_read

    def __call__(self, event: Event) -> None:
        """Count the event's pulses and reads."""
        match event:
            case CellsRead(reading=reading):
                self._count_read(reading)
            case Pulsed(v=v, count=count, cells=cells, reading=reading):
                if cells is None:
                    self.pulses += _pulses(v, count)
                else:
                    self._pulses[cells] += _pulses(v, count)
                if reading is not None:
                    self._count_read(reading)
            case Swept(v=v, trace=trace):
                self._count_trace(trace, np.abs(v) > self._v_read)
            case Trained(v=v, trace=trace):
                self._count_trace(trace, v != 0)
            case JobRun(cells=cells, result=result):
                pulses = result.pulses.astype(np.uint32)
                self._pulses[cells] += pulses
                self._reads[cells] += pulses

    def _count_read(self, reading: Reading) -> None:
        where = slice(None) if reading.cells is None else reading.cells
        self._reads[where] += np.uint32(1)

    def _count_trace(self, trace: Trace, pulses: Mask) -> None:
        self._pulses[trace.cells] += np.uint32(np.count_nonzero(pulses))
        self._reads[trace.cells] += np.uint32(pulses.size)

    def differs(self, counters: NDArray[np.uint32]) -> Addresses:
        """Audit: addresses of the cells for which `array.counters()` says something else, (n,)."""
        return np.flatnonzero(self.pulses != counters).astype(np.int64)


def _pulses(v: ArrayLike, count: ArrayLike) -> NDArray[np.uint32]:
    """Pulses a cell: its count, or none where its voltage is 0."""
    return np.where(np.not_equal(v, 0), count, 0).astype(np.uint32)
