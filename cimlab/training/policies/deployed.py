"""Schemes that train digitally, with what the chip will do to the weights in mind, and then deploy.

Layers stand in for themselves digitally until their weights are placed, one layer after another;
from then on their products are the array's and their weights are frozen, while the layers behind
them, biases and tile scales go on learning from what the chip really gives.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.nn import ChipConv2d, ChipLayer
from cimlab.training.checkpoint import Arrays
from cimlab.training.updater import Update, Updater
from cimlab.training.writing import Writer


class Deployed(Updater):
    """Digital weights that move to the cells in the course of the run.

    Attributes:
        first: Share of the run after which the first layer is placed.
        last: The same for the last; those between follow in equal steps.
    """

    first: ClassVar[float]
    last: ClassVar[float]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stand_in()

    @abstractmethod
    def stand_in(self, layer: ChipLayer) -> Callable[[Tensor], Tensor]:
        """What computes a layer's output as long as it is digital."""

    def initialise(self, writer: Writer) -> Update:
        """Nothing goes to the cells yet."""
        return Update()

    def begin(self, done: float) -> Update:
        """Place the layers whose time has come."""
        update = Update()
        times = np.linspace(self.first, self.last, len(self.layers))
        for part, time in zip(self._parts, times, strict=True):
            if done >= time and not self.placed[part].any():
                update += self.place(np.arange(part.start, part.stop), self._writer)
        if update.weights:
            self._stand_in()
        return update

    def step(self) -> Update:
        """Weights that are not placed learn digitally, within their range."""
        self.optimizer.step()
        free = ~self.placed
        limit = self._limit[free]
        self._master[free] = np.clip(self._weights[free], -limit, limit)
        self._weights[:] = self._master
        return Update()

    def restore(self, arrays: Arrays) -> None:
        """See Updater."""
        super().restore(arrays)
        self._stand_in()

    def _stand_in(self) -> None:
        for layer, part in zip(self.layers, self._parts, strict=True):
            layer.stand_in = None if self.placed[part].all() else self.stand_in(layer)


def product(layer: ChipLayer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a layer, or one of its row parts, gives for inputs x."""
    if isinstance(layer, ChipConv2d):
        u = layer.unfold
        return F.conv2d(x, weight, bias, u.stride, u.padding, u.dilation, layer.groups)
    return F.linear(x, weight, bias)
