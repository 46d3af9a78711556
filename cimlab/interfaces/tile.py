"""An analog tile in aihwkit's manner - forward, backward, update - on any array."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cimlab.core.array import CimArray
from cimlab.nn import ChipLayer, DeviceWindow, calibrate, convert
from cimlab.protocols import RampPlan, WriteVerify
from cimlab.training.updater import MixedPrecision, Trigger, Update
from cimlab.training.writing import Writer

KEPT = Trigger(0.1, "keep")
"""A cell is written once a weight wants a tenth of the range; nothing that is wanted is lost."""


class AnalogTile:
    """A matrix of weights on pairs of cells, (out_size, in_size).

    The forward product is measured on the array. The backward one is digital, from the weights as
    they were last read. An update goes to a digital accumulator, and where that has passed the
    threshold the pair is programmed: mixed precision (PAPER 3), where aihwkit's own tiles pulse
    blindly. Weights are zero at first, and so are their cells once `set_weights` was called.

    Args:
        array: Where the cells are; the tile takes as many of its tiles as it needs, from the first.
        out_size: Outputs.
        in_size: Inputs.
        w_max: The largest weight that a pair can carry.
        plan: How cells are programmed.
        trigger: When.
        averages: Conversions averaged when a written cell is read.

    Attributes:
        written: What updates and `set_weights` have written so far.
    """

    def __init__(
        self,
        array: CimArray,
        out_size: int,
        in_size: int,
        w_max: float = 1.0,
        plan: RampPlan | None = None,
        trigger: Trigger = KEPT,
        averages: int = 16,
    ) -> None:
        linear = nn.Linear(in_size, out_size, bias=False)
        nn.init.constant_(linear.weight, w_max)  # its largest weight sets the scale
        self._network = nn.Sequential(linear)
        window = DeviceWindow()
        [(self._name, self._layer)] = convert(
            self._network, array, window=window, headroom=1.0
        ).items()
        self._array = array
        self._writer = Writer(array, plan or WriteVerify(), "readback", averages)
        self._optimizer = torch.optim.SGD([self._layer.weight], lr=0.01)
        layers = [self._layer]
        self._updater = MixedPrecision(self._optimizer, layers, self._writer, trigger, window)
        self.written = Update()

    @property
    def layer(self) -> ChipLayer:
        """The layer that does it, for whatever aihwkit has no word for."""
        return self._layer

    def set_learning_rate(self, learning_rate: float) -> None:
        """Of the updates to come."""
        self._optimizer.param_groups[0]["lr"] = learning_rate

    def set_weights(self, weights: Tensor) -> None:
        """Program all pairs to weights (out_size, in_size), and read them back."""
        with torch.no_grad():
            self._layer.weight.copy_(weights)
        self.written += self._updater.initialise(self._writer)

    def get_weights(self) -> tuple[Tensor, None]:
        """Weights (out_size, in_size) as the cells were last read; a tile has no bias."""
        return self._layer.weight.detach().clone(), None

    def calibrate(self, x_input: Tensor) -> None:
        """Fit the converters' ranges and columns to a sample of inputs (batch, in_size)."""
        calibrate(self._network, {self._name: self._layer}, self._array, x_input)

    def forward(self, x_input: Tensor) -> Tensor:
        """Outputs (batch, out_size) for inputs (batch, in_size), measured."""
        with torch.no_grad():
            return self._layer.measure(x_input)

    def backward(self, d_input: Tensor) -> Tensor:
        """Gradients of the inputs, (batch, in_size), from those of the outputs."""
        return d_input @ self._layer.effective()

    def update(self, x_input: Tensor, d_input: Tensor) -> None:
        """Change the weights by -learning_rate d^T x, summed over the batch, when it is worth it.

        Args:
            x_input: What `forward` was given, (batch, in_size).
            d_input: What `backward` was given, (batch, out_size).
        """
        self._layer.weight.grad = d_input.T @ x_input
        self.written += self._updater.step()
