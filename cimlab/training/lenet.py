"""The paper's LeNet: 3,220 weights, 6,440 devices, 6 tiles of 64 x 64 (PAPER 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it


class LeNet(nn.Module):
    """conv 5x5 1->4, ReLU, pool; conv 5x5 4->12, ReLU, pool; linear 192->10.

    Args:
        generator: Draws the initial parameters, uniform within 1 / sqrt(inputs) like torch's own.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 5)
        self.conv2 = nn.Conv2d(4, 12, 5)
        self.fc = nn.Linear(192, 10)
        for layer in (self.conv1, self.conv2, self.fc):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, 1, 28, 28) in 0 .. 1 -> logits (batch, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        out: Tensor = self.fc(x.flatten(1))
        return out
