"""What the seed decides of a chip, once for its life: its devices, and its converters' mismatch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.philox import CellDraws, Stream
from cimlab.mock_hw.state import State
from cimlab.mock_hw.threefry import pair_keys

AT_ONCE = 1 << 18
"""Devices made at a time: their random numbers take more memory than they do."""


@dataclass(frozen=True, slots=True)
class Imperfections:
    """What a real chip has and a textbook one has not; never all zero by default.

    Attributes:
        stuck: Share of cells that no pulse moves, half of them stuck low, half high.
        adc_gain: Standard deviation of the converters' gain, relative.
        adc_offset: Standard deviation of their offset, ADC codes.
        adc_noise: Standard deviation of what they add to a column's current in a product, A. Reads
            of single cells are averaged in the analog and have none.
    """

    stuck: float = 0.002
    adc_gain: float = 0.005
    adc_offset: float = 0.5
    adc_noise: float = 0.0


def devices(
    device: DeviceModel, key: NDArray[np.uint32], flaws: Imperfections, state: State
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Traits (traits, cells) of a chip's devices, and which of them pulses move, (cells,).

    A chip that is new gets its first conductances, too.
    """
    size = state["g"].size
    traits, alive = np.empty((0, 0), np.float32), np.empty(size, np.bool_)
    for start in range(0, size, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, size))
        cells = np.arange(part.start, part.stop, dtype=np.int64)
        never = np.zeros(cells.size, np.uint32)
        g0, own = device.born(cells.size, CellDraws(key, Stream.BORN, cells, never))
        if not traits.size:
            # a cell's own lie side by side: programming fetches those of a few cells
            traits = np.empty((size, len(own)), np.float32).T
        traits[:, part] = own
        u = CellDraws(key, Stream.STUCK, cells, never).uniform(0)
        low, high = u < flaws.stuck / 2, u > 1 - flaws.stuck / 2
        alive[part] = ~(low | high)
        if not state["born"][0]:
            g0[low], g0[high] = device.g_min, device.g_max
            state["g"][part] = g0
    state["born"][0] = 1
    return traits, alive


@dataclass(frozen=True, slots=True, eq=False)
class Mismatch:
    """Of the converters at one side of the tiles.

    Attributes:
        gain, offset: (tiles, converters); offsets in ADC codes.
        keys: Of their noise in products, see `threefry.pair_keys`.
    """

    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    keys: NDArray[np.uint32]


def converters(
    key: NDArray[np.uint32], flaws: Imperfections, shape: tuple[int, int, int]
) -> tuple[Mismatch, Mismatch]:
    """Those at the columns, and those at the rows for transposed products."""
    tiles, rows, cols = shape
    wide = np.arange(tiles * (rows + cols), dtype=np.int64)
    draws = CellDraws(key, Stream.CONVERTERS, wide, np.zeros(wide.size, np.uint32))
    gain = 1 + np.float32(flaws.adc_gain) * draws.normal(0)
    offset = np.float32(flaws.adc_offset) * draws.normal(1)
    at_columns, at_rows = slice(tiles * cols), slice(tiles * cols, None)
    return (
        Mismatch(
            gain[at_columns].reshape(tiles, cols),
            offset[at_columns].reshape(tiles, cols),
            pair_keys(key, Stream.VMM, tiles, cols),
        ),
        Mismatch(
            gain[at_rows].reshape(tiles, rows),
            offset[at_rows].reshape(tiles, rows),
            pair_keys(key, Stream.VMM_TRANSPOSED, tiles, rows),
        ),
    )
