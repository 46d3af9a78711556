"""What several arrays are as one, and windows that span them, cut into what each of them does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array import ArraySpec, PairSum, Unfold, Window
from .errors import ConfigError
from .limits import tighter

_ALIKE = ("rows", "cols", "dac_bits", "adc_bits", "vmm", "origin")


@dataclass(frozen=True, slots=True)
class Piece:
    """One array's part of a window.

    Attributes:
        positions: Which of the window's tiles it has, rising, (n,).
        window: The same tiles as the array numbers them.
    """

    positions: NDArray[np.int64]
    window: Window


def pieces_of(window: Window, ends: NDArray[np.int64]) -> dict[int, Piece]:
    """Pieces by array; ends: the number of tiles up to each array's last one."""
    tiles = np.array(window.tiles, np.int64)
    owner = np.searchsorted(ends, tiles, side="right")
    found = {}
    for k in np.unique(owner).tolist():
        positions = np.flatnonzero(owner == k)
        own = tiles[positions] - (ends[k - 1] if k else 0)
        found[k] = Piece(positions, replace(window, tiles=tuple(own.tolist())))
    return found


def inputs_of(x: NDArray[np.floating], piece: Piece, unfold: Unfold | None) -> NDArray[np.floating]:
    """The inputs of a piece's tiles: columns of vectors (n, inputs), or channels of maps."""
    kernel = 1 if unfold is None else unfold.kernel[0] * unfold.kernel[1]
    each = piece.window.n_rows // kernel
    wanted = (piece.positions[:, None] * each + np.arange(each)).ravel()
    return np.ascontiguousarray(x[:, wanted[wanted < x.shape[1]]])


def pair_sum(part: PairSum, piece: Piece, first: bool) -> PairSum:
    """A piece's part of a sum of pairs; the first one brings the constant."""
    where = piece.positions
    return PairSum(
        piece.window,
        part.weights[where],
        part.scales[where],
        part.targets[where],
        part.constant if first else np.zeros_like(part.constant),
    )


def share(values: ArrayLike, shape: tuple[int, ...], part: slice) -> NDArray[np.generic]:
    """A part of values that broadcast to a shape, along its first axis."""
    return np.broadcast_to(np.asarray(values), shape)[part]


def same_inputs(
    sums: Sequence[PairSum], pieces: Sequence[Mapping[int, Piece]], k: int
) -> Iterable[list[int]]:
    """Numbers of the sums that member k has tiles of, those of the same inputs together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for n, own in enumerate(pieces):
        if k in own:
            wanted = (sums[n].window.n_rows, *own[k].positions.tolist())
            groups.setdefault(wanted, []).append(n)
    return groups.values()


def joined_spec(specs: Sequence[ArraySpec]) -> ArraySpec:
    """What arrays are together; ConfigError when that is nothing."""
    first = specs[0]
    for spec in specs[1:]:
        for name in _ALIKE:
            if getattr(spec, name) != getattr(first, name):
                raise ConfigError(
                    f"arrays that are joined have the same {name}, not {getattr(first, name)} "
                    f"({first.identity}) and {getattr(spec, name)} ({spec.identity})"
                )
    return replace(
        first,
        tiles=sum(spec.tiles for spec in specs),
        limits=reduce(tighter, [spec.limits for spec in specs]),
        identity=" + ".join(spec.identity for spec in specs),
        capabilities=frozenset.intersection(*[spec.capabilities for spec in specs]),
    )
