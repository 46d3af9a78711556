"""The training loop, in the open: a generator of events.

run = Training(Recipe(seed=1), array, load_mnist())
for event in run.events():
    ...
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.core.array import CimArray, Mask
from cimlab.core.errors import ConfigError, RecordError
from cimlab.nn import ChipLayer, Quantised, convert, quantise

from .adamw import AdamW
from .batches import Ahead, Batches
from .checkpoint import (
    Arrays,
    copies,
    fill,
    optimizer_tensors,
    prime,
)
from .data import Images
from .events import EpochDone, Event, Prepared, Resumed, StepDone
from .networks import network
from .policies import POLICIES
from .ranges import Ranges
from .recipe import Recipe
from .team import ALONE, Team
from .updater import Trigger, Update, Updater
from .writing import Writer

CALIBRATION_IMAGES = 256
PAPER_IMAGES = 2560
MAP_AVERAGES = 16
MOVED = 0.3e-6
"""A by which two averaged reads of a cell that moved differ; five sigmas of their noise."""


@dataclass(slots=True)
class _Sums:
    """What the batches of the present epoch add up to."""

    loss: float = 0.0
    seconds: float = 0.0
    update: Update = field(default_factory=Update)

    def add(self, step: StepDone) -> None:
        self.loss += step.loss
        self.seconds += step.seconds
        self.update += step.update


class Training:
    """A run: network, array, optimiser and where they are in the recipe.

    The same seed gives the same initial parameters and batches in every mode.

    Args:
        recipe: How to train.
        array: What to train on; None in modes fp32 and qat, which need none.
        data: Images and labels.
        usable: False for cells to avoid, (tiles, rows, cols); a resumed run needs the same.
        team: The processes that share each batch, every one with an array of its own.

    Attributes:
        recipe: As given.
        model: The network.
        layers: Its chip layers by name; none in modes fp32 and qat.
        updater: What writes the cells, by the recipe's policy; None in modes fp32 and qat.
        step: Batches done.
        total: What was written in training so far.

    Raises:
        ConfigError: The network does not fit the array or the images, or there is no array.
    """

    def __init__(
        self,
        recipe: Recipe,
        array: CimArray | None,
        data: Images,
        usable: Mask | None = None,
        team: Team = ALONE,
    ) -> None:
        self.recipe = recipe
        self._team = team
        self.step = 0
        self.total = Update()
        known = network(recipe.network)
        if data.train_images[0].size != math.prod(known.image):
            raise ConfigError(
                f"{recipe.network} takes images of {known.image}, "
                f"{recipe.data} has {data.train_images.shape[1:]}"
            )
        self.model = team.normalise(known.make(torch.Generator().manual_seed(recipe.seed)))
        self.layers: dict[str, ChipLayer] = {}
        self._roundings: dict[str, Quantised] = {}
        self.updater: Updater | None = None
        self._ranges: Ranges | None = None
        self._losses: list[float] = []
        self._batches = Batches(
            data,
            recipe.seed,
            recipe.batches,
            recipe.batch_size,
            recipe.augment,
            team.batch(recipe.batch_size),
        )
        self._sums = _Sums()
        self._resumed: Resumed | None = None
        if recipe.mode == "qat":
            self._roundings = quantise(self.model, recipe.levels, recipe.headroom)
        elif recipe.mode != "fp32":
            if array is None:
                raise ConfigError(f"mode {recipe.mode} needs an array; fp32 and qat run without")
            self.layers = convert(
                self.model,
                array,
                recipe.on_chip,
                recipe.window,
                recipe.headroom,
                recipe.repeats,
                usable,
                recipe.crest,
            )
        self._optimizer = AdamW(self._parameter_groups(), recipe.lr, recipe.weight_decay)
        if array is not None and self.layers:
            self._direct_errors(array)
            self.updater = POLICIES[recipe.policy](
                self._optimizer,
                self.layers.values(),
                Writer(array, recipe.writing, recipe.master, recipe.averages, team=team),
                Trigger(
                    0.0 if recipe.mode == "naive" else recipe.threshold,
                    recipe.remainder,
                    recipe.seed if recipe.stagger else None,
                ),
                recipe.window,
            )
            self._ranges = Ranges(array, self.model, self.layers, recipe.ranges == "fit")
        prime(self._optimizer)

    @property
    def updates_per_weight(self) -> float:
        """Writes of a weight so far, averaged over the weights on chip."""
        return self.total.weights / self.updater.size if self.updater else 0.0

    @property
    def pulses_per_weight(self) -> float:
        """Pulses of a weight in training so far, averaged over the weights on chip."""
        return self.total.pulses / self.updater.size if self.updater else 0.0

    def events(self) -> Generator[Event, None, None]:
        """Train to the end of the recipe; the array is left idle whatever happens."""
        try:
            if self._resumed is not None:
                yield self._resumed
            elif self.updater is not None and self._ranges is not None:
                yield self._prepare(self.updater, self._ranges.array)
            while self.step < self.recipe.steps:
                yield from self._epoch()
        finally:
            if self._ranges is not None:
                self._ranges.array.ground()

    def test(self) -> NDArray[np.bool_]:
        """Which test images are classified rightly, (n,); each process tests its part of them."""
        self.model.eval()
        part = self._team.part(self._batches.tests)
        right = np.zeros(self._batches.tests, np.bool_)
        right[part] = self._batches.test(self.model, part=part)
        return self._team.any(right)

    def _direct_errors(self, array: CimArray) -> None:
        """Errors go back through the array if the recipe says so."""
        if self.recipe.backward == "array":
            if "transpose" not in array.spec.capabilities:
                raise ConfigError("this array has no transposed products; leave backward at 'host'")
            for layer in self.layers.values():
                layer.back = self.recipe.window

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with their speed: a learning rate over the recipe's.

        Weights on chip, and rounded ones, learn in proportion to the range of their layer, so
        that a layer with small weights is not rewritten more often than one with large ones.
        """
        recipe = self.recipe
        ranged: list[tuple[Tensor, float]] = [
            (la.weight, la.scale * recipe.window.span) for la in self.layers.values()
        ]
        parameters = dict(self.model.named_parameters())
        ranged += [
            (parameters[f"{name}.parametrizations.weight.original"], rounding.limit)
            for name, rounding in self._roundings.items()
        ]
        groups: list[dict[str, Any]] = [
            {"params": [weight], "speed": recipe.rate * limit} for weight, limit in ranged
        ]
        taken = {weight for weight, _ in ranged}
        digital = [p for p in self.model.parameters() if p not in taken]
        return [*groups, {"params": digital, "speed": 1.0}]

    def _prepare(self, updater: Updater, array: CimArray) -> Prepared:
        return Prepared(updater.size, updater.initialise(self._placing(array)))

    def _placing(self, array: CimArray) -> Writer:
        """Writes cells of unknown state."""
        recipe = self.recipe
        return Writer(array, recipe.placing, "ideal", recipe.averages, team=self._team)

    def _epoch(self) -> Iterator[Event]:
        """The rest of the present epoch, and its test."""
        number, done = divmod(self.step, self.recipe.batches)
        if done == 0:
            self._sums = _Sums()
            if self._ranges is not None:
                start = time.perf_counter()
                self.model.train()
                yield self._ranges.calibrate(self.step, self._batches.sample(CALIBRATION_IMAGES))
                self._sums.seconds += time.perf_counter() - start
        batches = Ahead(self._batches.epoch(number, done))
        for images, labels in batches:
            begun = self._begin()
            if begun.weights and self._ranges is not None:
                yield self._ranges.calibrate(self.step, self._batches.sample(CALIBRATION_IMAGES))
            if self._ranges is not None:
                self._ranges.array.meanwhile(batches.make)
            event = self._learn(images, labels, begun)
            self._sums.add(event)
            yield event
        yield self._tested()

    def _begin(self) -> Update:
        """What is written before a batch."""
        return self.updater.begin(self.step / self.recipe.steps) if self.updater else Update()

    def _learn(self, images: Tensor, labels: Tensor, update: Update) -> StepDone:
        start = time.perf_counter()
        if not self.model.training:
            self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = group["speed"] * self.recipe.lr_at(self.step, self._losses)
        loss = F.cross_entropy(self.model(images), labels)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        mean_loss = self._team.average(self.model.parameters(), loss.item())
        if self.updater is None:
            self._optimizer.step()
        else:
            update += self.updater.step()
        clipped = self._ranges.widen() if self._ranges else np.empty(0)
        self.step += 1
        self.total += update
        return StepDone(self.step, mean_loss, update, clipped, time.perf_counter() - start)

    def _tested(self) -> EpochDone:
        start = time.perf_counter()
        right = self.test()
        sums, batches = self._sums, self.recipe.batches
        self._losses.append(sums.loss / batches)
        return EpochDone(
            self.step // batches,
            self.step,
            sums.loss / batches,
            float(right.mean()),
            float(right[:PAPER_IMAGES].mean()),
            sums.update,
            sums.seconds + time.perf_counter() - start,
        )

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """A checkpoint: arrays of always the same names and shapes, and a JSON object.

        Reads every cell in use, to know at a resume which have moved meanwhile; so runs compare
        bit for bit only if their checkpoints are at the same steps.
        """
        arrays = copies(self._digital() | optimizer_tensors(self._optimizer))
        if self.updater is not None and self._ranges is not None:
            arrays |= self.updater.arrays() | self._ranges.arrays()
            arrays["current"] = self.updater.read(MAP_AVERAGES)
        info = {
            "recipe": self.recipe.model_dump(mode="json"),
            "step": self.step,
            "total": asdict(self.total),
            "epoch": asdict(self._sums),
            "losses": self._losses,
        }
        return arrays, info

    def restore(self, arrays: Arrays, info: dict[str, Any]) -> Resumed:
        """Continue from a checkpoint: read the array again, and believe the cells that moved.

        To another chip the weights are written (see `Updater.reread`).

        Raises:
            RecordError: The checkpoint is of another recipe.
        """
        if Recipe.model_validate(info["recipe"]) != self.recipe:
            raise RecordError("the checkpoint is of another recipe; resume with the same options")
        self.step = info["step"]
        self.total = Update(**info["total"])
        self._losses = list(info["losses"])
        self._sums = _Sums(**{**info["epoch"], "update": Update(**info["epoch"]["update"])})
        fill(self._digital() | optimizer_tensors(self._optimizer), arrays)
        none = np.empty(0)
        self._resumed = Resumed(self.step, none.astype(np.int64), none, none)
        if self.updater is not None and self._ranges is not None:
            self.updater.restore(arrays)
            self._ranges.restore(arrays)
            placing = self._placing(self._ranges.array)
            moved, before, now = self.updater.reread(
                arrays["current"], MAP_AVERAGES, MOVED, placing
            )
            self._resumed = Resumed(self.step, moved, before, now)
        return self._resumed

    def _digital(self) -> dict[str, Tensor]:
        """Parameters that live in no cell, and the layers' input scales."""
        on_chip = {f"{name}.weight" for name in self.layers}
        named: dict[str, Tensor] = dict(self.model.named_parameters())
        named |= dict(self.model.named_buffers())
        return {f"model.{n}": tensor for n, tensor in named.items() if n not in on_chip}
