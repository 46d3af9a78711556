"""Trained weights on other chips: what programming noise, spread and stuck cells cost (PAPER 4).

A layer's largest weight fills the cells' range. Each cell of a pair is written with a Gaussian
error of sigma times the gap between two levels; a cell of a chip conducts a little more or less in
products than in verify reads; some of its cells are stuck at either end. The weights that come out
run digitally: converters and read noise are left out, so this is the cost of the transfer alone.
A chip's cells follow from the chip's number, an error from (chip, seed) and the cell: all networks
of a study see the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import RecordError
from cimlab.nn import cut_layer, quantise
from cimlab.protocols import Plan

from .batches import Batches
from .checkpoint import Arrays
from .data import Images
from .networks import network
from .recipe import DIGITAL, Recipe

RECALIBRATION = (8, 128)
"""Batches, and training images of each, from which batch normalisation learns again."""


class Writing(Plan):
    """How weights come to other chips; the defaults are PAPER 4's table 1 where it says."""

    levels: int = Field(default=16, ge=2, description="of a cell; sigma counts gaps between them")
    on_off: float = Field(default=7.0, gt=1, description="highest over lowest conductance")
    spread: float = Field(
        default=0.02,
        ge=0,
        description="relative sigma, from cell to cell, of what conducts in products over what "
        "was verified",
    )
    stuck: float = Field(
        default=0.002, ge=0, le=1, description="share of cells at an end of the range, half at each"
    )


@dataclass(frozen=True, slots=True)
class Draw:
    """One writing of a network.

    Attributes:
        sigma: Programming error, gaps between levels.
        chip: Which chip.
        seed: Which writing of it.
        recalibrated: Whether batch normalisation learnt again afterwards.
        accuracy: Of the test images, 0 - 1.
    """

    sigma: float
    chip: int
    seed: int
    recalibrated: bool
    accuracy: float


class Trained:
    """A network with the weights of a checkpoint, as plain numbers.

    Args:
        arrays: Of the checkpoint.
        info: Of the checkpoint.
        tile: Rows and columns of the tiles it was trained on.
        data: Its images.

    Attributes:
        recipe: How it was trained.
        batches: Its images.
        normalised: Whether it has batch normalisation.
    """

    def __init__(
        self, arrays: Arrays, info: Mapping[str, Any], tile: tuple[int, int], data: Images
    ) -> None:
        self.recipe = recipe = Recipe.model_validate(info["recipe"])
        self._model = network(recipe.network).make(torch.Generator().manual_seed(recipe.seed))
        self._layers = {
            n: m for n, m in self._model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)
        }
        self.batches = Batches(data, recipe.seed, *RECALIBRATION, recipe.augment)
        self._gains: dict[str, Tensor] = {}
        if recipe.mode == "qat":
            quantise(self._model, recipe.levels, recipe.headroom)
        state = {n.removeprefix("model."): a for n, a in arrays.items() if n.startswith("model.")}
        if recipe.mode not in DIGITAL:
            state |= self._from_chip(arrays, tile)
        known = self._model.state_dict()
        if missing := known.keys() - state.keys():
            raise RecordError(f"the run's checkpoint lacks {', '.join(sorted(missing))}")
        self._model.load_state_dict(
            {name: torch.from_numpy(np.array(state[name])) for name in known}
        )
        for layer in self._layers.values():
            if parametrize.is_parametrized(layer):
                parametrize.remove_parametrizations(layer, "weight")
        self._start = {n: t.clone() for n, t in self._model.state_dict().items()}
        self.normalised = any(isinstance(m, nn.BatchNorm2d) for m in self._model.modules())

    def _from_chip(self, arrays: Arrays, tile: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """W_FP of the layers on chip, and the gains of their tiles, which stay digital."""
        state, start = {}, 0
        spec = ArraySpec(1, *tile, 8, 8, Limits(), "none", "emulated", "tiles of that size")
        for name, layer in self._layers.items():
            if self.recipe.on_chip is not None and name not in self.recipe.on_chip:
                continue
            end = start + layer.weight.numel()
            state[f"{name}.weight"] = arrays["master"][start:end].reshape(layer.weight.shape)
            start = end
            if f"model.{name}.gain" in arrays:
                parts = cut_layer(name, layer, spec).part_of().reshape(layer.weight.shape)
                self._gains[name] = torch.from_numpy(arrays[f"model.{name}.gain"][parts])
        return state

    def accuracy(self, images: int | None = None) -> float:
        """Of the first test images, with the weights as they were trained."""
        self._restore()
        self._scale()
        return self._test(images)

    def digital(self) -> nn.Module:
        """A copy of the network, its weights times the gains of their tiles."""
        self._restore()
        self._scale()
        return copy.deepcopy(self._model)

    def draws(
        self, plan: Writing, sigma: float, chip: int, seed: int, images: int | None = None
    ) -> list[Draw]:
        """Write to a chip and test; networks with batch normalisation also recalibrated."""
        self._restore()
        cells, error = np.random.default_rng([chip]), np.random.default_rng([chip, seed, 1])
        with torch.no_grad():
            for layer in self._layers.values():
                written = written_weights(layer.weight.numpy(), plan, sigma, cells, error)
                layer.weight.copy_(torch.from_numpy(written))
        self._scale()
        found = [Draw(sigma, chip, seed, False, self._test(images))]
        if self.normalised:
            self._recalibrate()
            found.append(Draw(sigma, chip, seed, True, self._test(images)))
        return found

    def _scale(self) -> None:
        """Multiply weights by the gains of their tiles: these stay digital."""
        with torch.no_grad():
            for name, gain in self._gains.items():
                self._layers[name].weight.mul_(gain)

    def _restore(self) -> None:
        self._model.load_state_dict(self._start)

    def _test(self, images: int | None) -> float:
        self._model.eval()
        return float(self.batches.test(self._model, images).mean())

    def _recalibrate(self) -> None:
        """Batch normalisation learns its statistics anew, from training images."""
        for module in self._model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain mean over the batches
        self._model.train()
        with torch.no_grad():
            for images, _ in self.batches.epoch(0):
                self._model(images)


def written_weights(
    weights: NDArray[np.float32],
    plan: Writing,
    sigma: float,
    cells: np.random.Generator,
    error: np.random.Generator,
) -> NDArray[np.float32]:
    """What a layer's weights are on a chip.

    Args:
        weights: As wanted.
        plan: How cells are.
        sigma: Programming error, gaps between levels.
        cells: Draws what belongs to the chip.
        error: Draws the programming errors.
    """
    limit = float(np.abs(weights).max()) or 1.0
    share = weights / limit
    # in units of the range, from the low end
    pair = np.stack([np.maximum(share, 0.0), np.maximum(-share, 0.0)])
    pair += error.standard_normal(pair.shape) * (sigma / (plan.levels - 1))
    low = 1 / (plan.on_off - 1)
    u = cells.random(pair.shape)
    spread = cells.standard_normal(pair.shape) * plan.spread
    pair = np.where(u < plan.stuck / 2, 0.0, np.where(u > 1 - plan.stuck / 2, 1.0, pair))
    conducted = np.maximum(pair + low, 0.0) * (1 + spread)
    out: NDArray[np.float32] = ((conducted[0] - conducted[1]) * limit).astype(np.float32)
    return out


@dataclass(frozen=True, slots=True)
class Spread:
    """Normalised accuracies of one network at one sigma."""

    sigma: float
    recalibrated: bool
    accuracies: NDArray[np.float64]

    def summary(self) -> dict[str, Any]:
        """Median and spread, as plain data."""
        low, lower, median, upper, high = np.quantile(
            self.accuracies, [0.05, 0.25, 0.5, 0.75, 0.95]
        )
        return {
            "sigma": self.sigma,
            "recalibrated": self.recalibrated,
            "median": float(median),
            "quartiles": [float(lower), float(upper)],
            "p5": float(low),
            "p95": float(high),
            "draws": self.accuracies.size,
        }


def spreads(draws: Sequence[Draw], reference: float) -> list[Spread]:
    """Draws by sigma and recalibration, over the reference accuracy."""
    kinds = sorted({(d.sigma, d.recalibrated) for d in draws})
    return [
        Spread(
            s,
            r,
            np.array([d.accuracy for d in draws if (d.sigma, d.recalibrated) == (s, r)])
            / reference,
        )
        for s, r in kinds
    ]


def pooled(networks: Sequence[Sequence[Spread]]) -> list[Spread]:
    """Spreads of several networks, of the same sigmas in the same order, as those of one."""
    return [
        Spread(p[0].sigma, p[0].recalibrated, np.concatenate([one.accuracies for one in p]))
        for p in zip(*networks, strict=True)
    ]
