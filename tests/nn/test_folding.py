"""Folded batch normalisation computes the same, and only where that is so."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cimlab.core.errors import ConfigError
from cimlab.nn import fold
from cimlab.training.networks import NETWORKS


def trained(model: nn.Module) -> nn.Module:
    """With statistics and factors as if it were."""
    generator = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                assert tensor is not None
                tensor.data.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


class Branched(nn.Module):
    """The first layer's output goes on beside the normalisation, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4)
        self.fc, self.norm3 = nn.Linear(4, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        z = self.norm2(self.conv2(self.norm1(y) + y))
        out: Tensor = self.norm3(self.fc(z.mean((2, 3))))
        return out


def test_only_what_feeds_nothing_else_is_folded() -> None:
    model = trained(Branched())
    before, x = copy.deepcopy(model), torch.rand(5, 2, 4, 4)
    assert fold(model) == ["norm2", "norm3"]
    torch.testing.assert_close(model(x), before(x))
    assert type(model.norm2) is nn.Identity
    assert model.conv2.bias is not None


def test_vgg8_folds_altogether() -> None:
    model = trained(NETWORKS["vgg8"].make(torch.Generator().manual_seed(0)))
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    before, x = copy.deepcopy(model), torch.rand(1, 3, 32, 32)
    assert len(fold(model)) == norms
    with torch.no_grad():
        torch.testing.assert_close(model(x), before(x), rtol=1e-3, atol=1e-3)


def test_what_cannot_be_folded() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ConfigError, match="cannot be followed"):
        fold(Branching().eval())
    with pytest.raises(ConfigError, match="eval"):
        fold(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
    batchwise = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)).eval()
    assert fold(batchwise) == []
