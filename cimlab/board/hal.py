"""The hardware below the board service: what a lab implements for its own chip.

A HAL speaks converter codes and integers, knows nothing of sessions, and is called from one
thread. The service on top of it (`cimlab.board.service`) gives the link, exactly-once pulses,
limits, the watchdog and on-board jobs. `mock_hw` implements the same protocol in software.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import (
    Addresses,
    Converters,
    Floats,
    JobResult,
    Limits,
    PairProduct,
    PairSum,
    Product,
    Unfold,
    Window,
)
from cimlab.core.pairs import Part

Codes8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HalInfo:
    """What the hardware is.

    Attributes:
        tiles, rows, cols: Size.
        dac_bits: Input resolution, at most 8: codes 0 .. 2**dac_bits - 1.
        adc_bits: Output resolution, at most 8.
        v_pulse: Pulse amplitude of the code +-scaling.PULSE_CODE_MAX, V.
        v_gate: Gate voltage of the code scaling.GATE_CODE_MAX, V.
        tick: Unit of pulse widths, s.
        limits: What the devices stand; the service refuses more.
        origin: "measured" on a real chip, "emulated" in software.
        identity: Make, model, serial number, firmware.
        defaults: Converter settings after power-on; whoever drives the HAL applies them first.
        capabilities: Of "unfold", "transpose", "rest" for a `RestingHal`, and "job:<name>" for a
            `JobHal`.
    """

    tiles: int
    rows: int
    cols: int
    dac_bits: int
    adc_bits: int
    v_pulse: float
    v_gate: float
    tick: float
    limits: Limits
    origin: Literal["measured", "emulated"]
    identity: str
    defaults: Converters
    capabilities: frozenset[str] = frozenset()


class BoardHal(Protocol):
    """Six verbs and what they act on. Every array is C-contiguous."""

    @property
    def info(self) -> HalInfo:
        """Constant for the HAL's lifetime."""
        ...

    def configure(self, v_read: float, i_read: float, i_vmm: Sequence[float]) -> None:
        """Set full scales: DAC (V), ADC for cell reads (A), ADC of each tile in a VMM (A)."""
        ...

    def gate(self, code: int) -> None:
        """Set the gate voltage, code / scaling.GATE_CODE_MAX of info.v_gate."""
        ...

    def convert(
        self, codes: Codes8, window: Window, unfold: Unfold | None, transposed: bool
    ) -> Codes8:
        """Drive input codes, digitise column currents; transposed, rows and columns change place.

        codes: (tiles, batch, rows of the window); with unfold a feature map (batch, channels,
        height, width), unfolded as `CimArray.vmm_unfolded` says. Returns (tiles, batch, cols).
        Code k of the ADC means k / (2**adc_bits - 1) of the tile's full scale.
        """
        ...

    def read(
        self, code: int, cells: Addresses, averages: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Read cells one by one with the input code: sums of `averages` codes, clipped marks."""
        ...

    def pulse(
        self,
        cells: Addresses,
        codes: NDArray[np.int16],
        ticks: int,
        counts: NDArray[np.uint16],
    ) -> None:
        """Apply to each cell counts pulses of the signed amplitude code, ticks long."""
        ...

    def ground(self) -> None:
        """Every line at 0 V, now. Called on errors too: must not raise."""
        ...


class JobHal(BoardHal, Protocol):
    """A BoardHal that runs programming jobs itself: those that its capabilities name."""

    def run_job(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: NDArray[np.float32],
    ) -> JobResult:
        """Program cells (n,) to target (n,) A, with the result of the protocol of that name.

        Targets have single precision, as on the link.

        Raises:
            ConfigError: A setting is missing, unknown or wrong.
        """
        ...


class RestingHal(BoardHal, Protocol):
    """A BoardHal whose cells age on request (capability "rest"): an emulated one."""

    def relax(self, seconds: float) -> None:
        """Let every cell age by so many seconds, at once."""
        ...


@runtime_checkable
class PairHal(BoardHal, Protocol):
    """A BoardHal that weighs and adds up pairs of columns itself; for others the board does."""

    def convert_pairs(
        self,
        codes: Codes8,
        parts: Sequence[Part],
        unfold: Unfold | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Multiply, and give for each pair of columns one number, in ADC codes.

        codes: (vectors, inputs), cut over each window's tiles, or with unfold a feature map. The
        parts' weights have 16 significant bits.

        Returns:
            Columns 2 j and 2 j + 1, each times its weight, added and rounded (half to even), but
            within -2^adc_bits .. 2^adc_bits - 1: (images, wanted pairs, positions), window after
            window and tile after tile, plain vectors having one position; and how many conversions
            clipped, (tiles of all windows,).
        """
        ...


@runtime_checkable
class FloatHal(BoardHal, Protocol):
    """A BoardHal in software that converts volts and amperes itself, in the same pass.

    The results have the bits that `convert` and `wire.scaling` give.
    """

    def vmm(self, v: Floats, window: Window, unfold: Unfold | None, transposed: bool) -> Product:
        """`convert` of voltages, to currents.

        Raises:
            LimitError: An input lies beyond the DAC's range.
        """
        ...

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None
    ) -> PairProduct:
        """See `CimArray.vmm_pairs`."""
        ...
