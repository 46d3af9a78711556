"""Sums of pairs of columns, for arrays that give every column apart (see `array.PairSum`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .array import CimArray, PairProduct, PairSum, Unfold, Window

Numbers: TypeAlias = NDArray[Any]
Multiply: TypeAlias = Callable[
    [Numbers, "Window", "Unfold | None"], tuple[Numbers, NDArray[np.bool_]]
]
"""Inputs (tiles, n, rows), or a map that is to be unfolded, to outputs (tiles, n, columns), and
where they clipped."""


def pair_product(
    x: Numbers,
    sums: Sequence[PairSum],
    weights: Sequence[Numbers],
    unfold: Unfold | None,
    unfolds: bool,
    multiply: Multiply,
) -> PairProduct:
    """Sums of pairs from the outputs of every column.

    Args:
        x: Inputs as `multiply` wants them: (n, inputs), or (images, channels, height, width).
        sums: What is wanted.
        weights: For each of them, output units an output of `multiply`, (tiles, columns).
        unfold: How maps are cut, or None.
        unfolds: Whether `multiply` unfolds maps; else it gets vectors.
        multiply: The product of one window.
    """
    from .array import PairProduct

    vectors = x if unfold is None else None if unfolds else unfolded(x, unfold)
    values, clipped = [], []
    for part, weight in zip(sums, weights, strict=True):
        if vectors is None:
            outputs, marks = multiply(x, part.window, unfold)
        else:
            outputs, marks = multiply(row_parts(vectors, part.window), part.window, None)
        total = np.broadcast_to(part.constant, (outputs.shape[1], part.constant.size)).copy()
        for k, targets in enumerate(part.targets):
            used = np.flatnonzero(targets >= 0)
            to = targets[used]
            for column in (2 * used, 2 * used + 1):
                total[:, to] += outputs[k][:, column] * weight[k, column]
            both = np.concatenate([2 * used, 2 * used + 1])
            clipped.append(np.count_nonzero(marks[k][:, both]))
        values.append(total)
    out = np.concatenate(values, 1)
    if unfold is not None:
        size = unfold.output(*x.shape[2:])
        out = out.reshape(x.shape[0], -1, out.shape[1]).transpose(0, 2, 1)
        out = np.ascontiguousarray(out).reshape(*out.shape[:2], *size)
    return PairProduct(out, np.array(clipped, np.int64))


def pairs_of_columns(
    array: CimArray, x: Numbers, volts: float, sums: Sequence[PairSum], unfold: Unfold | None
) -> PairProduct:
    """`CimArray.vmm_pairs` by way of `vmm` and `vmm_unfolded`."""

    def multiply(
        v: Numbers, window: Window, unfold: Unfold | None
    ) -> tuple[Numbers, NDArray[np.bool_]]:
        product = array.vmm(v, window) if unfold is None else array.vmm_unfolded(v, unfold, window)
        return product.current, product.saturated

    v = np.multiply(x, np.float32(volts), dtype=np.float32).clip(0.0, array.converters.v_read)
    weights = [part.weights * part.scales[:, None] for part in sums]
    unfolds = "unfold" in array.spec.capabilities
    return pair_product(v, sums, weights, unfold, unfolds, multiply)


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
