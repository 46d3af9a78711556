"""A CimArray on an ArC TWO board: 64 channels, wired as a crossbar of up to 32 x 32 cells.

Rows are the channels that pyarc2 calls bit lines (0-15, 32-47), columns its word lines (16-31,
48-63); a positive voltage is one from row to column. A pulse splits between both: the row goes to
+V/2, the column to -V/2 and all other channels stay at 0 V: every pulse has the V/2 scheme, other
cells of the row and of the column see half the voltage. Columns are read one after another, all
their rows at once, with every other line at 0 V: no sneak paths.

The board's command buffer is filled, executed and waited for pulse train by pulse train. Facts from
pyarc2 0.6 and libarc2 (`pulse_one`, `read_slice_masked`, `_adc_to_current`, `vidx!`).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

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
from cimlab.core.errors import CapabilityError, CimError, ConfigError, InstrumentError, LinkClosed
from cimlab.core.software_vmm import product_of_reads

ROWS = (*range(16), *range(32, 48))
COLS = (*range(16, 32), *range(48, 64))
ALL = np.arange(64, dtype=np.uint64)
NONE = np.arange(0, dtype=np.uint64)
V_MAX = 10.0
"""Reach of a channel, V; a cell gets no more, though two channels could do twice that."""
V_STEP = 3.05179e-4
"""Step of the DACs, V."""
TICK = 20e-9
"""Step of the pulse timers, s."""
WIDTH_MIN, WIDTH_MAX = 2 * TICK, 0.4
"""Of the high-speed drivers, s; longer pulses come from others, whose edges are slow."""
FULL_SCALE = 10.24 / 830
"""Largest current of the least sensitive range, A."""


class Arc2Array(ArrayBase):
    """See the module.

    Args:
        pyarc2: The library.
        arc: Its Instrument; grounded and given up on closing.
        rows, cols: Lines that are wired, the first ones of ROWS and COLS.
        identity: What the board is.
        limits: What the devices stand.
    """

    def __init__(
        self,
        pyarc2: Any,
        arc: Any,
        rows: int = 32,
        cols: int = 32,
        identity: str = "ArC TWO",
        limits: Limits | None = None,
    ) -> None:
        asked = limits or Limits()
        self._pyarc2, self._arc = pyarc2, arc
        self._spec = ArraySpec(
            tiles=1,
            rows=rows,
            cols=cols,
            dac_bits=16,
            adc_bits=18,
            limits=Limits(
                v_set=min(asked.v_set, V_MAX),
                v_reset=min(asked.v_reset, V_MAX),
                v_read=min(asked.v_read, V_MAX),
                width_min=max(asked.width_min, WIDTH_MIN),
                width_max=min(asked.width_max, WIDTH_MAX),
                count_max=asked.count_max,
            ),
            vmm="emulated",
            origin="measured",
            identity=identity,
        )
        self._converters = Converters(0.1, 0.0, FULL_SCALE, (FULL_SCALE,))
        self._closed = False
        self.ground()

    @property
    def spec(self) -> ArraySpec:
        """What this board is."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """The settings in force; from i_read on a reading counts as saturated."""
        return self._converters

    def configure(self, converters: Converters) -> None:
        """See CimArray; nothing drives gates, so v_gate stays 0, and the board ranges by itself."""
        if converters.v_gate != 0:
            raise CapabilityError("an ArC TWO drives no word line here: v_gate must be 0 V")
        self._converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray; the voltage is rounded to the DAC's step and reported as applied."""
        asked = np.arange(self._spec.size, dtype=np.int64) if cells is None else cells
        row, col = np.divmod(asked, self._spec.cols)
        current = np.empty(asked.size)
        with self._told(f"read {v:g} V"), self._grounded_at_the_end():
            self._release()
            for each in np.unique(col):
                here = np.flatnonzero(col == each)
                current[here] = self._column(int(each), row[here], v, averages)
        limit = min(self._converters.i_read, FULL_SCALE)
        saturated = ~(np.abs(current) < limit)  # NaN: a range that the library does not know
        current = np.clip(current, -limit, limit)
        if cells is None:
            current, saturated = (
                current.reshape(self._spec.shape),
                saturated.reshape(self._spec.shape),
            )
        return Reading(current, _applied(v), saturated, cells)

    def _column(
        self, col: int, rows: NDArray[np.int64], v: float, averages: int
    ) -> NDArray[np.float64]:
        """Mean currents of some rows of a column, (n,) A; the library gives all 32 in its order."""
        mask = np.array([ROWS[row] for row in rows], np.uint64)
        readings = [self._arc.read_slice_masked(COLS[col], mask, v) for _ in range(averages)]
        return np.asarray(np.mean(readings, axis=0, dtype=np.float64))[rows]

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray; cell after cell, each train in one command buffer."""
        shape = self._spec.shape if cells is None else cells.shape
        asked = np.arange(self._spec.size, dtype=np.int64) if cells is None else cells
        volts = np.broadcast_to(np.asarray(v, np.float64), shape).ravel()
        counts = np.broadcast_to(np.asarray(count, np.int64), shape).ravel()
        nanos = 20 * round(width / TICK)
        with self._told(f"pulse of {width:g} s"), self._grounded_at_the_end():
            self._release()
            for k in np.flatnonzero((volts != 0) & (counts > 0)):
                row, col = divmod(int(asked[k]), self._spec.cols)
                for _ in range(int(counts[k])):
                    self._arc.pulse_one(COLS[col], ROWS[row], float(volts[k]), nanos)
                self._arc.execute()
                self._arc.wait()

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
        """See CimArray; cells are read, the products are sums in software."""
        return product_of_reads(self, v, window)

    def ground(self) -> None:
        """Every channel driven to 0 V."""
        with self._told("ground"):
            self._arc.finalise_operation(self._pyarc2.IdleMode.SoftGnd)
            self._arc.wait()

    def close(self) -> None:
        """Every channel off its DAC and on ground; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with self._told("ground"):
            self._arc.finalise_operation(self._pyarc2.IdleMode.HardGnd)
            self._arc.wait()

    def _release(self) -> None:
        """Channels off the hard ground, where a new board has them."""
        self._arc.connect_to_gnd(NONE)
        self._arc.execute()

    @contextlib.contextmanager
    def _grounded_at_the_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.ground()

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """The library's errors as ours; what its Rust side panics over is no Exception."""
        try:
            yield
        except CimError:
            raise
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise InstrumentError(f"ArC TWO: {what}", str(error)) from error
            raise


def open_arc2(
    port: int | None, firmware: str, rows: int = 32, cols: int = 32, limits: Limits | None = None
) -> Arc2Array:
    """Connect to a board.

    Args:
        port: Its number, as `pyarc2.find_ids` tells; the first board if None.
        firmware: File to load; it comes with the board.
        rows: Bit lines that are wired, from the first.
        cols: Word lines that are wired.
        limits: What the devices stand.

    Raises:
        ConfigError: pyarc2 is not installed.
        LinkClosed: There is no such board, or it does not take the firmware.
    """
    try:
        pyarc2 = importlib.import_module("pyarc2")
    except ImportError as error:
        raise ConfigError(
            f"pyarc2 is not installed ({error}): pip install 'cimlab[arc2]'"
        ) from error
    try:
        found = pyarc2.find_ids()
        if not found or (port is not None and port not in found):
            raise LinkClosed(f"no ArC TWO {'' if port is None else port}; there are {found}")
        arc = pyarc2.Instrument(found[0] if port is None else port, firmware)
    except CimError:
        raise
    except Exception as error:
        raise LinkClosed(f"ArC TWO: {error}; is the firmware {firmware!r} right?") from error
    version = getattr(pyarc2, "LIBARC2_VERSION", None)
    where = found[0] if port is None else port
    return Arc2Array(pyarc2, arc, rows, cols, f"ArC TWO {where}, libarc2 {version}", limits)


def _applied(v: float) -> float:
    """The voltage that the DAC's code for -v means, V."""
    return V_MAX - round((V_MAX - v) / V_STEP) * V_STEP
