"""Layers whose forward product is measured on the array.

Forward: activations become input voltages, the array multiplies them, and the column currents of
each pair are subtracted, corrected by the columns' calibration, and scaled to weight units. With
signed inputs the positive and the negative part are multiplied one after the other. Backward is
digital, from the weights the host believes in (W_FP, PAPER 3), or on the array (`back`). Bias is
digital.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cimlab.core.array import CimArray, Floats, PairProduct, PairSum, Product, Unfold
from cimlab.protocols import calibration

from . import digital
from .combining import combination
from .mapping import DeviceWindow
from .tiling import Placement, Strip
from .transposed import back

INPUT_FORGETS = 0.99
"""While training, the input scale falls by at most this factor a batch."""


class ChipLayer(nn.Module):
    """What chip layers share; weight and bias keep the shapes of the layer they replace.

    Args:
        layer: The layer to be replaced; its parameters are taken over.
        placement: Its tiles.
        array: Where they are.
        scale: Weight units of one ampere of difference at the read voltage.
        repeats: Products of the same inputs that are averaged; their noise falls with the root.
        crest: While training, inputs are clipped at so many of their root mean squares; None for
            no clipping. Few activations are large, and they decide which share of the DAC's range,
            and of the columns' currents, is left for all others.

    Attributes:
        weight: W_FP, what the host believes the pairs carry.
        bias: Digital, or None.
        input_top: The activation that drives a row with the full read voltage. It follows the
            largest input while training and stands still in evaluation: activations grow by an
            order of magnitude in the first epochs, so no scale fixed beforehand would do.
        placement: As given.
        gain: Digital scale of each part's partial sums, (parts,), 1 at first; trainable. A part
            has a tile of its own, but for the blocks of a grouped convolution.
        scale: As given.
        clipped: Share of conversions that clipped in the last forward pass, for each part,
            (parts,).
        back: Where cells' currents lie, if errors go back through the array; None: digitally.
        unfold: How feature maps are cut; None for a Linear layer.
        stand_in: Computes the output for activations digitally, while the weights are not on
            their cells; None: the array does.
    """

    input_top: Tensor
    unfold: Unfold | None

    def __init__(
        self,
        layer: nn.Linear | nn.Conv2d,
        placement: Placement,
        array: CimArray,
        scale: float,
        repeats: int = 1,
        crest: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias
        self.gain = nn.Parameter(torch.ones(placement.cut.parts))
        self.register_buffer("input_top", torch.ones(()))
        self.placement = placement
        self.scale = scale
        self.clipped = np.zeros(placement.cut.parts)
        self._array = array
        self._strips = placement.strips()
        slots = [strip.slots for strip in self._strips]
        self._columns = np.concatenate([np.full(len(s), 2 * s.shape[1]) for s in slots])
        self._part_of = placement.cut.part_of().reshape(self.weight.shape)
        self._repeats, self._crest = repeats, crest
        self.back: DeviceWindow | None = None
        self.stand_in: Callable[[Tensor], Tensor] | None = None
        self._fit: calibration.RangePlan | None = None
        self.correct(None)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; its product is measured on the array."""
        if self.stand_in is not None:
            return self.stand_in(x)
        if self._crest is not None and self.training:
            most = self._crest * float(x.detach().square().mean().sqrt())
            x = x.clamp(-most, most)
        out: Tensor = _Measured.apply(x, self.weight, self.bias, self.gain, self)
        return out

    @property
    def gained(self) -> Tensor:
        """Weights times the gains of their tiles, with gradients of both."""
        return self.weight * self.gain[torch.from_numpy(self._part_of)]

    def split(self, product: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of weights and gains from that of their product."""
        to_weight, to_gain = torch.empty_like(self.weight), torch.empty_like(self.gain)
        digital.split(
            product.contiguous().numpy(),
            self.weight.detach().numpy(),
            self.gain.detach().numpy(),
            self._part_of,
            to_weight.numpy(),
            to_gain.numpy(),
        )
        return to_weight, to_gain

    def effective(self) -> Tensor:
        """Weights times the gains of their tiles."""
        weight, gain = self.weight.detach().numpy(), self.gain.detach().numpy()
        return torch.from_numpy(digital.effective(weight, gain, self._part_of))

    def fit_range(self, plan: calibration.RangePlan | None) -> None:
        """With a plan, each following product first fits the ADC ranges of its tiles to itself."""
        self._fit = plan

    def correct(self, columns: calibration.ColumnCalibration | None) -> None:
        """Set the gain and offset of the columns; None for ideal ones."""
        self._combine = [combination(strip, columns) for strip in self._strips]

    def measure(self, x: Tensor) -> Tensor:
        """The layer's output (without a graph) for activations: pairs on chip, and bias."""
        least, most = (float(v) for v in torch.aminmax(x))
        top = self._track(max(most, -least))
        if self._fit is not None:
            self._fit_ranges(x, top, self._fit)
        self.clipped = np.zeros(self.placement.cut.parts)
        inputs = self._inputs(x)
        out = self._product(inputs, top, 1.0) if most > 0 or least >= 0 else None
        if least < 0:
            negative = self._product(inputs, top, -1.0, bias=out is None)
            out = negative if out is None else out + negative
        assert out is not None  # noqa: S101 - NaN, the third case, is refused by the array
        return self._shaped(torch.from_numpy(out), x)

    def _track(self, largest: float) -> float:
        """The input scale for a batch with that largest magnitude."""
        top = float(self.input_top)
        if self.training:
            top = max(largest, INPUT_FORGETS * top)
            self.input_top.fill_(top)
        return top

    def _fit_ranges(self, x: Tensor, top: float, plan: calibration.RangePlan) -> None:
        """Fit the ADC ranges to the product of x's magnitude: no less than either sign makes."""
        v_read = self._array.converters.v_read
        magnitude = (x * (v_read / top)).abs().clamp(max=v_read)
        array, fitted = self._array, np.zeros(self._array.spec.tiles)
        for strip in self._strips:
            tiles = list(strip.window.tiles)
            found = calibration.adc_range(array, tiles, self._drive(magnitude, strip), plan)
            fitted[tiles] = np.maximum(fitted[tiles], found)
        if self.placement.cut.turns > 1:  # on tiles that have one range for all of them
            ranges = np.where(fitted > 0, fitted, array.converters.i_vmm)
            array.configure(replace(array.converters, i_vmm=tuple(ranges.tolist())))

    def _product(self, x: Floats, top: float, sign: float, bias: bool = True) -> Floats:
        """What the positive (sign 1) or negative (-1) part of inputs adds to the output."""
        array = self._array
        gain, factor = self.gain.detach().numpy(), sign * top * self.scale
        begin = self.bias.detach().numpy() if bias and self.bias is not None else None
        sums, part = [], 0
        for strip, (weights, offsets) in zip(self._strips, self._combine, strict=True):
            scales = gain[part : part + len(weights)] * np.float32(factor)
            constant = scales @ offsets
            if begin is not None:
                constant += begin[slice(*strip.outputs)]
            sums.append(PairSum(strip.window, weights, scales, strip.targets, constant))
            part += len(weights)
        if self._repeats > 1:
            x = np.concatenate([x] * self._repeats)
        product = self._multiplied(x, sign * array.converters.v_read / top, sums)
        out = product.values
        share = product.clipped / (out.size // out.shape[1] * self._columns)
        self.clipped = np.maximum(self.clipped, share)
        if self._repeats > 1:
            out = out.reshape(self._repeats, -1, *out.shape[1:]).mean(0)
        return out

    def _multiplied(self, x: Floats, volts: float, sums: list[PairSum]) -> PairProduct:
        """Sums of the strips, side by side; those of the same inputs in one verb."""
        if self.placement.cut.groups == 1:
            return self._array.vmm_pairs(x, volts, sums, self.unfold)
        both = zip(self._strips, sums, strict=True)
        found = [
            self._array.vmm_pairs(
                self._share(x, inputs), volts, [own for _, own in each], self.unfold
            )
            for inputs, each in groupby(both, lambda pair: pair[0].inputs)
        ]
        return PairProduct(
            np.concatenate([product.values for product in found], 1),
            np.concatenate([product.clipped for product in found]),
        )

    def _share(self, x: Floats, inputs: tuple[int, int]) -> Floats:
        """What drives a strip with these of the layer's inputs."""
        raise NotImplementedError

    def _inputs(self, x: Tensor) -> Floats:
        """Activations as the array takes them."""
        raise NotImplementedError

    def _drive(self, v: Tensor, strip: Strip) -> Callable[[], Product]:
        """The VMM of inputs v, volts, on a strip."""
        raise NotImplementedError

    def _shaped(self, out: Tensor, x: Tensor) -> Tensor:
        """The product's sums in the layer's output shape."""
        raise NotImplementedError

    def gradients(self, grad: Tensor, x: Tensor, need_x: bool) -> Gradients:
        """Gradients of x (None unless needed), weight, bias (None without) and gain, digitally."""
        raise NotImplementedError

    def _few(
        self, kernel: Callable[..., None], grad: Tensor, x: Tensor, need_x: bool, *settings: Any
    ) -> Gradients:
        """`gradients` by a kernel of `digital`."""
        to_x = np.empty(x.shape if need_x else (0,) * x.dim(), np.float32)
        to_weight = np.empty(self.weight.shape, np.float32)
        to_bias = np.empty(len(self.weight), np.float32)
        to_gain = np.empty(len(self.gain), np.float32)
        kernel(
            grad.contiguous().numpy(),
            x.contiguous().numpy(),
            self.weight.detach().numpy(),
            self.gain.detach().numpy(),
            self._part_of,
            *settings,
            to_x,
            to_weight,
            to_bias,
            to_gain,
        )
        return (
            torch.from_numpy(to_x) if need_x else None,
            torch.from_numpy(to_weight),
            None if self.bias is None else torch.from_numpy(to_bias),
            torch.from_numpy(to_gain),
        )

    def errors(self, grad: Tensor, x: Tensor, cells: DeviceWindow) -> Tensor:
        """The gradient of x through the array, whose cells' currents lie in that window."""
        raise NotImplementedError

    def _back(self, errors: Tensor, cells: DeviceWindow) -> Tensor:
        """Errors (n, outputs) to (n, inputs)."""
        vectors: Floats = errors.numpy()
        gain = self.gain.detach().numpy()
        return torch.from_numpy(back(self._array, self.placement, gain, self.scale, cells, vectors))


Gradients = tuple[Tensor | None, Tensor, Tensor | None, Tensor]


class _Measured(torch.autograd.Function):
    """Forward on the array, backward from W_FP."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor, layer: ChipLayer
    ) -> Tensor:
        del bias, gain  # the layer's; they are here to get gradients
        ctx.save_for_backward(x, weight)  # so that torch notices if they change before backward
        ctx.layer = layer
        return layer.measure(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, _ = ctx.saved_tensors
        layer: ChipLayer = ctx.layer
        need_x, cells = ctx.needs_input_grad[0], layer.back
        to_x, *others = layer.gradients(grads[0], x, need_x and cells is None)
        if need_x and cells is not None:
            to_x = layer.errors(grads[0], x, cells)
        return to_x, *others, None
