"""Sums of pairs of columns (see `array.PairSum`): what is common to every way of making them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .answers import PairProduct, PairSum, Product
from .spec import Unfold, Window

if TYPE_CHECKING:
    from .array import CimArray

Numbers: TypeAlias = NDArray[Any]
Pairs: TypeAlias = tuple[Numbers, NDArray[np.int64]]
"""Wanted pairs of one or more windows, window after window and tile after tile, (images, pairs,
positions), plain vectors at one position each; and how many conversions clipped, (tiles,)."""


class Place(NamedTuple):
    """Where the wanted pairs of a tile go.

    Attributes:
        size: How many they are.
        outputs: Of which outputs they are parts; a slice where they are all of them, in order.
    """

    size: int
    outputs: Numbers | slice


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What of a window is weighed; each is one of its kind, and can be told by that.

    Attributes:
        window: Whole pairs of columns of its tiles.
        weights: Of the columns, (tiles, columns) float32.
        wanted: Pairs that are, (tiles, pairs).
    """

    window: Window
    weights: NDArray[np.float32]
    wanted: NDArray[np.bool_]


def parts_of(sums: Sequence[PairSum]) -> list[Part]:
    """What of each window is weighed."""
    return [Part(part.window, part.weights, part.targets >= 0) for part in sums]


def added(
    shape: tuple[int, ...],
    sums: Sequence[PairSum],
    unfold: Unfold | None,
    pairs: Pairs,
    units: Sequence[Numbers],
) -> PairProduct:
    """Add each window's pairs over its tiles, and put the windows side by side.

    Args:
        shape: Of the inputs.
        sums: What is wanted.
        unfold: How maps are cut, or None.
        pairs: Of all windows.
        units: For each of sums, output units a unit of its pairs, (tiles,) float32.
    """
    found, clipped = pairs
    size = outputs(shape, sums, unfold)
    out = np.empty((*size[:2], math.prod(size[2:])), np.float32)
    add(out, sums, found, units, places(sums))
    return PairProduct(out.reshape(size), clipped)


def outputs(
    shape: tuple[int, ...], sums: Sequence[PairSum], unfold: Unfold | None
) -> tuple[int, ...]:
    """Shape of a product's values, from that of its inputs."""
    size = () if unfold is None else unfold.output(*shape[2:])
    return shape[0], sum(part.constant.size for part in sums), *size


def places(sums: Sequence[PairSum]) -> list[list[Place]]:
    """To which outputs the wanted pairs of each tile of each window go."""
    return [
        [_place(targets[targets >= 0], part.constant.size) for targets in part.targets]
        for part in sums
    ]


def _place(to: Numbers, outputs: int) -> Place:
    in_order = to.size == outputs and bool((to[1:] > to[:-1]).all())
    return Place(to.size, slice(None) if in_order else to)


def add(
    out: Numbers,
    sums: Sequence[PairSum],
    found: Numbers,
    units: Sequence[Numbers],
    places_of: Sequence[Sequence[Place]],
) -> None:
    """Fill out (images, outputs, positions) with the sums of pairs (images, pairs, positions).

    units as for `added`, places_of as `places` gives them.
    """
    first = start = 0
    for part, unit, tiles in zip(sums, units, places_of, strict=True):
        total = out[:, first : first + part.constant.size]
        total[:] = part.constant[:, None]
        for k, (size, outputs) in enumerate(tiles):
            total[:, outputs] += found[:, start : start + size] * unit[k]
            start += size
        first += part.constant.size


def weighed(
    parts: Sequence[Part],
    n: int,
    columns: Callable[[Window], tuple[Numbers, NDArray[np.bool_]]],
) -> Pairs:
    """Wanted pairs from the outputs of every column, for n images or plain vectors.

    Args:
        parts: What is wanted.
        n: Number of images.
        columns: Outputs of a window's columns, (tiles, n * positions, columns), and where they
            clipped.
    """
    found, clipped = [], []
    for part in parts:
        outputs, marks = columns(part.window)
        for values, clips, weight, used in zip(
            outputs, marks, part.weights, part.wanted, strict=True
        ):
            plus = 2 * np.flatnonzero(used)
            found.append(values[:, plus] * weight[plus] + values[:, plus + 1] * weight[plus + 1])
            clipped.append(clips[:, plus].sum() + clips[:, plus + 1].sum())
    sums = np.concatenate(found, 1)
    sums = sums.reshape(n, len(sums) // max(n, 1), sums.shape[1]).transpose(0, 2, 1)
    return sums, np.array(clipped, np.int64)


def pairs_of_columns(
    array: CimArray, x: Numbers, volts: float, sums: Sequence[PairSum], unfold: Unfold | None
) -> PairProduct:
    """`CimArray.vmm_pairs` by way of `vmm` and `vmm_unfolded`."""
    v = np.multiply(x, np.float32(volts), dtype=np.float32).clip(0.0, array.converters.v_read)
    multiply: Callable[[Window], Product]
    if unfold is not None and "unfold" in array.spec.capabilities:
        multiply = partial(array.vmm_unfolded, v, unfold)
    else:
        vectors = v if unfold is None else unfolded(v, unfold)

        def cut(window: Window) -> Product:
            return array.vmm(row_parts(vectors, window), window)

        multiply = cut

    def columns(window: Window) -> tuple[Numbers, NDArray[np.bool_]]:
        product = multiply(window)
        return product.current, product.saturated

    found = weighed(parts_of(sums), len(x), columns)
    return added(x.shape, sums, unfold, found, [part.scales for part in sums])


def unfolded(maps: Numbers, unfold: Unfold) -> Numbers:
    """Vectors (n, inputs) of feature maps (images, channels, height, width)."""
    (ph, pw), (dh, dw) = unfold.padding, unfold.dilation
    (kh, kw), (sh, sw) = unfold.kernel, unfold.stride
    padded = np.pad(maps, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    patches = sliding_window_view(padded, reach, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    return patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, maps.shape[1] * kh * kw)


def row_parts(vectors: Numbers, window: Window) -> Numbers:
    """Vectors (n, inputs) cut for a window's tiles, (tiles, n, rows); rows left over get 0."""
    tiles, rows = len(window.tiles), window.n_rows
    n, inputs = vectors.shape
    if inputs < tiles * rows:
        vectors = np.pad(vectors, ((0, 0), (0, tiles * rows - inputs)))
    return np.ascontiguousarray(vectors.reshape(n, tiles, rows).transpose(1, 0, 2))
