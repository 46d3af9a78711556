"""Noise-injected training, and fine-tuning with the chip in the loop (NeuRRAM, Wan, Nature 2022).

The network trains digitally while every forward pass adds Gaussian noise to the weights: what
survives that survives the programming error. Then layer after layer is written once, by verified
pulses, and the layers behind go on training on what the chip's layers really give.

Differences: the noise is a share of the cells' range instead of the largest weight; inputs and
converters are not quantised in the digital phase; biases learn on to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from cimlab.nn import ChipLayer
from cimlab.training.checkpoint import Arrays

from .deployed import Deployed, product

SIGMA = 0.05
"""Noise of a weight, share of the range."""


class NoiseTrained(Deployed):
    """Noise first, then one write a weight."""

    settings: ClassVar[Mapping[str, Any]] = {"program": "ispp", "schedule": "cosine"}
    first, last = 0.5, 0.9

    def __init__(self, *args: Any) -> None:
        self._noise = torch.Generator().manual_seed(0)
        super().__init__(*args)

    def stand_in(self, layer: ChipLayer) -> Callable[[Tensor], Tensor]:
        """Digital, with noise while training."""
        limit = self._window.span * layer.scale

        def forward(x: Tensor) -> Tensor:
            weight = layer.gained
            if layer.training:
                noise = torch.randn(weight.shape, generator=self._noise)
                weight = weight + SIGMA * limit * noise
            return product(layer, x, weight, layer.bias)

        return forward

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See Updater; with the state of the noise."""
        return super().arrays() | {"noise": self._noise.get_state().numpy()}

    def restore(self, arrays: Arrays) -> None:
        """See Updater."""
        super().restore(arrays)
        self._noise.set_state(torch.from_numpy(arrays["noise"].copy()))
