"""Training aware of quantised partial sums (PIM-QAT, Jin et al., arXiv 2209.08617).

The partial sum of every tile passes a converter before the sums are added. Training puts the same
rounding into the forward pass and lets gradients pass straight through it. Rounding changes the
spread of the sums y; two factors undo what that does to training::

    forward    y_q sqrt(var y / var y_q)
    backward   dL/dy = sqrt(var y_q / var y) dL/dy_q

Training with fewer bits than the chip's converters have ("adjusted precision") leaves room for
their noise. At the end all weights are written once, and batch normalisation is calibrated with
the chip's own products.

Differences: the range of a rounding follows the batch's largest partial sum; LeNet has no batch
normalisation, so its place is taken by biases and tile scales, which learn on with the chip's
products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from cimlab.nn import ChipLayer

from .deployed import Deployed, product

BITS = 6
"""Of a signed partial sum; the chip's converters have 8, and noise."""


class PartialSumTrained(Deployed):
    """Rounded sums first, then one write a weight."""

    settings: ClassVar[Mapping[str, Any]] = {"program": "ispp", "schedule": "cosine"}
    first = last = 0.85

    def stand_in(self, layer: ChipLayer) -> Callable[[Tensor], Tensor]:
        """Digital, with the row parts' sums rounded."""
        cut = layer.placement.cut
        area = layer.weight[0, 0].numel()
        size = cut.rows // area  # inputs, or input channels, of a row part

        def forward(x: Tensor) -> Tensor:
            weight = layer.gained
            # each group of a convolution has row parts of its own
            groups = x.reshape(len(x), cut.groups, -1, *x.shape[2:])
            parts = [
                product(
                    layer, groups[:, :, k : k + size].flatten(1, 2), weight[:, k : k + size], None
                )
                for k in range(0, weight.shape[1], size)
            ]
            exact = torch.stack(parts).sum(0)
            rounded = torch.stack([_rounded(p.detach()) for p in parts]).sum(0)
            ratio = (rounded.var() / exact.detach().var().clamp(min=1e-30)).sqrt().clamp(0.1, 10)
            out = exact * ratio + (rounded / ratio - exact * ratio).detach()
            if layer.bias is None:
                return out
            return out + layer.bias.view(-1, *[1] * (out.dim() - 2))

        return forward


def _rounded(sums: Tensor) -> Tensor:
    step = sums.abs().max().clamp(min=1e-30) / (2 ** (BITS - 1) - 1)
    rounded: Tensor = torch.round(sums / step) * step
    return rounded
