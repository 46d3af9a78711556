"""Quantisation-aware training: weights rounded to what pairs of cells can carry, without an array.

A cell with L levels over its range, and its partner at the low end, gives the weights
k / (L - 1) of the layer's range, k = -(L - 1) .. L - 1. Forward passes use the nearest of them;
gradients pass through the rounding as if it were not there (the straight-through estimator of
Bengio et al. 2013, arXiv 1308.3432), and not beyond the range.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Quantised(nn.Module):
    """Rounds weights to levels.

    Args:
        limit: Largest weight.
        levels: Of a cell.

    Attributes:
        limit: As given.
    """

    def __init__(self, limit: float, levels: int) -> None:
        super().__init__()
        self.limit = limit
        self._step = limit / (levels - 1)

    def forward(self, weight: Tensor) -> Tensor:
        """The nearest levels; gradients as of the clipped weights."""
        clipped = weight.clamp(-self.limit, self.limit)
        return clipped + (torch.round(clipped / self._step) * self._step - clipped).detach()


def quantise(model: nn.Module, levels: int, headroom: float) -> dict[str, Quantised]:
    """Round the weights of all Linear and Conv2d layers, in place; see the module's docstring.

    Args:
        model: The network.
        levels: Of a cell.
        headroom: A layer's range over its largest weight now.

    Returns:
        The roundings by the names of their layers.
    """
    found = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    roundings = {}
    for name, layer in found.items():
        limit = headroom * float(layer.weight.detach().abs().max())
        roundings[name] = Quantised(limit, levels)
        parametrize.register_parametrization(layer, "weight", roundings[name])
    return roundings
