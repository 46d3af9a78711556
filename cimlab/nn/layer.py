"""Layers whose forward product is measured on the array.

Forward: activations become input voltages, the array multiplies them, and the column currents of
each pair are subtracted, corrected by the columns' calibration, and scaled to weight units. With
signed inputs the positive and the negative part are multiplied one after the other. Backward is
digital, from the weights the host believes in (W_FP, PAPER 3). Bias is digital.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torch.nn import grad as digital_grad

from cimlab.core.array import CimArray, Floats, Product, Unfold, Window
from cimlab.protocols import calibration

from .tiling import Placement

INPUT_FORGETS = 0.99
"""While training, the input scale falls by at most this factor a batch."""


class ChipLayer(nn.Module):
    """What chip layers share; weight and bias keep the shapes of the layer they replace.

    Args:
        digital: The layer to be replaced; its parameters are taken over.
        placement: Its tiles.
        array: Where they are.
        scale: Weight units of one ampere of difference at the read voltage.
        repeats: Products of the same inputs that are averaged; their noise falls with the root.

    Attributes:
        weight: W_FP, what the host believes the pairs carry.
        bias: Digital, or None.
        input_top: The activation that drives a row with the full read voltage. It follows the
            largest input while training and stands still in evaluation: activations grow by an
            order of magnitude in the first epochs, so no scale fixed beforehand would do.
        placement: As given.
        gain: Digital scale of each tile's partial sums, (tiles,), 1 at first; trainable.
        scale: As given.
        clipped: Share of conversions that clipped in the last forward pass, for each tile
            (tiles,).
    """

    input_top: Tensor

    def __init__(
        self,
        digital: nn.Linear | nn.Conv2d,
        placement: Placement,
        array: CimArray,
        scale: float,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        self.weight = digital.weight
        self.bias = digital.bias
        self.gain = nn.Parameter(torch.ones(placement.cut.tiles))
        self.register_buffer("input_top", torch.ones(()))
        self.placement = placement
        self.scale = scale
        self.clipped = np.zeros(placement.cut.tiles)
        self._array = array
        self._windows = placement.windows()
        self._part_of = torch.from_numpy(placement.cut.parts()).view_as(self.weight)
        self._repeats = repeats
        self._fit: calibration.RangePlan | None = None
        self.correct(None)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; its product is measured on the array."""
        out: Tensor = _Measured.apply(x, self.weight, self.gain, self)
        return out

    def gains(self) -> Tensor:
        """Each weight's tile's gain, in a shape that multiplies the weights."""
        return self.gain[self._part_of] if len(self.gain) > 1 else self.gain

    def gain_gradient(self, grad: Tensor) -> Tensor:
        """Gradient (tiles,) from that of weights times gains, already times the weights."""
        if len(self.gain) == 1:
            return grad.sum().view(1)
        out = torch.zeros_like(self.gain)
        return out.index_add_(0, self._part_of.flatten(), grad.flatten())

    def fit_range(self, plan: calibration.RangePlan | None) -> None:
        """With a plan, each following product first fits the ADC ranges of its tiles to itself."""
        self._fit = plan

    def correct(self, columns: calibration.ColumnCalibration | None) -> None:
        """Set the gain and offset of the columns; None for ideal ones."""
        self._combine = [
            _combination(window, self.placement.slots(j), columns)
            for j, window in enumerate(self._windows)
        ]

    def measure(self, x: Tensor) -> Tensor:
        """The product of activations with the pairs on chip, without bias."""
        least, most = (float(v) for v in torch.aminmax(x))
        top = self._track(max(most, -least))
        self.clipped = np.zeros(self.placement.cut.tiles)
        scaled = x * (self._array.converters.v_read / top)
        if self._fit is not None:
            # both signs at once: no less current than either of them will make
            magnitude = scaled.abs().clamp(max=self._array.converters.v_read)
            for window in self._windows:
                drive = self._drive(magnitude, window)
                calibration.adc_range(self._array, window.tiles, drive, self._fit)
        out = self._product(scaled) if most > 0 or least == 0 else None
        if least < 0:
            negative = self._product(-scaled)
            out = -negative if out is None else out - negative
        assert out is not None  # noqa: S101 - one of both signs is there, or all is zero
        return self._shaped(out.mul_(top * self.scale), x)

    def _track(self, largest: float) -> float:
        """The input scale for a batch with that largest magnitude."""
        top = float(self.input_top)
        if self.training:
            top = max(largest, INPUT_FORGETS * top)
            self.input_top.fill_(top)
        return top

    def _product(self, scaled: Tensor) -> Tensor:
        """Pair currents (outputs, vectors), A, of the positive part of inputs in volts."""
        v = scaled.clamp(0.0, self._array.converters.v_read)
        if self._repeats > 1:
            v = v.repeat(self._repeats, *[1] * (v.dim() - 1))
        clipped, parts = [], []
        gains = self.gain.detach().view(len(self._windows), -1, 1, 1)
        for window, combine, gain in zip(self._windows, self._combine, gains, strict=True):
            matrix = combine[0] * gain
            constant = (combine[1] * gain[:, 0]).sum(0)
            product = self._drive(v, window)()
            marks = product.saturated.reshape(len(window.tiles), -1)
            clipped.append(np.count_nonzero(marks, axis=1) / marks.shape[1])
            # (columns, vectors): with the long side last this product is several times faster
            current = torch.from_numpy(product.current).transpose(1, 2)
            part = torch.addmm(constant[:, None], matrix[0], current[0])
            for k in range(1, len(current)):
                part.addmm_(matrix[k], current[k])
            parts.append(part)
        self.clipped = np.maximum(self.clipped, np.concatenate(clipped))
        out = parts[0] if len(parts) == 1 else torch.cat(parts)
        return out if self._repeats == 1 else out.view(len(out), self._repeats, -1).mean(1)

    def _drive(self, v: Tensor, window: Window) -> Callable[[], Product]:
        """The VMM of inputs v, volts, on a window."""
        raise NotImplementedError

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        """The product (outputs, vectors) in the layer's output shape."""
        raise NotImplementedError

    def gradients(self, grad: Tensor, x: Tensor, weight: Tensor, need_x: bool) -> _Gradients:
        """Gradients of x (None unless needed) and weight, digitally."""
        raise NotImplementedError


_Gradients = tuple[Tensor | None, Tensor]


class ChipLinear(ChipLayer):
    """A Linear layer on the array."""

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in_features) -> (..., out_features)."""
        out = super().forward(x)
        return out if self.bias is None else out + self.bias

    def _drive(self, v: Tensor, window: Window) -> Callable[[], Product]:
        vectors = v.reshape(-1, v.shape[-1])
        return partial(self._array.vmm, _row_parts(vectors, window), window)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        return out.T.reshape(*x.shape[:-1], len(out))

    def gradients(self, grad: Tensor, x: Tensor, weight: Tensor, need_x: bool) -> _Gradients:
        """See ChipLayer."""
        flat, inputs = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
        return (grad @ weight if need_x else None), flat.T @ inputs


class ChipConv2d(ChipLayer):
    """A Conv2d layer on the array.

    The array unfolds feature maps itself where it can (capability "unfold"): a map is kh * kw
    times smaller than its unfolded vectors, and that is what goes over the link.
    """

    def __init__(
        self,
        digital: nn.Conv2d,
        placement: Placement,
        array: CimArray,
        scale: float,
        repeats: int = 1,
    ) -> None:
        super().__init__(digital, placement, array, scale, repeats)
        kernel, stride, dilation = digital.kernel_size, digital.stride, digital.dilation
        padding = digital.padding
        assert not isinstance(padding, str)  # noqa: S101 - cut_layer refuses it
        self._unfold = Unfold(_two(kernel), _two(stride), _two(padding), _two(dilation))

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, channels, height, width) -> (batch, out_channels, height', width')."""
        out = super().forward(x)
        return out if self.bias is None else out + self.bias.view(-1, 1, 1)

    def _drive(self, v: Tensor, window: Window) -> Callable[[], Product]:
        if "unfold" in self._array.spec.capabilities:
            return partial(self._array.vmm_unfolded, v.numpy(), self._unfold, window)
        u = self._unfold
        vectors = F.unfold(v, u.kernel, u.dilation, u.padding, u.stride).transpose(1, 2)
        return partial(self._array.vmm, _row_parts(vectors.flatten(0, 1), window), window)

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        height, width = self._unfold.output(x.shape[2], x.shape[3])
        return out.view(len(out), x.shape[0], height, width).transpose(0, 1).contiguous()

    def gradients(self, grad: Tensor, x: Tensor, weight: Tensor, need_x: bool) -> _Gradients:
        """See ChipLayer."""
        u = self._unfold
        settings: dict[str, Any] = {
            "stride": u.stride,
            "padding": u.padding,
            "dilation": u.dilation,
        }
        grad_weight = digital_grad.conv2d_weight(x, list(weight.shape), grad, **settings)
        if not need_x:
            return None, grad_weight
        return digital_grad.conv2d_input(list(x.shape), weight, grad, **settings), grad_weight


class _Measured(torch.autograd.Function):
    """Forward on the array, backward from W_FP."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, layer: ChipLayer) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return layer.measure(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        layer: ChipLayer = ctx.layer
        gains = layer.gains()
        # what the product amounts to
        to_x, to_product = layer.gradients(grads[0], x, weight * gains, ctx.needs_input_grad[0])
        return to_x, to_product * gains, layer.gain_gradient(to_product * weight), None


def _row_parts(vectors: Tensor, window: Window) -> Floats:
    """Input vectors (n, inputs) cut for the window's tiles, (tiles, n, rows); the rest is 0 V."""
    tiles, rows = len(window.tiles), window.n_rows
    n, inputs = vectors.shape
    if inputs < tiles * rows:
        vectors = F.pad(vectors, (0, tiles * rows - inputs))
    parts: Floats = vectors.view(n, tiles, rows).transpose(0, 1).contiguous().numpy()
    return parts


def _combination(
    window: Window, slots: NDArray[np.int64], columns: calibration.ColumnCalibration | None
) -> tuple[Tensor, Tensor]:
    """Matrix (tiles, outputs, columns) and constant (tiles, outputs): column to pair currents.

    Correcting and subtracting are linear: one product does both. slots (tiles, outputs) are the
    pairs of the outputs, counted from the tile's first.
    """
    tiles, own = list(window.tiles), slice(*window.cols)
    shape = (len(tiles), window.n_cols)
    gain, offset = np.ones(shape), np.zeros(shape)
    if columns is not None:
        gain, offset = columns.gain[tiles, own], columns.offset[tiles, own]
    signs = np.zeros((*slots.shape, window.n_cols))
    plus = (2 * slots - window.cols[0])[..., None]
    np.put_along_axis(signs, plus, 1.0, axis=2)
    np.put_along_axis(signs, plus + 1, -1.0, axis=2)
    matrix = signs / gain[:, None, :]
    constant = -np.einsum("kc,koc->ko", offset, matrix)
    return torch.from_numpy(matrix).float(), torch.from_numpy(constant).float()


def _two(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width
