"""Which layers go on chip, and what a network that has others is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cimlab.core.errors import ConfigError
from cimlab.nn import ChipLinear, choose, convert
from cimlab.nn.cost import cost
from tests.nn.ideal import IdealArray
from tests.nn.test_tiling import spec


class Own(nn.Linear):
    """Calls itself Linear and computes something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).square()


def test_normalisation_and_activations_stay_digital() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.LayerNorm([4, 2, 2]), nn.Flatten()
    ).append(nn.Linear(16, 2))
    assert list(choose(model)) == ["0", "5"]


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (nn.Conv1d(2, 3, 1), r"body.odd is a Conv1d with weights of its own \(weight, 3x2x1\)"),
        (nn.ConvTranspose2d(2, 3, 1), "body.odd is a ConvTranspose2d"),
        (nn.LSTM(2, 3), "body.odd is a LSTM"),
        (nn.MultiheadAttention(4, 2), "body.odd is a MultiheadAttention"),
        (nn.Embedding(4, 2), "body.odd is a Embedding"),
        (Own(2, 2), "body.odd is a Own"),
    ],
)
def test_a_layer_of_another_kind_is_named(layer: nn.Module, complaint: str) -> None:
    model = nn.Sequential()
    model.add_module("body", nn.Sequential())
    model.get_submodule("body").add_module("odd", layer)
    model.add_module("fc", nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=complaint) as caught:
        choose(model)
    assert "on_chip" in str(caught.value)
    with pytest.raises(ConfigError, match="body.odd"):
        cost(model, (2, 4, 4), spec())
    assert list(choose(model, ["fc"])) == ["fc"]
    # the projection inside of attention is never called: its weights are read
    if isinstance(layer, nn.MultiheadAttention):
        with pytest.raises(ConfigError, match="names body.odd.out_proj; the network's"):
            choose(model, ["body.odd.out_proj"])


def test_two_layers_of_the_same_weights_are_named() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    with pytest.raises(ConfigError, match="0 and 1 have the same weights"):
        choose(model)
    assert list(choose(model, ["1"])) == ["1"]


def test_what_is_no_network() -> None:
    with pytest.raises(ConfigError, match="no Linear or Conv2d"):
        choose(nn.Sequential(nn.ReLU()))
    with pytest.raises(ConfigError, match="wrap it"):
        choose(nn.Linear(2, 2))


def test_a_layer_used_twice_is_one_on_chip_and_counts_twice() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    found = cost(model, (3,), spec())
    assert (found.tiles, found.devices, found.operations) == (1, 18, 2)
    convert(model, IdealArray(tiles=1))
    assert isinstance(model[0], ChipLinear)
    assert model[2] is model[0]


def test_images_and_layers_that_do_not_fit_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ConfigError, match=r"does not take an image of \(3, 5, 5\)"):
        cost(model, (3, 5, 5), spec())
    model[0].add_module("unused", nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"0\.unused: not used"):
        cost(model, (3, 4, 4), spec())
