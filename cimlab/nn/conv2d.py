"""Convolutions on the array."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.core import pairs
from cimlab.core.array import CimArray, Floats, Product, Unfold

from . import digital
from .layer import ChipLayer, Gradients
from .mapping import DeviceWindow
from .tiling import Placement, Strip


class ChipConv2d(ChipLayer):
    """A Conv2d layer on the array.

    The array unfolds feature maps itself where it can (capability "unfold"): a map is kh * kw
    times smaller than its unfolded vectors, and that is what goes over the link. Zeros around a
    map are left to it, too; any other padding comes before, digitally.
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
        self._mode = layer.padding_mode
        amounts = left, right, above, below = _frame(layer)
        zeros = self._mode == "zeros" and (left, above) == (right, below)
        self._frame = None if zeros else amounts
        self.unfold = Unfold(
            _two(layer.kernel_size),
            _two(layer.stride),
            (above, left) if zeros else (0, 0),
            _two(layer.dilation),
        )

    @property
    def groups(self) -> int:
        """Groups of channels that do not see each other."""
        return self.placement.cut.groups

    def forward(self, x: Tensor) -> Tensor:
        """See ChipLayer."""
        if self._frame is not None:
            x = F.pad(x, self._frame, "constant" if self._mode == "zeros" else self._mode)
        return super().forward(x)

    def _inputs(self, x: Tensor) -> Floats:
        maps: Floats = x.contiguous().numpy()
        return maps

    def _share(self, x: Floats, inputs: tuple[int, int]) -> Floats:
        area = self.unfold.kernel[0] * self.unfold.kernel[1]
        first, last = inputs
        return x[:, first // area : last // area].copy()

    def _drive(self, v: Tensor, strip: Strip) -> Callable[[], Product]:
        window, own = strip.window, self._share(v.numpy(), strip.inputs)
        if "unfold" in self._array.spec.capabilities:
            return partial(self._array.vmm_unfolded, own, self.unfold, window)
        vectors = pairs.unfolded(own, self.unfold)
        return partial(self._array.vmm, pairs.row_parts(vectors, window), window)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        return out

    def gradients(self, grad: Tensor, x: Tensor, need_x: bool) -> Gradients:
        """See ChipLayer."""
        u = self.unfold
        plain = u.stride == u.dilation == (1, 1) and self.groups == 1
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
            self.groups,
            (need_x, True, self.bias is not None),
        )
        to_weight, to_gain = self.split(product)
        return to_x, to_weight, to_bias, to_gain

    def errors(self, grad: Tensor, x: Tensor, cells: DeviceWindow) -> Tensor:
        """See ChipLayer."""
        u = self.unfold
        flat = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
        back = self._back(flat, cells)
        columns = back.view(len(grad), -1, back.shape[1])
        return F.fold(
            columns.transpose(1, 2), x.shape[2:], u.kernel, u.dilation, u.padding, u.stride
        )


def _frame(layer: nn.Conv2d) -> tuple[int, int, int, int]:
    """Padding left, right, above and below; "same" puts the odd one right or below, as torch."""
    if layer.padding == "same":
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        (above, below), (left, right) = [(span // 2, span - span // 2) for span in spans]
    else:
        above, left = (0, 0) if isinstance(layer.padding, str) else layer.padding
        below, right = above, left
    return left, right, above, below


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width
