"""The seam: an array of cells that can be read, pulsed and multiplied.

Everything above (protocols, nn, training, records, gui) speaks `CimArray`; everything
below (board, bench, mock) implements it. SI floats in numpy arrays; converter codes,
frames and SCPI stay behind it. Verbs are vectorised: one call carries all cells.

A cell's *address* is its flat index ``(tile * rows + row) * cols + col``; methods that
take ``cells`` accept a sorted array of addresses, or None for every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .clock import Clock, RealClock
from .errors import CapabilityError
from .pairs import pairs_of_columns

Floats: TypeAlias = NDArray[np.floating]
Addresses: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the devices may be exposed to. All magnitudes, all inclusive.

    Attributes:
        v_set: Largest SET amplitude, V.
        v_reset: Largest RESET amplitude (magnitude), V.
        v_read: Largest read and VMM amplitude, V.
        width_min: Shortest pulse, s.
        width_max: Longest pulse, s.
        count_max: Most pulses a cell in one call.
    """

    v_set: float = 3.3
    v_reset: float = 3.3
    v_read: float = 0.3
    width_min: float = 20e-9
    width_max: float = 10e-3
    count_max: int = 1000


@dataclass(frozen=True, slots=True)
class Converters:
    """Settings of the converters; `CimArray.configure` applies them.

    Attributes:
        v_read: Amplitude of the read and VMM pulses: what the largest DAC code means, V.
        v_gate: Word-line (gate) voltage, V. Below the transistor's threshold no cell conducts.
        i_read: ADC full scale when single cells are read, A.
        i_vmm: ADC full scale of each tile in a VMM, A (length: tiles).
    """

    v_read: float
    v_gate: float
    i_read: float
    i_vmm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What an array is; constant for its lifetime.

    Attributes:
        tiles: Number of physical arrays.
        rows: VMM inputs of a tile.
        cols: VMM outputs of a tile.
        dac_bits: Resolution of the input converters.
        adc_bits: Resolution of the output converters.
        limits: What is refused beyond.
        vmm: "analog" (Kirchhoff's law on the chip), "emulated" (cells are read and summed in
            software) or "none". Every record carries this word.
        origin: "measured" (real devices) or "emulated"; never confused in a record.
        identity: Who answered: make, model, serial number, firmware.
        capabilities: Optional verbs that work: "unfold", "transpose", "counters", "sweep",
            "train", "job:write_verify", "job:ispp"; "rest" where the clock is virtual; "pairs"
            where a board subtracts pairs of columns itself (`vmm_pairs` works everywhere).
    """

    tiles: int
    rows: int
    cols: int
    dac_bits: int
    adc_bits: int
    limits: Limits
    vmm: Literal["analog", "emulated", "none"]
    origin: Literal["measured", "emulated"]
    identity: str
    capabilities: frozenset[str] = frozenset()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(tiles, rows, cols)."""
        return (self.tiles, self.rows, self.cols)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.tiles * self.rows * self.cols


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the chip that a VMM uses: the same rows and columns of several tiles.

    Rows outside are not driven (0 V), columns outside are not converted.
    """

    tiles: tuple[int, ...]
    rows: tuple[int, int]
    cols: tuple[int, int]

    @classmethod
    def whole(cls, spec: ArraySpec) -> Window:
        """Every tile, row and column."""
        return cls(tuple(range(spec.tiles)), (0, spec.rows), (0, spec.cols))

    @property
    def n_rows(self) -> int:
        """Driven rows of a tile."""
        return self.rows[1] - self.rows[0]

    @property
    def n_cols(self) -> int:
        """Converted columns of a tile."""
        return self.cols[1] - self.cols[0]


@dataclass(frozen=True, slots=True)
class Unfold:
    """How a feature map is cut into VMM inputs (im2col), in torch.nn.Unfold's order.

    A row of the unfolded matrix is (channel, kernel row, kernel column), channel slowest;
    the vectors run over (image, output row, output column), image slowest.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Output height and width for an input map of the given size, pixels."""
        sizes = (height, width)
        h, w = (
            (sizes[i] + 2 * self.padding[i] - self.dilation[i] * (self.kernel[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in (0, 1)
        )
        return h, w


@dataclass(frozen=True, slots=True)
class Reading:
    """Currents of single cells, as measured.

    Attributes:
        current: A; shape of the cells asked for: (tiles, rows, cols) for all, else (n,).
        v: Read voltage, V.
        saturated: True where the converter clipped; the current there is only a bound.
        cells: Addresses, (n,), or None when every cell was read.
    """

    current: NDArray[np.float64]
    v: float
    saturated: Mask
    cells: Addresses | None = None

    @property
    def g(self) -> NDArray[np.float64]:
        """Conductance current / v, S, in the shape of current."""
        return self.current / self.v

    def as_map(self, spec: ArraySpec) -> NDArray[np.float64]:
        """Currents as (tiles, rows, cols), A; NaN where no cell was asked for."""
        if self.cells is None:
            return self.current
        full = np.full(spec.size, np.nan)
        full[self.cells] = self.current
        return full.reshape(spec.shape)


@dataclass(frozen=True, slots=True)
class Product:
    """Column currents of a VMM.

    Attributes:
        current: A, (tiles, batch, cols) of the window, float32.
        saturated: True where the converter clipped, same shape.
    """

    current: NDArray[np.float32]
    saturated: Mask


@dataclass(frozen=True, slots=True)
class PairSum:
    """What a layer of signed weights wants of a window: its pairs of columns, weighed and summed.

    Output targets[tile, j] gets, from every tile, scales[tile] times the sum of the currents of the
    window's columns 2 j and 2 j + 1, each times its own entry of weights. Arrays with converters
    round this sum, in their codes, to a whole number from -2^adc_bits to 2^adc_bits - 1: weights
    are +1 and -1, but for what the columns' calibration corrects.

    Attributes:
        window: The part of the chip; starts at an even column and has an even number of them.
        weights: (tiles, columns) float32; 16 significant bits count.
        scales: Output units an ampere, (tiles,) float32; of output units a code, 16 significant
            bits count.
        targets: Which output each pair adds to, (tiles, pairs): each output once a tile, and -1
            for pairs that are not wanted.
        constant: What each output begins with, (outputs,) float32.
    """

    window: Window
    weights: NDArray[np.float32]
    scales: NDArray[np.float32]
    targets: NDArray[np.int64]
    constant: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PairProduct:
    """Sums of pairs, those of several windows side by side.

    Attributes:
        values: (vectors, outputs), or (images, outputs, height, width) of an unfolded map, float32.
        clipped: Conversions of wanted pairs that clipped, for each tile of each window.
    """

    values: NDArray[np.float32]
    clipped: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What an on-board programming job reports; all arrays (n,), one entry a cell.

    Attributes:
        current: Last verify reading, A.
        pulses: Pulses each cell received.
        converged: True where the last reading lay inside the band.
        rounds: Pulse-and-read rounds used.
    """

    current: NDArray[np.float64]
    pulses: NDArray[np.int64]
    converged: Mask
    rounds: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Currents of cells at the points of a sweep or of a pulse train.

    Attributes:
        current: A, (points, cells).
        saturated: True where the compliance or the converter clipped, same shape.
        cells: Addresses, (cells,).
    """

    current: NDArray[np.float64]
    saturated: Mask
    cells: Addresses


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
