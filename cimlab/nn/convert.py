"""Putting a network on an array: layers are replaced, placed, calibrated."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from cimlab.core.array import ArraySpec, CimArray, Mask
from cimlab.protocols import calibration

from .choosing import choose
from .conv2d import ChipConv2d
from .layer import ChipLayer
from .linear import ChipLinear
from .mapping import DeviceWindow
from .placing import place
from .tiling import Placement

log = logging.getLogger("cimlab.nn")


def convert(
    model: nn.Module,
    array: CimArray,
    on_chip: Iterable[str] | None = None,
    window: DeviceWindow | None = None,
    headroom: float = 3.0,
    repeats: Mapping[str, int] | None = None,
    usable: Mask | None = None,
    crest: float | None = None,
) -> dict[str, ChipLayer]:
    """Replace Linear and Conv2d layers of a model, in place, by layers on the array.

    Nothing is programmed: the pairs carry whatever they carry until someone reads or writes them
    (`cimlab.training` does). Layers left out run digitally, as before.

    Args:
        model: The network; any nesting of modules.
        array: With enough tiles for the chosen layers.
        on_chip: Names of the layers to place; None for all, which must be Linear and Conv2d.
        window: Device currents that are used.
        headroom: Largest weight that a layer's pairs can carry, over its largest weight now.
            3 leaves room to train from torch's default initialisation; 1 suits trained weights.
        repeats: How many products of the same inputs a layer averages, by name; 1 if not named.
        usable: False for cells to avoid, (tiles, rows, cols), as a health map says. Where they
            cannot all be avoided, as few as possible are used, and the log says how many.
        crest: While training, inputs of layers are clipped at so many of their root mean squares.

    Returns:
        The chip layers by name, in the order of the model.

    Raises:
        ConfigError: Unknown names, layers that cannot be placed (see `choose`), or too few tiles.
    """
    window = window or DeviceWindow()
    chosen = choose(model, on_chip)
    layers: dict[str, ChipLayer] = {}
    placements = place(chosen, array.spec, usable)
    if usable is not None:
        _warn(placements, array.spec, usable)
    for name, placement in placements.items():
        digital = chosen[name]
        times = (repeats or {}).get(name, 1)
        scale = headroom * float(digital.weight.detach().abs().max()) / window.span
        layers[name] = (
            ChipConv2d(digital, placement, array, scale, times, crest)
            if isinstance(digital, nn.Conv2d)
            else ChipLinear(digital, placement, array, scale, times, crest)
        )
    instead = {chosen[name]: layer for name, layer in layers.items()}
    # a layer that is used in several places has several names
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in instead:
            model.set_submodule(name, instead[module])
    return layers


def calibrate(
    model: nn.Module,
    layers: dict[str, ChipLayer],
    array: CimArray,
    inputs: Tensor,
    ranges: calibration.RangePlan | None = None,
    columns: calibration.ColumnPlan | None = None,
) -> calibration.ColumnCalibration:
    """Fit the ADC range of every tile in use to real inputs, then gain and offset of its columns.

    Args:
        model: The converted network.
        layers: Its chip layers.
        array: Where they are.
        inputs: A sample of what the network will see.
        ranges: How much may clip.
        columns: How the columns are compared with the cells.
    """
    for layer in layers.values():
        layer.fit_range(ranges or calibration.RangePlan())
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for layer in layers.values():
            layer.fit_range(None)
    found = calibration.columns(array, columns)
    for layer in layers.values():
        layer.correct(found)
    return found


def _warn(placements: Mapping[str, Placement], spec: ArraySpec, usable: Mask) -> None:
    """Say how many bad cells could not be avoided; stuck partners are then written around."""
    cells = np.concatenate([p.cells(spec).ravel() for p in placements.values()])
    bad = int((~usable.reshape(-1)[cells]).sum())
    if bad:
        log.warning("%d of the %d cells in use are bad; no placement avoids them", bad, cells.size)
