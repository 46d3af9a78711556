"""The seam: an array of cells that can be read, pulsed and multiplied.

Everything above (protocols, nn, training, records, gui) speaks `CimArray`; everything
below (board, bench, mock) implements it. SI floats in numpy arrays; converter codes,
frames and SCPI stay behind it. Verbs are vectorised: one call carries all cells.

A cell's *address* is its flat index ``(tile * rows + row) * cols + col``; methods that
take ``cells`` accept a sorted array of addresses, or None for every cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .answers import (
    Addresses,
    Floats,
    JobResult,
    Mask,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Trace,
)
from .clock import Clock, RealClock
from .errors import CapabilityError
from .pairs import pairs_of_columns
from .spec import ArraySpec, Converters, Limits, Unfold, Window

__all__ = [
    "Addresses",
    "ArrayBase",
    "ArraySpec",
    "CimArray",
    "Converters",
    "Floats",
    "JobResult",
    "Limits",
    "Mask",
    "PairProduct",
    "PairSum",
    "Product",
    "Reading",
    "Trace",
    "Unfold",
    "Window",
]


class CimArray(Protocol):
    """An array of cells; see the module's docstring. Leaving the context grounds all lines."""

    @property
    def spec(self) -> ArraySpec:
        """What this array is."""
        ...

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        ...

    @property
    def checks_inputs(self) -> bool:
        """Whether VMM inputs beyond 0 .. converters.v_read are refused where they become codes.

        A second look at each of them costs more than a small product.
        """
        ...

    @property
    def clock(self) -> Clock:
        """The time of the cells: real, or virtual where an emulated array can skip the wait."""
        ...

    def configure(self, converters: Converters) -> None:
        """Apply converter settings; LimitError beyond the limits."""
        ...

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """Read single cells at v volts, each averaged over so many conversions."""
        ...

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """Apply count rectangular pulses of v volts (> 0 SET, < 0 RESET, 0 leaves alone), width s.

        v and count broadcast to the cells' shape: (tiles, rows, cols), or (n,) with cells.
        """
        ...

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """Pulse the cells, then read the same cells: one transaction, a step of write-verify."""
        ...

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """Multiply: v (tiles, batch, rows) of the window in volts, 0 <= v <= converters.v_read."""
        ...

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """The vmm of an unfolded feature map; v (batch, channels, height, width) volts.

        Tile k of the window gets the k-th group of ``window.n_rows / (kh * kw)`` channels; a last
        group with fewer channels leaves its remaining rows at 0 V. Capability "unfold".
        """
        ...

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """Multiply for a layer of signed weights: inputs once, sums of pairs back.

        x: (vectors, inputs), cut over each window's tiles, or with unfold a map as for
        `vmm_unfolded`, which every array takes here. An input drives its row with volts times its
        value; what lies beyond 0 .. converters.v_read drives it with that end. The noise, and
        the saturation, is that of each column, as in `vmm`.
        """
        ...

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """Drive columns, read rows: v (tiles, batch, cols) -> (tiles, batch, rows). "transpose"."""
        ...

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """Source each of v (n,) volts for dwell seconds, measuring meanwhile: a quasi-static I-V.

        One cell after another, |current| <= i_comp amperes. One upload and one read-back a cell.
        Levels count as pulses towards the limits. Capability "sweep".
        """
        ...

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """Pulse v (n,) volts one after another, width s (one, or (n,)); read after each pulse.

        One cell after another, with one upload and one read-back a cell. Capability "train";
        arrays without it do the same with `pulse_and_read`, all cells at once.
        """
        ...

    def counters(self) -> NDArray[np.uint32]:
        """Pulses each cell has received, as counted beside the chip, (tiles, rows, cols)."""
        ...

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """Run a programming protocol beside the chip, target (n,) A. Capability "job:<name>"."""
        ...

    def run_job_and_read(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: Floats,
        v_read: float,
        averages: int = 1,
    ) -> tuple[JobResult, Reading]:
        """Run a job, then read the same cells: over a link, one round trip."""
        ...

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Offer work, to be done in this thread the next time a verb waits for hardware.

        One piece at a time; arrays that never wait do none, so whoever needs it sees to it.
        """
        ...

    def ground(self) -> None:
        """Put every line at 0 V, now."""
        ...

    def close(self) -> None:
        """Ground, then release the hardware; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ArrayBase:
    """What every CimArray shares: the context manager, and a refusal of optional verbs."""

    _clock: Clock = RealClock()
    checks_inputs = False

    @property
    def clock(self) -> Clock:
        """The time of the cells: this machine's, unless a child knows better."""
        return self._clock

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """Refused: needs capability "sweep"."""
        raise CapabilityError("this array cannot sweep a voltage (capability 'sweep')")

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """Refused: needs capability "train"."""
        raise CapabilityError("this array has no buffered pulse trains (capability 'train')")

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """Refused: needs capability "unfold"."""
        raise CapabilityError("this array cannot unfold feature maps (capability 'unfold')")

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """By way of `vmm` and `vmm_unfolded`."""
        return pairs_of_columns(cast(CimArray, self), x, volts, sums, unfold)

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """Refused: needs capability "transpose"."""
        raise CapabilityError("this array has no transposed VMM (capability 'transpose')")

    def counters(self) -> NDArray[np.uint32]:
        """Refused: needs capability "counters"."""
        raise CapabilityError("this array does not count pulses (capability 'counters')")

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """Refused: needs capability "job:<name>"."""
        raise CapabilityError(f"this array cannot run the job {name!r} (capability 'job:{name}')")

    def run_job_and_read(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: Floats,
        v_read: float,
        averages: int = 1,
    ) -> tuple[JobResult, Reading]:
        """One after the other."""
        array = cast(CimArray, self)
        done = array.run_job(name, settings, cells, target)
        return done, array.read(v_read, cells, averages)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Never: this array does not wait."""

    def close(self) -> None:
        """Nothing to release by default."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
