"""Calibration of the VMM: the ADC range of each tile, gain and offset of each column.

`adc_range` fits the full scale of the tiles' converters to the currents that real inputs make,
so that codes are used and clipped seldom. `columns` then compares products with sums of
single-cell reads, because training trusts the reads (PAPER 3).

The reads pass the same converters, and an offset too small to matter for one cell counts 64
times in a sum. Reading at two voltages tells it from the cells: their currents are halved, it is
not. A gain common to reads and products stays invisible, and does no harm for that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cimlab.core.array import CimArray, Floats, Product
from cimlab.core.errors import ConfigError
from cimlab.protocols.procedure import Plan, idle_on_error

LEAST = 0.25
"""Smallest range of a product, over that of single cells."""
PASSES = 20
"""A range moves by a factor 2 a pass when it clips: a million is enough."""


class RangePlan(Plan):
    """How the ADC ranges are chosen."""

    clipped: float = Field(default=1e-3, ge=0, lt=1, description="share of outputs that may clip")
    headroom: float = Field(
        default=1.05, ge=1, description="full scale over the largest other output"
    )


class ColumnPlan(Plan):
    """How the columns are compared with the cells."""

    vectors: int = Field(default=256, ge=8, description="random input vectors")
    averages: int = Field(default=64, ge=1, description="conversions averaged in a cell read")
    fill: float = Field(
        default=0.9, gt=0, le=1, description="largest expected output over full scale"
    )
    seed: int = Field(default=0, ge=0, description="seed of the input vectors")


@dataclass(frozen=True, slots=True)
class ColumnCalibration:
    """measured = gain * expected + offset for every column.

    Attributes:
        gain: (tiles, cols).
        offset: (tiles, cols) A.
        residual: Root mean square of what the line leaves, (tiles, cols) A.
        read_offset: What the converter adds to every read of a cell, (tiles, cols) A.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    residual: NDArray[np.float64]
    read_offset: NDArray[np.float64]

    def correct(
        self, product: Product, tiles: Sequence[int] | None = None, cols: slice = slice(None)
    ) -> NDArray[np.float32]:
        """Corrected currents of a product of those tiles and columns, (tiles, batch, cols) A."""
        chosen = list(range(len(self.gain))) if tiles is None else list(tiles)
        gain = self.gain[chosen, cols][:, None].astype(np.float32)
        offset = self.offset[chosen, cols][:, None].astype(np.float32)
        corrected: NDArray[np.float32] = (product.current - offset) / gain
        return corrected


def adc_range(
    array: CimArray,
    tiles: Sequence[int],
    drive: Callable[[], Product],
    plan: RangePlan | None = None,
) -> tuple[float, ...]:
    """Fit the VMM full scale of some tiles, and configure the array with it.

    A tile whose outputs are all zero keeps its range: a layer may fall silent in mid-training. No
    range becomes smaller than a share of that for single cells (`LEAST`): the offset of a silent
    tile's converter is no current to be looked at ever more closely.

    Args:
        array: The array; the ranges of other tiles stay.
        tiles: The tiles of the products, in their order.
        drive: Runs a typical batch, any kind of VMM, and returns its product.
        plan: How much may clip.

    Returns:
        Full scale of the given tiles, A.

    Raises:
        ConfigError: A tile's outputs clip at every range.
    """
    plan = plan or RangePlan()
    chosen = list(tiles)
    with idle_on_error(array):
        for _ in range(PASSES):
            product = drive()
            ranges = np.asarray(array.converters.i_vmm)
            clips = product.saturated.mean(axis=(1, 2)) > plan.clipped
            top = np.quantile(product.current, 1 - plan.clipped, axis=(1, 2)) * plan.headroom
            silent, own = top <= 0, ranges[chosen]
            # from a range far too large only a few codes were used: look again from closer
            least = LEAST * array.converters.i_read
            settled = silent | ~clips & ((top > 0.5 * own) | (own <= least))
            top = np.maximum(top, least)
            fitted = np.where(silent, own, np.where(clips, 2 * own, top))
            ranges[chosen] = fitted
            array.configure(replace(array.converters, i_vmm=tuple(float(x) for x in ranges)))
            if settled.all():
                return tuple(float(x) for x in fitted)
    raise ConfigError("a tile's outputs clip at every range that was tried")


def columns(array: CimArray, plan: ColumnPlan | None = None) -> ColumnCalibration:
    """Gain and offset of every column of every tile, by regression on averaged cell reads.

    Inputs are random vectors of random strength on the DAC's codes, scaled for each tile to fill
    the range in force. Clipped outputs, at either end, do not count.
    """
    plan = plan or ColumnPlan()
    with idle_on_error(array):
        full = array.read(array.converters.v_read, averages=plan.averages)
        half = array.read(array.converters.v_read / 2, averages=plan.averages)
        zero = (full.v * half.current - half.v * full.current) / (full.v - half.v)
        read_offset = zero.mean(axis=1)
        g = (full.current - read_offset[:, None]) / full.v
        v = _inputs(array, plan, g)
        product = array.vmm(v)
    counts = ~product.saturated & (product.current > 0)
    return ColumnCalibration(
        *_lines(v @ g, product.current.astype(np.float64), counts), read_offset
    )


def _inputs(array: CimArray, plan: ColumnPlan, g: NDArray[np.float64]) -> Floats:
    """Voltages (tiles, vectors, rows), each exactly a DAC code."""
    settings, top = array.converters, (1 << array.spec.dac_bits) - 1
    rng = np.random.default_rng(plan.seed)
    shape = (array.spec.tiles, plan.vectors, array.spec.rows)
    v = settings.v_read * rng.random(shape) * rng.random((*shape[:2], 1))
    largest = (v @ g).max(axis=(1, 2))
    full = plan.fill * np.asarray(settings.i_vmm)
    v *= np.minimum(1.0, full / np.maximum(largest, 1e-30))[:, None, None]
    return np.rint(v * (top / settings.v_read)) * (settings.v_read / top)


def _lines(
    x: Floats, y: Floats, counts: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Gain, offset and residual of y = gain x + offset along axis 1, of the samples that count."""
    n = counts.sum(axis=1)
    if (n < 3).any():
        raise ConfigError("a column clips for nearly every input: fit the ADC range first")
    w = counts.astype(np.float64)
    mean_x, mean_y = (w * x).sum(1) / n, (w * y).sum(1) / n
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    gain = (w * dx * dy).sum(1) / (w * dx * dx).sum(1)
    offset = mean_y - gain * mean_x
    rest = w * (dy - gain[:, None] * dx)
    return gain, offset, np.sqrt((rest**2).sum(1) / n)
