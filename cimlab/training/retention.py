"""Trained weights on a chip as time passes: accuracy after programming (PAPER 4).

The weights are written to the cells, a layer's largest at the end of their range, and tested on
the array after rests of its clock. The scale correction is one factor a layer: all its pairs are
read, and what they carried after writing is fitted to what they carry now. It undoes what all
cells do alike, a drift, and leaves what tells them apart (Joshi et al. 2020, arXiv 1906.03138).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cimlab.core.array import CimArray, Floats
from cimlab.core.errors import ConfigError
from cimlab.nn import ChipLayer, DeviceWindow, calibrate, convert, fresh_pair
from cimlab.protocols import RampPlan, WriteVerify

from .transfer import Trained
from .writing import Writer

AVERAGES = 16
CALIBRATION_IMAGES = 256


@dataclass(frozen=True, slots=True)
class Retained:
    """What is left of a network after some time.

    Attributes:
        time: Since it was written, s.
        corrected: Whether the layers' scales were corrected.
        accuracy: Of the test images, 0 - 1.
        factors: By which the layers' scales were multiplied, by name.
    """

    time: float
    corrected: bool
    accuracy: float
    factors: dict[str, float]


def retention(
    trained: Trained,
    array: CimArray,
    times: Sequence[float],
    window: DeviceWindow | None = None,
    images: int | None = None,
) -> Iterator[Retained]:
    """Write a network to an array, and test it at times after that, as it is and corrected.

    Args:
        trained: The network.
        array: Its clock is slept on: with real devices, for as long as the times say.
        times: Rising, s after the cells were written and the converters fitted.
        window: Currents of the cells; None for those of the training.
        images: Test images to use, the first; None for all.

    Raises:
        ConfigError: Times that do not rise, or a network that does not fit the array.
    """
    if any(b <= a for a, b in zip([-1.0, *times], times, strict=False)):
        raise ConfigError("times after programming begin at 0 or later, and rise")
    recipe, window = trained.recipe, window or trained.recipe.window
    model = trained.digital().eval()
    layers = convert(model, array, recipe.on_chip, window, 1.0, recipe.repeats, crest=recipe.crest)
    # blind pulses cannot write cells of unknown state
    plan = recipe.writing if isinstance(recipe.writing, RampPlan) else WriteVerify()
    writer = Writer(array, plan, "ideal", AVERAGES)
    for layer in layers.values():
        target = fresh_pair(layer.weight.detach().numpy().ravel() / layer.scale, window).ravel()
        writer.write(layer.placement.cells(array.spec).ravel(), target, target)
        layer.train()  # its input scale is learnt from the sample
    calibrate(model, layers, array, trained.batches.sample(CALIBRATION_IMAGES))
    model.eval()
    fresh = {name: _differences(layer, writer) for name, layer in layers.items()}
    scales, now = {name: layer.scale for name, layer in layers.items()}, 0.0
    for time in times:
        array.clock.sleep(time - now)
        now = time
        yield Retained(time, False, _tested(trained, model, images), dict.fromkeys(layers, 1.0))
        factors = {}
        for name, layer in layers.items():
            left = _differences(layer, writer)
            factors[name] = float(left @ fresh[name] / (left @ left))
            layer.scale = scales[name] * factors[name]
        yield Retained(time, True, _tested(trained, model, images), factors)
        for name, layer in layers.items():
            layer.scale = scales[name]


def _differences(layer: ChipLayer, writer: Writer) -> Floats:
    """What a layer's pairs carry, (n,) A."""
    cells = layer.placement.cells(writer.array.spec).ravel()
    order = np.argsort(cells)
    current = np.empty(cells.size)
    current[order] = writer.read(cells[order])
    plus, minus = current.reshape(2, -1)
    difference: Floats = plus - minus
    return difference


def _tested(trained: Trained, model: torch.nn.Module, images: int | None) -> float:
    return float(trained.batches.test(model, images).mean())
