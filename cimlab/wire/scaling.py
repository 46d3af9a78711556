"""Volts and amperes to converter codes and back, the host's direction.

The one place where SI values become codes. The opposite direction (what a code does to a cell)
is written apart, in the mock's front end, and hand-computed values anchor both
(tests/wire/test_scaling.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core import pairs
from cimlab.core.array import (
    ArraySpec,
    Converters,
    Floats,
    Mask,
    PairProduct,
    PairSum,
    Product,
    Unfold,
    Window,
)
from cimlab.core.errors import LimitError

PULSE_CODE_MAX = 255
"""Pulse amplitudes are 8 bit and a sign."""
GATE_CODE_MAX = 1023
"""The gate DAC has 10 bit (PAPER 1)."""
TICKS_MAX = 1 << 32
"""More than the link's field for ticks holds."""
ConvertPairs: TypeAlias = Callable[
    [NDArray[np.uint8], Sequence[pairs.Part], Unfold | None],
    tuple[NDArray[np.int16], NDArray[np.int64]],
]
"""As `board.hal.PairHal.convert_pairs`."""


def dac_codes(v: ArrayLike, v_read: float, bits: int) -> NDArray[np.uint8]:
    """Input voltages (0 <= v <= v_read, V) to DAC codes, nearest code."""
    top = (1 << bits) - 1
    scaled = np.asarray(np.multiply(v, np.float32(top / v_read), dtype=np.float32))
    # the comparison is written so that NaN fails it
    if scaled.size and not (scaled.min() >= -0.5 and scaled.max() <= top + 0.5):
        raise LimitError(f"input voltages must lie in 0 .. {v_read} V")
    np.rint(scaled, out=scaled)
    return scaled.astype(np.uint8)


@functools.lru_cache(maxsize=16)
def dac_code(v: float, v_read: float, bits: int) -> int:
    """`dac_codes` of one voltage; the last ones are remembered, as reads are at the same few."""
    return int(dac_codes(v, v_read, bits))


def dac_volts(code: int, v_read: float, bits: int) -> float:
    """Mean input voltage of a DAC code, V."""
    return code * v_read / ((1 << bits) - 1)


def pulse_codes(v: ArrayLike, v_pulse: float) -> NDArray[np.int16]:
    """Signed pulse amplitudes (V) to codes; code +-PULSE_CODE_MAX is +-v_pulse."""
    scaled = np.rint(np.multiply(v, PULSE_CODE_MAX / v_pulse, dtype=np.float64))
    if scaled.size and not (np.abs(scaled).max() <= PULSE_CODE_MAX):
        raise LimitError(f"pulse amplitudes must lie in -{v_pulse} .. {v_pulse} V")
    return scaled.astype(np.int16)


def pulse_counts(count: ArrayLike) -> NDArray[np.uint16]:
    """Numbers of pulses as the link carries them."""
    given = np.asarray(count)
    with np.errstate(invalid="ignore"):
        counts = given.astype(np.uint16)
    if not np.array_equal(counts, given):
        raise LimitError(f"pulse counts must be whole numbers in 0 .. {np.iinfo(np.uint16).max}")
    return counts


def ticks(width: float, tick: float) -> int:
    """Pulse width (s) to the board's unit, at least 1."""
    ratio = width / tick
    n = round(ratio) if ratio < TICKS_MAX else 0  # which NaN is not
    if n < 1:
        raise LimitError(
            f"a pulse of {width} s is shorter than the board's tick of {tick} s, or longer than "
            f"{TICKS_MAX * tick:g} s"
        )
    return n


def gate_code(v: float, v_gate: float) -> int:
    """Gate voltage (V) to the gate DAC's code; GATE_CODE_MAX is v_gate."""
    scaled = v * GATE_CODE_MAX / v_gate
    if not -0.5 <= scaled <= GATE_CODE_MAX + 0.5:
        raise LimitError(f"the gate voltage must lie in 0 .. {v_gate} V")
    return min(max(round(scaled), 0), GATE_CODE_MAX)


def amperes(codes: NDArray[np.integer], full_scale: ArrayLike, bits: int) -> NDArray[np.float32]:
    """ADC codes to currents (A); full_scale broadcasts, code 2**bits - 1 is full scale."""
    lsb = np.asarray(full_scale, np.float64) / ((1 << bits) - 1)
    current: NDArray[np.float32] = np.multiply(codes, lsb.astype(np.float32), dtype=np.float32)
    return current


def cell_currents(
    sums: NDArray[np.integer], i_read: float, averages: int, bits: int
) -> NDArray[np.float64]:
    """Sums of `averages` ADC codes of single cells to their mean currents (A)."""
    lsb = i_read / ((1 << bits) - 1)
    current: NDArray[np.float64] = np.multiply(sums, lsb / averages, dtype=np.float64)
    return current


def product(codes: NDArray[np.uint8], settings: Converters, window: Window, bits: int) -> Product:
    """ADC codes (tiles, batch, outputs) of a VMM as currents with their clipped marks."""
    full_scale = np.asarray(settings.i_vmm)[list(window.tiles), None, None]
    return Product(amperes(codes, full_scale, bits), codes == (1 << bits) - 1)


def drive_codes(x: Floats, volts: float, v_read: float, bits: int) -> NDArray[np.uint8]:
    """Inputs of `volts` each to DAC codes; those beyond 0 .. v_read drive its ends."""
    top = (1 << bits) - 1
    scaled = np.multiply(x, np.float32(volts * top / v_read), dtype=np.float32)
    np.rint(scaled, out=scaled)
    scaled.clip(np.float32(0), np.float32(top), out=scaled)  # twice as fast as maximum and minimum
    return scaled.astype(np.uint8)


def sixteen_bits(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest numbers with 16 significant bits.

    A product with an 8-bit code is then exact, and a sum of such products has the same bits with
    and without fused multiply-adds.
    """
    as_bits = (numbers.view(np.int32) + 0x80) & ~0xFF
    return as_bits.view(np.float32)


def pairs_by_columns(
    codes: NDArray[np.uint8],
    parts: Sequence[pairs.Part],
    unfold: Unfold | None,
    bits: int,
    convert: Callable[[NDArray[np.uint8], Window, Unfold | None], NDArray[np.uint8]],
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Pairs in ADC codes, by way of every column's code: see `board.hal.PairHal`.

    Args:
        codes: Of the inputs, (vectors, inputs) or a map.
        parts: What is wanted.
        unfold: How the map is cut, or None.
        bits: Of the ADC.
        convert: Codes of every column (tiles, vectors, columns), from those of the inputs (tiles,
            vectors, rows), or of a map.
    """
    top = (1 << bits) - 1

    def columns(window: Window) -> tuple[NDArray[np.uint8], Mask]:
        out = convert(codes if unfold else pairs.row_parts(codes, window), window, unfold)
        return out, out == top

    sums, clipped = pairs.weighed(parts, len(codes), columns)
    return np.rint(sums).clip(-1 - top, top).astype(np.int16), clipped


def pair_product(
    x: Floats,
    volts: float,
    sums: Sequence[PairSum],
    unfold: Unfold | None,
    settings: Converters,
    spec: ArraySpec,
    convert_pairs: ConvertPairs,
) -> PairProduct:
    """`CimArray.vmm_pairs` by way of DAC codes and pairs in ADC codes."""
    codes, cut = drive_codes(x, volts, settings.v_read, spec.dac_bits), unfold
    if unfold is not None and "unfold" not in spec.capabilities:
        codes, cut = pairs.unfolded(codes, unfold), None
    parts = [replace(p, weights=sixteen_bits(p.weights)) for p in pairs.parts_of(sums)]
    found, clipped = convert_pairs(codes, parts, cut)
    if cut is not unfold:  # vectors instead of images with positions
        by_image = found.reshape(len(x), len(found) // max(len(x), 1), found.shape[1])
        found = by_image.transpose(0, 2, 1)
    units = pair_units(sums, settings, spec.adc_bits)
    return pairs.added(x.shape, sums, unfold, (found, clipped), units)


def pair_units(
    sums: Sequence[PairSum], settings: Converters, bits: int
) -> list[NDArray[np.float32]]:
    """For each of sums, output units a unit of its pairs in ADC codes, (tiles,)."""
    lsb = np.asarray(settings.i_vmm) / ((1 << bits) - 1)
    return [sixteen_bits((p.scales * lsb[list(p.window.tiles)]).astype(np.float32)) for p in sums]
