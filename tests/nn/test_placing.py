"""Layers are placed around bad cells, with as few of them in use as can be."""

from __future__ import annotations

import copy
import itertools
import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from cimlab.core.array import Mask
from cimlab.nn import Cut, convert, cut_layer, place
from cimlab.training.lenet import LeNet
from tests.nn.ideal import IdealArray
from tests.nn.test_layer import LAYERS, random_pairs
from tests.nn.test_tiling import spec


def bad_cells(tiles: int, rows: int, cols: int) -> st.SearchStrategy[Mask]:
    """Maps with few bad cells, and with many."""
    return st.sampled_from([0.05, 0.3, 0.8]).flatmap(
        lambda share: arrays(np.float64, (tiles, rows, cols), elements=st.floats(0, 1)).map(
            lambda x: x > 1 - share
        )
    )


def fewest(cuts: list[Cut], bad: Mask) -> int:
    """Bad cells in the best of all placements, by trying every one."""
    tiles, rows, cols = bad.shape
    parts = [
        (cut, cut.inputs_of(k), cut.outputs_of(j))
        for cut in cuts
        for j in range(cut.column_parts)
        for k in range(cut.row_parts)
    ]

    def cost(cut: Cut, inputs: int, outputs: int, tile: int) -> int:
        starts = range(rows - inputs + 1) if cut.row_parts == 1 else range(1)
        return min(
            sum(int(bad[tile, r : r + inputs, 2 * p : 2 * p + 2].sum()) for p in pairs)
            for r in starts
            for pairs in itertools.combinations(range(cols // 2), outputs)
        )

    costs = [[cost(*part, tile) for tile in range(tiles)] for part in parts]
    return min(
        sum(costs[p][tile] for p, tile in enumerate(chosen))
        for chosen in itertools.permutations(range(tiles), len(parts))
    )


@given(bad_cells(4, 3, 6), st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1))
def test_no_placement_uses_fewer_bad_cells(bad: Mask, shapes: list[tuple[int, int]]) -> None:
    array = spec(4, 3, 6)
    layers: dict[str, nn.Module] = {str(k): nn.Linear(i, o) for k, (i, o) in enumerate(shapes)}
    cuts = [cut_layer(name, layer, array) for name, layer in layers.items()]
    while sum(cut.tiles for cut in cuts) > 4:
        layers.popitem()
        cuts.pop()
    if not layers:
        return
    placed = place(layers, array, ~bad)
    cells = np.concatenate([p.cells(array).ravel() for p in placed.values()])
    assert len(np.unique(cells)) == cells.size
    assert int(bad.reshape(-1)[cells].sum()) == fewest(cuts, bad)
    for placement in placed.values():
        plus, minus = placement.cells(array)
        assert (minus == plus + 1).all()
        assert (plus % 6 % 2 == 0).all()
        windows = [strip.window for strip in placement.strips()]
        assert sum((w.tiles for w in windows), ()) == placement.tiles
        for window in windows:
            assert 0 <= window.rows[0] < window.rows[1] <= 3
            assert 0 <= window.cols[0] < window.cols[1] <= 6


def test_a_chip_without_bad_cells_is_used_as_ever() -> None:
    array, model = spec(), LeNet(torch.Generator())
    layers = {"conv1": model.conv1, "conv2": model.conv2, "fc": model.fc}
    assert place(layers, array, np.ones(array.shape, bool)) == place(layers, array)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("unfold", [True, False])
@pytest.mark.parametrize("scattered", [True, False])
def test_what_is_computed_does_not_depend_on_the_place(
    name: str, unfold: bool, scattered: bool
) -> None:
    """Bad cells everywhere on wide tiles, or many on every second tile: the same product."""
    layer, shape = LAYERS[name]
    array = IdealArray(tiles=40, rows=8, cols=48 if scattered else 16, unfold=unfold)
    usable = np.random.default_rng(3).random(array.spec.shape) > (0.02 if scattered else 0.2)
    if not scattered:
        usable[1::2] = True
    model = nn.Sequential(copy.deepcopy(layer))
    twin = copy.deepcopy(model)
    layers = convert(model, array, usable=usable)
    cells = layers["0"].placement.cells(array.spec)
    assert usable.reshape(-1)[cells].all()
    twin = random_pairs(layers, array, twin)
    # what bad cells carry must not matter
    array.current[~usable.ravel()] = 1.0
    x = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(model(x), twin(x), rtol=1e-4, atol=1e-5)


def test_bad_cells_that_cannot_be_avoided_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    array = IdealArray(tiles=1, rows=4, cols=8)
    usable = np.ones(array.spec.shape, bool)
    usable[0, 1, 2] = usable[0, 3, 5] = usable[0, 3, 6] = False
    with caplog.at_level(logging.WARNING, "cimlab.nn"):
        convert(nn.Sequential(nn.Linear(3, 2)), array, usable=usable)
        assert caplog.messages == []
        convert(nn.Sequential(nn.Linear(4, 3)), array, usable=usable)
    assert caplog.messages == ["2 of the 24 cells in use are bad; no placement avoids them"]
