"""Refusing what would harm the devices, before a byte leaves, for real and mock alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

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
    Limits,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Trace,
    Unfold,
    Window,
)
from .clock import Clock
from .dose import Dose, Rest
from .errors import ConfigError, LimitError
from .limits import all_between, ascending, between, broadcasts, every, tighter
from .wear import Wear

_JOB_VOLTAGES = {"set_": "v_set", "reset_": "v_reset", "v_read": "v_read"}
"""How the settings of on-board jobs that are amplitudes begin, and the limit of each."""


class Guarded(ArrayBase):
    """An array that refuses requests beyond the limits, with LimitError.

    All comparisons are written so that NaN fails them.

    Args:
        array: What does the work; closed with this wrapper.
        limits: The station's; the tighter of these and the array's own count.
        wear: Which cells may get how many pulses more.
        dose: How much may heat a cell. With it, or a budget of pulses, there are no on-board jobs:
            nobody knows beforehand how many pulses one takes, so the same protocol runs here.
    """

    def __init__(
        self,
        array: CimArray,
        limits: Limits,
        wear: Wear | None = None,
        dose: Dose | None = None,
    ) -> None:
        self._array = array
        self._wear = wear
        self._dose = dose
        self._rest = Rest(1.0 if dose is None else dose.duty_max)
        self._limits = tighter(array.spec.limits, limits)
        able = array.spec.capabilities
        if dose is not None or (wear is not None and wear.pulses_max is not None):
            able = frozenset(name for name in able if not name.startswith("job:"))
        self._spec = dataclasses.replace(array.spec, limits=self._limits, capabilities=able)
        self._size = self._spec.size
        # the last job's settings that were found harmless: training asks with the same ones
        self._passed: tuple[str, dict[str, float]] | None = None

    @property
    def spec(self) -> ArraySpec:
        """What the wrapped array is, with the limits in force."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._array.converters

    @property
    def clock(self) -> Clock:
        """The time of the cells."""
        return self._array.clock

    def configure(self, converters: Converters) -> None:
        """See CimArray."""
        spec, c = self._spec, converters
        between("v_read", c.v_read, 0.0, self._limits.v_read, "V")
        if len(c.i_vmm) != spec.tiles:
            raise ConfigError(f"i_vmm has {len(c.i_vmm)} entries for {spec.tiles} tiles")
        if not all(0 < x < np.inf for x in (c.v_read, c.i_read, *c.i_vmm)):
            raise LimitError(f"full scales must be positive: {c}")
        if not 0 <= c.v_gate < np.inf:
            raise LimitError(f"v_gate must be a voltage of at least 0 V, not {c.v_gate}")
        self._array.configure(converters)

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray."""
        self._check_read(v, cells, averages)
        return self._array.read(v, cells, averages)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray."""
        driven = self._check_pulse(v, width, count, cells)
        self._array.pulse(v, width, count, cells)
        self._driven(driven)

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
        self._check_read(v_read, None, averages)
        driven = self._check_pulse(v, width, count, cells)
        reading = self._array.pulse_and_read(v, width, v_read, cells, count, averages)
        self._driven(driven)
        return reading

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        self._check_vmm(v, window)
        return self._array.vmm(v, window)

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """See CimArray."""
        self._check_vmm(v, window)
        return self._array.vmm_unfolded(v, unfold, window)

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """See CimArray; inputs cannot exceed the DAC's range here."""
        self._check_amplitude()
        if not -np.inf < volts < np.inf:
            raise LimitError(f"VMM inputs of {volts} V each")
        for part in sums:
            self._check_window(part.window)
        return self._array.vmm_pairs(x, volts, sums, unfold)

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        self._check_vmm(v, window)
        return self._array.vmm_transposed(v, window)

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """See CimArray; a level beyond the read voltage is a pulse as long as the dwell."""
        pulses = int(np.count_nonzero(~(np.abs(v) <= self._limits.v_read)))
        self._check_levels(v, pulses, cells)
        self._check_wear(pulses, cells)
        if not (0 < i_comp < np.inf and 0 <= dwell < np.inf):
            raise LimitError(
                f"compliance {i_comp} A and dwell {dwell} s must be positive and finite"
            )
        if pulses:
            between("dwell beyond the read voltage", dwell, 0.0, self._limits.width_max, "s")
        strong = v[~(np.abs(v) <= self._limits.v_read)]
        driven = self._heats(strong, dwell, 1, one_cell=True)
        trace = self._array.sweep(v, i_comp, dwell, cells)
        self._driven(driven)
        return trace

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """See CimArray."""
        limits, widths = self._limits, np.asarray(width)
        self._check_levels(v, int(np.count_nonzero(v)), cells)
        self._check_wear(np.count_nonzero(v), cells)
        if widths.shape not in ((), v.shape):
            raise ValueError(f"width of shape {widths.shape} does not fit {v.size} pulses")
        all_between("pulse width", widths, limits.width_min, limits.width_max, "s")
        self._check_read(v_read, None, averages)
        driven = self._heats(v, widths, 1, one_cell=True)
        trace = self._array.train(v, width, v_read, cells, averages)
        self._driven(driven)
        return trace

    def counters(self) -> NDArray[np.uint32]:
        """See CimArray."""
        return self._array.counters()

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """See CimArray; settings are held to the limits by their names (see `_JOB_VOLTAGES`)."""
        self._check_job(name, settings, cells, target)
        return self._array.run_job(name, settings, cells, target)

    def run_job_and_read(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: Floats,
        v_read: float,
        averages: int = 1,
    ) -> tuple[JobResult, Reading]:
        """See CimArray; the job is not run when the read is refused."""
        self._check_read(v_read, None, averages)
        self._check_job(name, settings, cells, target)
        return self._array.run_job_and_read(name, settings, cells, target, v_read, averages)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """See CimArray."""
        self._array.meanwhile(work)

    def ground(self) -> None:
        """See CimArray; never refused."""
        self._array.ground()

    def close(self) -> None:
        """Close the wrapped array."""
        self._array.close()

    def _check_pulse(
        self, v: ArrayLike, width: float, count: ArrayLike, cells: Addresses | None
    ) -> float:
        """For how long a cell will be driven at most, s; 0 where nobody asks."""
        limits = self._limits
        self._check_cells(cells)
        volts, counts = np.asarray(v), np.asarray(count)
        shape = self._spec.shape if cells is None else cells.shape
        for name, values in (("v", volts), ("count", counts)):
            if not broadcasts(values.shape, shape):
                raise ValueError(f"{name} of shape {values.shape} does not fit the cells {shape}")
        all_between("pulse amplitude", volts, -limits.v_reset, limits.v_set, "V")
        between("pulse width", width, limits.width_min, limits.width_max, "s")
        if counts.dtype.kind not in "iu":
            raise LimitError(f"pulse counts must be integers, not {counts.dtype}")
        all_between("pulse count", counts, 0, limits.count_max, "pulses")
        self._check_wear(np.where(volts != 0, counts, 0), cells)
        return self._heats(volts, width, counts)

    def _heats(
        self, v: ArrayLike, width: ArrayLike, count: ArrayLike, one_cell: bool = False
    ) -> float:
        """For how long a cell will be driven, s; waits until it may be, refuses what is too much.

        one_cell: All of these pulses go to each cell, not one to each.
        """
        if self._dose is None:
            return 0.0
        seconds = self._dose.seconds(v, width, count, one_cell)
        self._rest.wait(self.clock)
        return seconds

    def _driven(self, seconds: float) -> None:
        if seconds:
            self._rest.driven(self.clock, seconds)

    def _check_wear(self, pulses: ArrayLike, cells: Addresses | None) -> None:
        if self._wear is not None:
            self._wear.check(pulses, cells)

    def _check_levels(self, v: Floats, pulses: int, cells: Addresses) -> None:
        limits = self._limits
        self._check_cells(cells)
        if v.ndim != 1:
            raise ValueError(f"levels of shape {v.shape} are not one after another")
        all_between("level", v, -limits.v_reset, limits.v_set, "V")
        between("pulse count", pulses, 0, limits.count_max, "pulses")

    def _check_read(self, v: float, cells: Addresses | None, averages: int) -> None:
        self._check_cells(cells)
        self._check_amplitude()
        between("read voltage", v, -self._limits.v_read, self._limits.v_read, "V")
        if not averages >= 1:
            raise LimitError(f"averages must be at least 1, not {averages}")

    def _check_vmm(self, v: Floats, window: Window | None) -> None:
        self._check_amplitude()
        if not self._array.checks_inputs:
            all_between("VMM input", v, 0.0, self.converters.v_read, "V")
        if window is not None:
            self._check_window(window)

    def _check_window(self, window: Window) -> None:
        spec = self._spec
        sizes = (("rows", window.rows, spec.rows), ("cols", window.cols, spec.cols))
        for name, (start, stop), size in sizes:
            if not 0 <= start < stop <= size:
                raise LimitError(f"window {name} {start}..{stop} lie outside 0..{size}")
        if not all(0 <= tile < spec.tiles for tile in window.tiles):
            raise LimitError(f"window tiles {window.tiles} lie outside 0..{spec.tiles - 1}")

    def _check_amplitude(self) -> None:
        """Inputs are trains of pulses of the full DAC amplitude, however small their value is."""
        if 0.0 <= self._array.converters.v_read <= self._limits.v_read:
            return
        between("v_read of the converters", self.converters.v_read, 0.0, self._limits.v_read, "V")

    def _check_cells(self, cells: Addresses | None) -> None:
        if cells is None or cells.size == 0:
            return
        if cells.ndim != 1 or cells.dtype.kind not in "iu":
            raise LimitError("cells must be a one-dimensional array of integer addresses")
        if not ascending(cells, self._size):
            raise LimitError(
                f"cell addresses must rise strictly within 0..{self._spec.size - 1} "
                f"(got {cells.min()}..{cells.max()})"
            )

    def _check_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> None:
        self._check_cells(cells)
        if (name, settings) != self._passed:
            if f"job:{name}" not in self._spec.capabilities:
                super().run_job(name, settings, cells, target)  # refuses it
            self._check_settings(name, settings)
            self._passed = (name, dict(settings))
        self._check_wear(1, cells)
        if not every(np.isfinite(target)):
            raise LimitError(f"job {name!r}: a target current is not a finite number")

    def _check_settings(self, name: str, settings: Mapping[str, float]) -> None:
        """Hold a job's settings to the limits: the board knows its own, not the station's."""
        limits = self._limits
        for key, value in settings.items():
            label = f"job {name!r}: {key}"
            if not np.isfinite(value):
                raise LimitError(f"{label} is {value}, not a finite number")
            if key == "width":
                between(label, value, limits.width_min, limits.width_max, "s")
            for prefix, limit in _JOB_VOLTAGES.items():
                if key.startswith(prefix):
                    between(label, value, 0.0, getattr(limits, limit), "V")
