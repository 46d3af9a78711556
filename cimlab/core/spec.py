"""What an array is, and which part of it a verb is for (see `array`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
