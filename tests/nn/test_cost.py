"""The cost of a network, against the paper's mapping table (PAPER 4)."""

import pytest
import torch
from torch import nn

from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import ConfigError
from cimlab.nn.cost import cost, step_cost
from cimlab.training.lenet import LeNet


def tile(rows: int, cols: int) -> ArraySpec:
    return ArraySpec(1, rows, cols, 8, 8, Limits(), "analog", "emulated", "test")


def vgg8() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 128), nn.Linear(128, 10))


def test_lenet_is_the_papers() -> None:
    found = cost(LeNet(torch.Generator()), (1, 28, 28), tile(64, 64))
    assert (found.tiles, found.devices) == (6, 6_440)
    assert (found.operations, found.tile_operations) == (641, 707)
    assert found.seconds == pytest.approx(0.46e-3, rel=0.01)
    assert found.joules == pytest.approx(0.0019e-3, rel=0.02)


def test_vgg8_is_the_papers() -> None:
    found = cost(vgg8(), (3, 32, 32), tile(256, 64))
    assert (found.tiles, found.devices) == (78, 1_099_968)
    assert (found.operations, found.tile_operations) == (2_690, 7_713)
    assert found.seconds == pytest.approx(1.94e-3, rel=0.01)
    assert found.joules == pytest.approx(0.023e-3, rel=0.02)


def test_bytes_of_a_step_by_hand() -> None:
    found = cost(LeNet(torch.Generator()), (1, 28, 28), tile(64, 64))
    maps = 64 * (28 * 28 + 4 * 12 * 12 + 192)
    conversions = 64 * (24 * 24 * 8 + 8 * 8 * 2 * 24 + 3 * 20)
    assert maps <= found.bytes_out(64) <= 1.01 * maps
    assert conversions <= found.bytes_in(64) <= 1.01 * conversions
    step = step_cost(found, 64, 300e3, writes=10.0, pulses_each=6.0)
    assert step.link_seconds == pytest.approx((maps + conversions) / 300e3, rel=0.01)
    assert step.chip_seconds == pytest.approx(64 * 641 * 0.72e-6)
    assert step.pulses == 60


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(ConfigError):
        cost(LeNet(torch.Generator()), (1, 28, 28), tile(16, 64))
