"""Convolutions on the array."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from cimlab.core import pairs
from cimlab.core.array import CimArray, Floats, Product, Unfold, Window

from . import digital
from .layer import ChipLayer, Gradients
from .mapping import DeviceWindow
from .tiling import Placement


class ChipConv2d(ChipLayer):
    """A Conv2d layer on the array.

    The array unfolds feature maps itself where it can (capability "unfold"): a map is kh * kw
    times smaller than its unfolded vectors, and that is what goes over the link.
    """

    unfold: Unfold

    def __init__(
        self,
        layer: nn.Conv2d,
        placement: Placement,
        array: CimArray,
        scale: float,
        repeats: int = 1,
        crest: float | None = None,
    ) -> None:
        super().__init__(layer, placement, array, scale, repeats, crest)
        kernel, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
        padding = layer.padding
        assert not isinstance(padding, str)  # noqa: S101 - cut_layer refuses it
        self.unfold = Unfold(_two(kernel), _two(stride), _two(padding), _two(dilation))

    def _inputs(self, x: Tensor) -> Floats:
        maps: Floats = x.contiguous().numpy()
        return maps

    def _drive(self, v: Tensor, window: Window) -> Callable[[], Product]:
        if "unfold" in self._array.spec.capabilities:
            return partial(self._array.vmm_unfolded, v.numpy(), self.unfold, window)
        vectors = pairs.unfolded(v.numpy(), self.unfold)
        return partial(self._array.vmm, pairs.row_parts(vectors, window), window)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        return out

    def gradients(self, grad: Tensor, x: Tensor, need_x: bool) -> Gradients:
        """See ChipLayer."""
        u = self.unfold
        plain = u.stride == u.dilation == (1, 1)
        if plain and len(x) * x.shape[1] * len(self.weight) <= digital.FEW:
            return self._few(digital.conv_gradients, grad, x, need_x, u.padding)
        to_x, product, to_bias = torch.ops.aten.convolution_backward(
            grad,
            x,
            self.effective(),
            [len(self.weight)],
            u.stride,
            u.padding,
            u.dilation,
            False,
            (0, 0),
            1,
            (need_x, True, self.bias is not None),
        )
        to_weight, to_gain = self.split(product)
        return to_x, to_weight, to_bias, to_gain

    def errors(self, grad: Tensor, x: Tensor, cells: DeviceWindow) -> Tensor:
        """See ChipLayer."""
        u = self.unfold
        flat = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
        columns = self._back(flat, cells).view(len(grad), -1, self.placement.cut.inputs)
        return torch.nn.functional.fold(
            columns.transpose(1, 2), x.shape[2:], u.kernel, u.dilation, u.padding, u.stride
        )


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width
