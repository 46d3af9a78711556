"""Grouped convolutions: their places, their cost, and their products on emulated chips."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cimlab.board.hal_array import HalArray
from cimlab.core.joined import JoinedArray
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.nn import ChipConv2d, DeviceWindow, calibrate, convert, cut_layer, place
from cimlab.nn.cost import cost
from tests.nn.ideal import IdealArray
from tests.nn.test_tiling import spec

QUIET = Imperfections(0.0, 0.0, 0.0)


def test_cuts_by_hand() -> None:
    def parts(layer: nn.Conv2d, rows: int = 64, cols: int = 64) -> tuple[int, int, int]:
        cut = cut_layer("x", layer, spec(1, rows, cols))
        return cut.tiles, cut.turns, cut.parts

    # 9 rows and a pair each: 7 fit down 64 rows, 64 need ten tiles, which then take 7 turns
    assert parts(nn.Conv2d(64, 64, 3, groups=64)) == (10, 7, 64)
    assert parts(nn.Conv2d(64, 64, 3, groups=64), 256) == (3, 22, 64)
    # 36 rows and 4 pairs: one a tile
    assert parts(nn.Conv2d(16, 16, 3, groups=4)) == (4, 1, 4)
    # 16 rows and 16 pairs: two by their columns, four by their rows
    assert parts(nn.Conv2d(64, 64, 1, groups=4)) == (2, 2, 4)
    # 72 rows are two parts of 7 and 1 channels, 40 outputs two of 32 and 8
    assert parts(nn.Conv2d(16, 80, 3, groups=2)) == (8, 1, 8)


@given(
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(4, 12),
    st.integers(4, 12),
    st.booleans(),
)
def test_every_weight_has_cells_of_its_own(
    groups: int, channels: int, outputs: int, rows: int, cols: int, around: bool
) -> None:
    layer = nn.Conv2d(groups * channels, groups * outputs, (1, 2), groups=groups)
    array = spec(60, rows, cols)
    bad = np.zeros(array.shape, bool)
    bad[::2, ::3, ::4] = around
    placement = place({"x": layer}, array, ~bad if around else None)["x"]
    plus, minus = placement.cells(array)
    assert plus.shape == (groups * outputs, channels * 2)
    assert (minus == plus + 1).all()
    assert len(np.unique(placement.cells(array))) == 2 * plus.size
    tile, rest = np.divmod(plus, rows * cols)
    row, col = np.divmod(rest, cols)
    assert (col % 2 == 0).all()
    done = 0
    for strip in placement.strips():
        (low, high), window = strip.outputs, strip.window
        assert low == done
        done = high
        assert np.isin(tile[low:high], window.tiles).all()
        assert (row[low:high] >= window.rows[0]).all()
        assert (row[low:high] < window.rows[1]).all()
        # the row of an input follows from where the strip's inputs begin
        wanted, which = strip.targets >= 0, strip.targets
        assert sorted(set(which[wanted].tolist())) == list(range(high - low))
    assert done == groups * outputs
    assert len(set(placement.tiles)) == placement.cut.tiles


def test_a_chip_without_bad_cells_is_used_as_ever() -> None:
    array = spec(30)
    for layer in (nn.Conv2d(64, 64, 3, groups=64), nn.Conv2d(16, 80, 3, groups=2)):
        layers = {"0": nn.Linear(80, 3), "1": layer}
        assert place(layers, array, np.ones(array.shape, bool)) == place(layers, array)


def test_blocks_go_to_the_tiles_with_fewest_bad_cells_beneath_them() -> None:
    array, layer = spec(4, 8, 8), nn.Conv2d(4, 4, 2, groups=4)  # two tiles of two blocks
    usable = np.ones(array.shape, bool)
    usable[0, :, 0] = False
    usable[2, 3, 1] = False
    usable[3, 0:4, 2:] = usable[3, 4:, :2] = False  # beside the diagonal
    assert place({"x": layer}, array, usable)["x"].tiles == (3, 1, 3, 1)


class Mobile(nn.Sequential):
    """Depthwise and pointwise, after a convolution with stride."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 24, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        )


def test_cost_of_groups_by_hand() -> None:
    found = cost(Mobile(), (3, 8, 8), spec())
    depthwise = found.layers[1]
    assert depthwise.devices == 2 * 16 * 9
    assert (depthwise.cut.tiles, depthwise.cut.turns) == (3, 6)
    assert (depthwise.operations, depthwise.tile_operations) == (16 * 6, 16 * 16)
    assert depthwise.flops == 16 * 2 * 16 * 9
    assert found.tiles == 1 + 3 + 1 + 1
    assert found.operations == 16 + 96 + 16 + 1


def carried(layer: ChipConv2d, hal: SimulatedHal, array: HalArray) -> None:
    """W_FP is what the cells carry."""
    plus, minus = 0.1 * hal.conductances.reshape(-1)[layer.placement.cells(array.spec)]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy((plus - minus) * layer.scale).view_as(layer.weight))


@pytest.mark.parametrize("groups", [2, 8])
def test_on_an_emulated_chip_it_is_torchs_own(groups: int) -> None:
    """Forward, and backward through the array, to half a step of the converters."""
    hal = SimulatedHal(device("brram", sigma_read=0.0), tiles=4, imperfections=QUIET)
    array = HalArray(hal)
    model = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, groups=groups))
    layer = convert(model, array)["0"]
    assert isinstance(layer, ChipConv2d)
    carried(layer, hal, array)
    x = torch.rand(32, 8, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    calibrate(model, {"0": layer}, array, x.detach())
    twin = x.detach().clone().requires_grad_()
    expected = F.conv2d(twin, layer.weight.detach(), layer.bias, padding=1, groups=groups)
    out = model(x)
    step = max(array.converters.i_vmm[k] for k in layer.placement.tiles) / 255
    # two roundings of a pair's columns: 0.41 steps
    assert rms(out - expected) < 0.5 * step * layer.scale * float(layer.input_top)
    assert rms(expected - expected.mean()) > 5 * rms(out - expected)
    assert np.all(layer.clipped < 0.01)
    layer.back = DeviceWindow()
    errors = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    out.backward(errors)
    expected.backward(errors)
    assert x.grad is not None
    assert twin.grad is not None
    assert rms(x.grad - twin.grad) < 0.08 * rms(twin.grad)


def rms(values: Tensor) -> float:
    return float(values.detach().square().mean().sqrt())


def test_groups_on_several_boards_are_those_on_one() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 12, 3, groups=2))
    one, members = IdealArray(tiles=12, rows=36, cols=8), []
    for k, tiles in enumerate((3, 9)):
        member = IdealArray(tiles=tiles, rows=36, cols=8)
        member.current = one.current.reshape(12, -1)[3 * k : 3 * k + tiles].reshape(-1)
        members.append(member)
    x = torch.rand(2, 8, 6, 6)
    outs = []
    with JoinedArray(members) as joined:
        for array in (one, joined):
            net = copy.deepcopy(model)
            convert(net, array)
            outs.append(net(x).detach())
    torch.testing.assert_close(*outs)
