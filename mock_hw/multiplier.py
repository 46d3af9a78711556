"""Products of the simulated chip: which of the two compiled ways a call goes, and with what."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Floats, PairSum, Unfold, Window
from cimlab.mock_hw import products
from cimlab.mock_hw.products import Plan

WIDE = 32
"""Columns from which plain vectors go along them."""
FEW = 8
"""Vectors below which they always do."""
_F32 = NDArray[np.float32]
_SINGLE, _MARK = np.dtype(np.float32), np.dtype(np.bool_)
_FLAT = Unfold((1, 1))
_NOTHING = np.empty(0, np.float32)
_UNMARKED = np.empty((0, 0, 0), np.bool_)
_UNPAIRED = np.empty((0, 0), np.int64)
_UNWEIGHED = np.empty((0, 0), np.float32)
_ALL_COLUMNS = (_UNWEIGHED, _NOTHING, _UNPAIRED, _NOTHING, np.empty(0, np.int64))
"""Weights, scales, targets, constants and clips of no pairs."""


class Side(NamedTuple):
    """The converters at one side of the tiles.

    Attributes:
        front: (tiles, 4, outputs): slope, noise, offset and noise floor of each one's codes.
        keys: (tiles, 2, pairs) of their noise.
    """

    front: _F32
    keys: NDArray[np.uint32]


class Call(NamedTuple):
    """What depends on the shape of a request alone.

    Attributes:
        plan: `Plan` and tiles, as `products.plan.unpacked` takes them.
        tiles: Of the chip.
        shape: Of what comes out.
        multiply: The kernel.
    """

    plan: NDArray[np.int64]
    tiles: tuple[int, ...]
    shape: tuple[int, ...]
    multiply: Callable[..., int]


class Multiplier:
    """Multiplies with the cells of a chip.

    Args:
        g: Conductances, (tiles, rows, cols) S; used in place.
        vectors: Vectors that each tile has converted, (2, tiles), forward and transposed: they key
            the noise. Used in place.

    Attributes:
        sides: Converters at the columns, and those at the rows for transposed products.
    """

    def __init__(self, g: _F32, vectors: NDArray[np.uint64]) -> None:
        self.sides: tuple[Side, Side]
        self._g, self._vectors = g, vectors
        # of the last product: a look at it is sooner done than one into a dictionary
        self._last: tuple[tuple[object, ...], Call] | None = None

    def currents(
        self,
        x: NDArray[Any],
        unit: float,
        window: Window,
        unfold: Unfold | None,
        transposed: bool,
        lsb: Floats,
    ) -> tuple[_F32, NDArray[np.bool_], int]:
        """Every converter's output, what clipped, and how many inputs were out of range.

        Args:
            x: (t, vectors, driven), or a map (images, channels, height, width).
            unit: Input codes a unit of x.
            window: Where.
            unfold: How the map is cut, or None.
            transposed: Drive columns, read rows.
            lsb: Output units a code, (tiles of the chip,) float64.
        """
        asked = (x.shape, window, unfold, transposed)
        last = self._last
        if last is None or last[0] != asked:
            last = self._last = asked, _currents(*asked)
        call = last[1]
        out, marks = np.empty(call.shape, _SINGLE), np.empty(call.shape, _MARK)
        wrong = self._run(x, unit, call, transposed, lsb, out, marks, _ALL_COLUMNS)
        return out, marks, wrong

    def pair_sums(
        self,
        x: NDArray[Any],
        unit: float,
        sums: Sequence[PairSum],
        unfold: Unfold | None,
        lsb: Floats,
    ) -> tuple[_F32, NDArray[np.int64]]:
        """Sums of pairs of each window, side by side, and how many conversions clipped.

        Args:
            x: (vectors, inputs), or a map (images, channels, height, width), of any kind.
            unit: Input codes a unit of x; codes beyond the DAC's drive its ends.
            sums: What is wanted.
            unfold: How the map is cut, or None.
            lsb: Amperes a code, (tiles of the chip,) float64.

        Returns:
            (vectors, outputs) or (images, outputs, height', width'), and (all t,).
        """
        layout = tuple((part.window, part.constant.size) for part in sums)
        calls = _pair_sums(x.shape, layout, unfold)
        out = np.empty(calls[0].shape, np.float32)
        flat, clipped = out.reshape(1, 1, -1), []
        for call, part in zip(calls, sums, strict=True):
            clipped.append(np.zeros(len(part.targets), np.int64))
            wanted = (part.weights, part.scales, part.targets, part.constant, clipped[-1])
            self._run(x, unit, call, False, lsb, flat, _UNMARKED, wanted)
        return out, clipped[0] if len(clipped) == 1 else np.concatenate(clipped)

    def _run(
        self,
        x: NDArray[Any],
        unit: float,
        call: Call,
        transposed: bool,
        lsb: Floats,
        out: _F32,
        marks: NDArray[np.bool_],
        pairs: tuple[NDArray[Any], ...],
    ) -> int:
        """A kernel's call; pairs are its last arguments, and what it returns."""
        if x.dtype is not _SINGLE:
            x = x.astype(_SINGLE)
        if x.ndim != 3 or not x.flags.c_contiguous:  # one type for the compiler
            x = x.reshape(1, 1, -1)
        plan, tiles, _, multiply = call
        g, (front, keys) = self._g, self.sides[transposed]
        if transposed:
            g = np.ascontiguousarray(g[list(tiles)].transpose(0, 2, 1))
        return multiply(x, plan, g, front, keys, self._vectors, unit, lsb, out, marks, *pairs)


@functools.lru_cache(maxsize=256)
def _currents(
    shape: tuple[int, ...], window: Window, unfold: Unfold | None, transposed: bool
) -> Call:
    plan = _plan(shape, window, unfold, transposed)
    if unfold is None:
        plan = plan._replace(
            tile_step=shape[1] * shape[2],
            image_step=shape[2],
            channels=len(window.tiles) * shape[2],
            images=shape[1],
        )
    plan = plan._replace(strict=1)
    vectors = plan.images * plan.out_h * plan.out_w
    return _call(plan, window, (len(window.tiles), vectors, plan.cols), transposed)


@functools.lru_cache(maxsize=256)
def _pair_sums(
    shape: tuple[int, ...], layout: tuple[tuple[Window, int], ...], unfold: Unfold | None
) -> tuple[Call, ...]:
    """Calls for windows with so many outputs each."""
    outputs = sum(n for _, n in layout)
    calls, first = [], 0
    for window, n in layout:
        plan = _plan(shape, window, unfold, False)
        plan = plan._replace(pairs=1, first=first, outputs=outputs)
        out: tuple[int, ...] = (shape[0], outputs)
        if unfold is not None:
            out = (*out, plan.out_h, plan.out_w)
        calls.append(_call(plan, window, out, False))
        first += n
    return tuple(calls)


def _plan(shape: tuple[int, ...], window: Window, unfold: Unfold | None, transposed: bool) -> Plan:
    """For a map, or vectors (n, inputs); currents, not sums."""
    rows, cols = (window.cols, window.rows) if transposed else (window.rows, window.cols)
    u = unfold or _FLAT
    channels, height, width = (shape[1], *shape[2:]) if unfold else (shape[1], 1, 1)
    group = (rows[1] - rows[0]) // (u.kernel[0] * u.kernel[1])
    out_h, out_w = u.output(height, width)
    return Plan(
        images=shape[0],
        image_step=channels * height * width,
        tile_step=group * height * width,
        channels=channels,
        group=group,
        height=height,
        width=width,
        kernel_h=u.kernel[0],
        kernel_w=u.kernel[1],
        stride_h=u.stride[0],
        stride_w=u.stride[1],
        padding_h=u.padding[0],
        padding_w=u.padding[1],
        dilation_h=u.dilation[0],
        dilation_w=u.dilation[1],
        out_h=out_h,
        out_w=out_w,
        row0=rows[0],
        col0=cols[0],
        cols=cols[1] - cols[0],
        pairs=0,
        first=0,
        outputs=0,
        strict=0,
        kind=int(transposed),
    )


def _call(plan: Plan, window: Window, shape: tuple[int, ...], transposed: bool) -> Call:
    tiles = window.tiles
    where = range(len(tiles)) if transposed else tiles
    along_columns = plan.height == plan.width == 1 and (
        plan.images * plan.out_h * plan.out_w < FEW or plan.cols >= WIDE
    )
    multiply = products.columns if along_columns else products.lanes
    return Call(np.array([*plan, *where, *tiles], np.int64), tiles, shape, multiply)
