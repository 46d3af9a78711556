"""Linear layers on the array."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from cimlab.core import pairs
from cimlab.core.array import Floats, Product

from . import digital
from .layer import ChipLayer, Gradients
from .mapping import DeviceWindow
from .tiling import Strip


class ChipLinear(ChipLayer):
    """A Linear layer on the array."""

    unfold = None

    def _inputs(self, x: Tensor) -> Floats:
        vectors: Floats = x.reshape(-1, x.shape[-1]).numpy()
        return vectors

    def _drive(self, v: Tensor, strip: Strip) -> Callable[[], Product]:
        parts = pairs.row_parts(self._inputs(v), strip.window)
        return partial(self._array.vmm, parts, strip.window)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        return out if x.dim() == 2 else out.view(*x.shape[:-1], -1)

    def gradients(self, grad: Tensor, x: Tensor, need_x: bool) -> Gradients:
        """See ChipLayer."""
        flat, inputs = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
        if len(flat) * len(self.weight) <= digital.FEW:
            few = self._few(digital.linear_gradients, flat, inputs, need_x)
            return None if few[0] is None else few[0].view(x.shape), *few[1:]
        bias = None if self.bias is None else flat.sum(0)
        to_weight, to_gain = self.split(flat.T @ inputs)
        return (grad @ self.effective() if need_x else None), to_weight, bias, to_gain

    def errors(self, grad: Tensor, x: Tensor, cells: DeviceWindow) -> Tensor:
        """See ChipLayer."""
        return self._back(grad.reshape(-1, grad.shape[-1]), cells).view(x.shape)
