"""Placing layers on tiles: in order, or around bad cells.

Around bad cells, a part of a layer may go to any tile and its outputs to any column pairs there;
where a layer has a single row part, its rows may start anywhere. Groups of a convolution that
share tiles keep their places there. Of all such placements one that uses the fewest bad cells is
found, exactly: the best rows and pairs of every part on every tile, then the cheapest assignment
of parts to tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cimlab.core.array import ArraySpec, Mask
from cimlab.core.errors import ConfigError

from .tiling import Cut, Placement, cut_layer

Counts = NDArray[np.int64]


def place(
    layers: Mapping[str, nn.Module], spec: ArraySpec, usable: Mask | None = None
) -> dict[str, Placement]:
    """Give each layer tiles of its own, in order.

    Args:
        layers: By name.
        spec: The array.
        usable: False for cells to avoid, (tiles, rows, cols); see above.

    Raises:
        ConfigError: The layers need more tiles than there are; says which need how many.
    """
    cuts = {name: cut_layer(name, layer, spec) for name, layer in layers.items()}
    if sum(cut.tiles for cut in cuts.values()) > spec.tiles:
        raise ConfigError(_too_many(cuts, spec))
    if usable is not None:
        return _around(cuts, ~usable)
    placements: dict[str, Placement] = {}
    first = 0
    for name, cut in cuts.items():
        placements[name] = Placement.plain(cut, first)
        first += cut.tiles
    return placements


def _too_many(cuts: Mapping[str, Cut], spec: ArraySpec) -> str:
    """What to tell someone whose network does not fit."""
    need = ", ".join(f"{name} {cut.tiles}" for name, cut in cuts.items())
    total = sum(cut.tiles for cut in cuts.values())
    fit, left = [], spec.tiles
    for name, cut in cuts.items():
        if cut.tiles <= left:
            fit.append(name)
            left -= cut.tiles
    message = (
        f"the network needs {total} tiles of {spec.rows}x{spec.cols} ({need}), "
        f"the array has {spec.tiles}; use an array of at least {total} tiles"
    )
    return message + (f", or on_chip={','.join(fit)}: the others then run digitally" if fit else "")


def _around(cuts: Mapping[str, Cut], bad: Mask) -> dict[str, Placement]:
    """Place cut layers so that they use as few bad cells as can be.

    Where several placements do, parts stay on the tiles, rows and columns where they would be on
    a chip without bad cells.

    Args:
        cuts: Layers by name; no more parts than tiles.
        bad: True for cells to avoid, (tiles, rows, cols).
    """
    from scipy.optimize import linear_sum_assignment

    tiles, _, cols = bad.shape
    even = bad[:, :, : cols // 2 * 2].astype(np.int64)
    # above each row, so that a difference counts a range of rows: (tiles, rows + 1, pairs)
    above = np.pad(np.cumsum(even[:, :, 0::2] + even[:, :, 1::2], axis=1), ((0, 0), (1, 0), (0, 0)))
    found = [one for cut in cuts.values() for one in _candidates(above, cut)]
    touched = np.stack([cost for cost, _ in found])
    # one bad cell outweighs all moves
    moved = np.arange(tiles) != np.arange(len(found))[:, None]
    _, chosen = linear_sum_assignment(touched * (len(found) + 1) + moved)
    placements, done = {}, 0
    for name, cut in cuts.items():
        mine = slice(done, done + cut.tiles)
        done += cut.tiles
        placements[name] = _placement(above, cut, chosen[mine], [first for _, first in found[mine]])
    return placements


def _candidates(above: Counts, cut: Cut) -> list[tuple[Counts, Counts]]:
    """What each tile of a layer would find on each tile of the chip (see `_best`)."""
    if cut.blocks == 1:
        return [_best(above, cut, *part) for part in _parts(cut)]
    plain = Placement.plain(cut, 0)
    costs = np.zeros((cut.tiles, len(above)), np.int64)
    for tile, row, pairs in zip(plain.tiles, plain.rows, plain.pairs, strict=True):
        counts = above[:, row + cut.rows] - above[:, row]
        costs[tile] += counts[:, list(pairs)].sum(1)
    return [(cost, np.zeros(len(above), np.int64)) for cost in costs]


def _parts(cut: Cut) -> Iterator[tuple[int, int]]:
    """Inputs and outputs of each part, in the order of its tiles."""
    for j in range(cut.column_parts):
        for k in range(cut.row_parts):
            yield cut.inputs_of(k), cut.outputs_of(j)


def _best(above: Counts, cut: Cut, inputs: int, outputs: int) -> tuple[Counts, Counts]:
    """Bad cells that a part must use on each tile, (tiles,), and the first row for that."""
    room = above.shape[1] - 1 - min(cut.rows, cut.inputs)
    # row parts, and groups that one product does, share their rows: they keep the first
    starts = range(room + 1) if cut.row_parts == cut.strip == 1 else range(1)
    cost = np.stack(
        [
            np.partition(above[:, r + inputs] - above[:, r], outputs - 1, axis=1)[:, :outputs].sum(
                1
            )
            for r in starts
        ]
    )
    return cost.min(axis=0), cost.argmin(axis=0)


def _placement(above: Counts, cut: Cut, tiles: Counts, starts: list[Counts]) -> Placement:
    """A layer on the tiles chosen for its parts."""
    if cut.blocks > 1:
        plain = Placement.plain(cut, 0)
        return replace(plain, tiles=tuple(tiles[list(plain.tiles)].tolist()))
    pairs = []
    for (inputs, outputs), tile, start in zip(_parts(cut), tiles, starts, strict=True):
        row = int(start[tile])
        counts = above[tile, row + inputs] - above[tile, row]
        pairs.append(tuple(sorted(np.argsort(counts, kind="stable")[:outputs].tolist())))
    first = [int(starts[p][tiles[p]]) for p in range(0, cut.tiles, cut.row_parts)]
    return Placement(cut, tuple(tiles.tolist()), tuple(first), tuple(pairs))
