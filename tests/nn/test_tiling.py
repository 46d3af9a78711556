from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import ConfigError
from cimlab.nn import Cut, Placement, convert, cut_layer, place
from cimlab.training.lenet import LeNet
from tests.nn.ideal import IdealArray


def spec(tiles: int = 8, rows: int = 64, cols: int = 64) -> ArraySpec:
    return ArraySpec(tiles, rows, cols, 8, 8, Limits(), "analog", "emulated", "test")


def crossbars(layers: list[nn.Module], rows: int, cols: int) -> int:
    return sum(cut_layer("x", layer, spec(1, rows, cols)).tiles for layer in layers)


def lenet() -> LeNet:
    return LeNet(torch.Generator().manual_seed(0))


def test_lenet_needs_six_tiles_and_6440_devices() -> None:
    model = lenet()
    layers = [model.conv1, model.conv2, model.fc]
    assert [cut_layer("x", layer, spec()).tiles for layer in layers] == [1, 2, 3]
    assert 2 * sum(layer.weight.numel() for layer in layers) == 6440


def test_vgg8_needs_the_78_crossbars_of_the_paper() -> None:
    widths = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    layers: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1) for a, b in widths]
    layers += [nn.Linear(2048, 128), nn.Linear(128, 10)]
    assert crossbars(layers, 256, 64) == 78


def test_resnet18_needs_the_1480_crossbars_of_the_paper() -> None:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3)]
    for before, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(before, width, 3)] + [nn.Conv2d(width, width, 3) for _ in range(3)]
        if before != width:
            layers.append(nn.Conv2d(before, width, 1))
    layers.append(nn.Linear(512, 10))
    assert crossbars(layers, 256, 64) == 1480


def test_addresses_by_hand() -> None:
    # 5 inputs in parts of 3 rows, 3 outputs in parts of 2 pairs, on tiles 1 .. 4 of 4 x 5 cells
    placement = Placement.plain(Cut(5, 3, 3, 2), first=1)
    plus, minus = placement.cells(spec(5, 4, 5))
    assert plus[0].tolist() == [20, 25, 30, 40, 45]  # tile 1 rows 0 - 2, tile 2 rows 0 - 1
    assert plus[1].tolist() == [22, 27, 32, 42, 47]
    assert plus[2].tolist() == [60, 65, 70, 80, 85]  # the second column part: tiles 3 and 4
    assert (minus == plus + 1).all()
    windows = [strip.window for strip in placement.strips()]
    assert [w.tiles for w in windows] == [(1, 2), (3, 4)]
    assert [(w.rows, w.cols) for w in windows] == [((0, 3), (0, 4)), ((0, 3), (0, 2))]


@given(st.data())
def test_every_weight_has_two_cells_of_its_own_inside_its_window(data: st.DataObject) -> None:
    rows, cols = data.draw(st.integers(1, 9)), data.draw(st.integers(2, 9))
    shapes = data.draw(
        st.lists(st.tuples(st.integers(1, 20), st.integers(1, 12)), min_size=1, max_size=3)
    )
    layers = {str(k): nn.Linear(i, o) for k, (i, o) in enumerate(shapes)}
    array = spec(1000, rows, cols)
    placed = place(layers, array)
    cells = [p.cells(array) for p in placed.values()]
    assert [c.shape for c in cells] == [(2, o, i) for i, o in shapes]
    flat = np.concatenate([c.ravel() for c in cells])
    assert len(np.unique(flat)) == flat.size
    for placement, own in zip(placed.values(), cells, strict=True):
        tile, rest = np.divmod(own, rows * cols)
        row, col = np.divmod(rest, cols)
        inside = np.zeros(own.shape, bool)
        for window in (strip.window for strip in placement.strips()):
            inside |= np.isin(tile, window.tiles) & (row < window.rows[1]) & (col < window.cols[1])
        assert inside.all()
        assert (col[0] % 2 == 0).all()


def test_too_many_tiles_names_layers_counts_and_a_way_out() -> None:
    with pytest.raises(ConfigError) as caught:
        convert(lenet(), IdealArray(tiles=4))
    message = str(caught.value)
    for part in (
        "needs 6 tiles of 64x64",
        "conv1 1, conv2 2, fc 3",
        "has 4",
        "on_chip=conv1,conv2",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (nn.Conv2d(1, 4, 9), "needs 81 rows, a tile has 64"),
        (nn.ReLU(), "only Linear and Conv2d"),
    ],
)
def test_layers_that_cannot_be_placed(layer: nn.Module, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        cut_layer("x", layer, spec())


def test_unknown_layer_names() -> None:
    with pytest.raises(ConfigError, match=r"conv9.*conv1, conv2, fc"):
        convert(lenet(), IdealArray(), on_chip=["conv9"])


def test_layers_left_out_stay_digital() -> None:
    model = lenet()
    layers = convert(model, IdealArray(tiles=4), on_chip=["conv2", "conv1"])
    assert list(layers) == ["conv1", "conv2"]
    assert type(model.fc) is nn.Linear
