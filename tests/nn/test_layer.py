"""Chip layers on an array without noise or converters are the digital layers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.nn import ChipConv2d, ChipLayer, calibrate, convert
from cimlab.protocols.calibration import RangePlan
from tests.nn.ideal import IdealArray

LAYERS = {
    "linear": (nn.Linear(7, 3), (5, 7)),
    "linear in parts": (nn.Linear(23, 17), (5, 23)),
    "linear of a sequence": (nn.Linear(7, 3, bias=False), (2, 4, 7)),
    "conv": (nn.Conv2d(2, 3, 2), (3, 2, 6, 5)),
    "conv in parts": (nn.Conv2d(7, 9, (2, 1)), (2, 7, 6, 5)),
    "conv with geometry": (
        nn.Conv2d(3, 3, (2, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        (2, 3, 9, 8),
    ),
    "depthwise": (nn.Conv2d(6, 6, 2, padding=1, groups=6), (2, 6, 5, 4)),
    "groups in turns, the last on fewer tiles": (
        nn.Conv2d(5, 10, (1, 2), stride=(1, 2), groups=5),
        (3, 5, 4, 6),
    ),
    "groups with tiles of their own": (nn.Conv2d(4, 8, (1, 2), groups=2), (2, 4, 3, 5)),
    "groups in parts": (
        nn.Conv2d(10, 12, 2, padding=1, dilation=2, groups=2, bias=False),
        (2, 10, 5, 4),
    ),
    "conv to the same size": (nn.Conv2d(2, 3, (1, 3), padding="same"), (3, 2, 6, 5)),
    "conv around the edges": (
        nn.Conv2d(2, 3, 2, padding="same", padding_mode="circular"),
        (3, 2, 6, 5),
    ),
}


def random_pairs(layers: dict[str, ChipLayer], array: IdealArray, model: nn.Module) -> nn.Module:
    """Let W_FP be what the pairs carry; returns the same network digitally, gains included."""
    generator = torch.Generator().manual_seed(1)
    digital = copy.deepcopy(model)
    for name, layer in layers.items():
        plus, minus = array.current[layer.placement.cells(array.spec)]
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy((plus - minus) * layer.scale).view_as(layer.weight))
            layer.gain.uniform_(0.5, 2.0, generator=generator)
            digital.get_submodule(name).weight.copy_(effective(layer))
    return digital


def effective(layer: ChipLayer) -> Tensor:
    """Weights times the gain of the part they are in, one by one."""
    cut = layer.placement.cut
    own = cut.outputs // cut.groups
    flat = layer.weight.detach().clone().view(cut.outputs, cut.inputs)
    for out in range(cut.outputs):
        for row in range(cut.inputs):
            column = out // own * -(-own // cut.pairs) + out % own // cut.pairs
            flat[out, row] *= layer.gain.detach()[column * cut.row_parts + row // cut.rows]
    return flat.view_as(layer.weight)


def placed(name: str, unfold: bool = True) -> tuple[nn.Module, nn.Module, Tensor, ChipLayer]:
    layer, shape = LAYERS[name]
    array = IdealArray(tiles=20, rows=8, cols=8, unfold=unfold)
    model = nn.Sequential(copy.deepcopy(layer))
    digital = copy.deepcopy(model)
    layers = convert(model, array)
    # the digital twin keeps the digital layer; only its parameters follow the chip
    twin = random_pairs(layers, array, digital)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    return model, twin, x, layers["0"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("unfold", [True, False])
def test_forward_is_the_digital_layer(name: str, unfold: bool) -> None:
    model, digital, x, _ = placed(name, unfold)
    torch.testing.assert_close(model(x), digital(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_signed_inputs_take_two_products(name: str) -> None:
    model, digital, x, _ = placed(name)
    for signed in (x - 0.5, -x):
        torch.testing.assert_close(model(signed), digital(signed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_backward_is_digital_from_the_believed_weights(name: str) -> None:
    model, digital, x, layer = placed(name)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for net, own in zip((model, digital), inputs, strict=True):
        net(own).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-3, atol=1e-4)
    reference = digital[0]
    if layer.bias is not None:
        torch.testing.assert_close(layer.bias.grad, reference.bias.grad, rtol=1e-3, atol=1e-4)
    # chain rule through weight * gain, by hand
    ones = torch.ones_like(layer.gain)
    scale = effective(layer) / layer.weight.detach() * ones[0]
    assert layer.weight.grad is not None
    torch.testing.assert_close(
        layer.weight.grad, reference.weight.grad * scale, rtol=1e-3, atol=1e-3
    )
    assert layer.gain.grad is not None
    torch.testing.assert_close(
        (layer.gain.grad * layer.gain.detach()).sum(),
        (reference.weight.grad * reference.weight.detach()).sum(),
        rtol=1e-3,
        atol=1e-2,
    )


def test_a_dead_input_gives_the_bias() -> None:
    model, _, x, layer = placed("conv")
    assert layer.bias is not None
    out = model(torch.zeros_like(x))
    torch.testing.assert_close(out, layer.bias.view(-1, 1, 1).expand_as(out))


def test_the_input_scale_follows_in_training_and_stands_still_in_evaluation() -> None:
    model, digital, x, layer = placed("linear")
    model(10 * x)
    top = float(layer.input_top)
    assert top == pytest.approx(10 * float(x.max()))
    model(x)
    assert 0.9 * top < float(layer.input_top) < top
    model.eval()
    top = float(layer.input_top)
    model(100 * x)
    assert float(layer.input_top) == top
    # what is larger than the scale is cut to it
    torch.testing.assert_close(
        model(100 * x), digital((100 * x).clamp(max=top)), rtol=1e-4, atol=1e-4
    )


def test_maps_cross_the_seam_folded_where_the_array_unfolds() -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(IdealArray):
        def vmm_unfolded(self, v, unfold, window):  # type: ignore[no-untyped-def]
            seen.append(v.shape)
            return super().vmm_unfolded(v, unfold, window)

    model = nn.Sequential(nn.Conv2d(1, 4, 5))
    convert(model, Watched())
    model(torch.rand(2, 1, 9, 9))
    assert seen == [(2, 1, 9, 9)]


def test_calibration_fits_the_ranges_and_removes_the_columns_offsets() -> None:
    hal = SimulatedHal(device("brram"), tiles=2, imperfections=Imperfections(0.0, 0.0, 5.0))
    array = HalArray(hal)
    model = nn.Sequential(nn.Conv2d(1, 8, 5))
    layers = convert(model, array)
    layer = layers["0"]
    assert isinstance(layer, ChipConv2d)
    plus, minus = 0.1 * hal.conductances.reshape(-1)[layer.placement.cells(array.spec)]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy((plus - minus) * layer.scale).view_as(layer.weight))
    x = torch.rand(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    expected = F.conv2d(x, layer.weight, layer.bias).detach()

    def error() -> float:
        with torch.no_grad():
            per_channel = (model(x) - expected).mean(dim=(0, 2, 3))
        return float(per_channel.abs().max())

    for each in layers.values():
        each.fit_range(RangePlan())
    model(x)
    for each in layers.values():
        each.fit_range(None)
    before = error()
    default = array.converters.i_vmm
    calibrate(model, layers, array, x)
    assert array.converters.i_vmm[0] != default[0]
    assert array.converters.i_vmm[1] == default[1] == 40e-6
    assert error() < 0.2 * before
    assert np.all(layer.clipped < 0.01)


def test_ranges_are_fitted_to_both_signs() -> None:
    array = HalArray(SimulatedHal(device("brram"), tiles=1))
    model = nn.Sequential(nn.Linear(64, 8))
    layers = convert(model, array)
    x = torch.rand(200, 64, generator=torch.Generator().manual_seed(0))
    x = torch.cat([x, -0.1 * x], 1)[:, ::2].contiguous()  # far more of one sign
    calibrate(model, layers, array, x)
    with torch.no_grad():
        model(x)
        model(-x)
    assert float(layers["0"].clipped.max()) < 0.01


def test_repeats_average_the_noise() -> None:
    x = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    spread = []
    for repeats in (1, 16):
        array = HalArray(SimulatedHal(device("brram"), tiles=1))
        model = nn.Sequential(nn.Linear(64, 32))
        layers = convert(model, array, repeats={"0": repeats})
        calibrate(model, layers, array, x)
        with torch.no_grad():
            spread.append(float((model(x) - model(x)).std()))
    assert spread[1] < 0.35 * spread[0]


def test_few_large_inputs_leave_the_range_to_the_others() -> None:
    array = IdealArray(tiles=1, rows=8, cols=8)
    model = nn.Sequential(nn.Linear(7, 3))
    digital = copy.deepcopy(model)
    layers = convert(model, array, crest=2.0)
    digital = random_pairs(layers, array, digital)
    x = torch.rand(50, 7, generator=torch.Generator().manual_seed(2))
    x[0, 0] = 100.0
    top = 2.0 * float(x.square().mean().sqrt())
    assert top < 50
    x.requires_grad_()
    out = model(x)
    torch.testing.assert_close(out, digital(x.clamp(max=top)), rtol=1e-4, atol=1e-5)
    assert float(layers["0"].input_top) == pytest.approx(top)
    out.sum().backward()
    assert x.grad is not None
    assert (x.grad == 0).sum() == x.grad[0, 0].eq(0) == 1
    # in evaluation the scale stands still, and the array clips
    model.eval()
    torch.testing.assert_close(model(x), out)
