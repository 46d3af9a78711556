"""The training loop, in the open: a generator of events.

run = Training(Recipe(seed=1), array, load_mnist())
for event in run.events():
    ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.core.array import CimArray, Floats
from cimlab.core.errors import ConfigError, RecordError
from cimlab.nn import ChipLayer, calibrate, convert
from cimlab.protocols import RampPlan, WriteVerify, calibration

from .checkpoint import Arrays, optimizer_arrays, prime, restore_optimizer
from .data import Mnist
from .events import Calibrated, EpochDone, Event, Prepared, Resumed, StepDone
from .lenet import LeNet
from .recipe import Recipe
from .updater import MixedPrecision, Trigger, Update
from .writing import Writer

CALIBRATION_IMAGES = 256
TEST_BATCH = 1000
PAPER_IMAGES = 2560
CLIPPED_MOST = 0.01
"""A tile whose conversions clip more often than this gets a wider range at once."""
WIDER = 1.3
MAP_AVERAGES = 16
MOVED = 0.3e-6
"""A averaged reads must differ by to call a cell moved: five sigmas of two reads, and drift."""


class Training:
    """A run: network, array, optimiser and where they are in the recipe.

    The same seed gives the same initial parameters and batches in every mode. Nothing random is
    hidden: parameters are drawn from (seed), the batches of an epoch from (seed, epoch).

    Args:
        recipe: How to train.
        array: What to train on; None in mode fp32, which needs none.
        data: Images and labels.

    Attributes:
        recipe: As given.
        model: The network.
        layers: Its chip layers by name; none in mode fp32.
        updater: The mixed-precision updater; None in mode fp32.
        step: Batches done.
        total: What was written in training so far.

    Raises:
        ConfigError: The network does not fit the array, or there is no array.
    """

    def __init__(self, recipe: Recipe, array: CimArray | None, data: Mnist) -> None:
        self.recipe = recipe
        self.step = 0
        self.total = Update()
        self.model = LeNet(torch.Generator().manual_seed(recipe.seed))
        self.layers: dict[str, ChipLayer] = {}
        self.updater: MixedPrecision | None = None
        self._array = array
        self._epoch = _EpochSoFar()
        self._images = torch.from_numpy(data.train_images).unsqueeze(1)
        self._labels = torch.from_numpy(data.train_labels).long()
        self._test_images = torch.from_numpy(data.test_images).unsqueeze(1)
        self._test_labels = torch.from_numpy(data.test_labels).long()
        self._columns: calibration.ColumnCalibration | None = None
        self._resumed: Resumed | None = None
        if recipe.mode != "fp32":
            if array is None:
                raise ConfigError(f"mode {recipe.mode} needs an array; only fp32 runs without")
            self.layers = convert(
                self.model, array, recipe.on_chip, recipe.window, recipe.headroom
            )
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), recipe.lr, weight_decay=recipe.weight_decay
        )
        if array is not None and self.layers:
            threshold = 0.0 if recipe.mode == "naive" else recipe.threshold
            self.updater = MixedPrecision(
                self._optimizer,
                self.layers.values(),
                Writer(array, recipe.writing, recipe.master, recipe.averages),
                Trigger(threshold, recipe.remainder),
                recipe.window,
            )
        prime(self._optimizer)

    @property
    def updates_per_weight(self) -> float:
        """Writes of a weight so far, averaged over the weights on chip."""
        return self.total.weights / self.updater.size if self.updater else 0.0

    def events(self) -> Iterator[Event]:
        """Train to the end of the recipe; the array is left idle whatever happens."""
        try:
            if self._resumed is not None:
                yield self._resumed
            elif self.updater is not None:
                yield self._prepare(self.updater)
            while self.step < self.recipe.steps:
                yield from self._epochs_batches()
                yield self._end_epoch()
        finally:
            if self._array is not None:
                self._array.ground()

    def _prepare(self, updater: MixedPrecision) -> Prepared:
        writing = self.recipe.writing
        plan = writing if isinstance(writing, RampPlan) else WriteVerify()
        assert self._array is not None  # noqa: S101 - an updater has one
        writer = Writer(self._array, plan, "ideal", self.recipe.averages)
        return Prepared(updater.size, updater.initialise(writer))

    def _epochs_batches(self) -> Iterator[Event]:
        """The rest of the present epoch."""
        recipe = self.recipe
        number, done = divmod(self.step, recipe.batches)
        order = self._order(number)
        for k in range(done, recipe.batches):
            if k == 0:
                self._epoch = _EpochSoFar()
                if self.layers:
                    yield self._calibrate()
            yield self._learn(order[k])

    def _order(self, epoch: int) -> Tensor:
        """Indices of an epoch's batches, (batches, batch_size); no image twice where they last."""
        recipe, n = self.recipe, len(self._labels)
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch + 1)
        need = recipe.batches * recipe.batch_size
        rounds = [torch.randperm(n, generator=generator) for _ in range(-(-need // n))]
        return torch.cat(rounds)[:need].view(recipe.batches, recipe.batch_size)

    def _learn(self, batch: Tensor) -> StepDone:
        start = time.perf_counter()
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(self.step)
        loss = F.cross_entropy(self.model(_floats(self._images[batch])), self._labels[batch])
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.updater is None:
            self._optimizer.step()
            update = Update()
        else:
            update = self.updater.step()
        clipped = self._widen()
        seconds = time.perf_counter() - start
        self.step += 1
        self.total += update
        value = loss.item()
        self._epoch.add(value, update, seconds)
        return StepDone(self.step, value, update, clipped, seconds)

    def _widen(self) -> float:
        """Widen the ranges of tiles that clip; returns the largest share that did."""
        if self._array is None or not self.layers:
            return 0.0
        clipped = np.concatenate([layer.clipped for layer in self.layers.values()])
        if (clipped > CLIPPED_MOST).any():
            now = self._array.converters
            ranges = np.array(now.i_vmm)
            ranges[: clipped.size][clipped > CLIPPED_MOST] *= WIDER
            self._array.configure(replace(now, i_vmm=tuple(float(x) for x in ranges)))
        return float(clipped.max())

    def _calibrate(self) -> Calibrated:
        assert self._array is not None  # noqa: S101 - chip layers have one
        start = time.perf_counter()
        self.model.train()
        sample = _floats(self._images[:CALIBRATION_IMAGES])
        self._columns = calibrate(self.model, self.layers, self._array, sample)
        self._epoch.seconds += time.perf_counter() - start
        residual = float(np.sqrt(np.mean(self._columns.residual**2)))
        return Calibrated(self.step, self._array.converters.i_vmm, residual)

    def _end_epoch(self) -> EpochDone:
        start = time.perf_counter()
        right = self.test()
        epoch = self._epoch
        return EpochDone(
            self.step // self.recipe.batches,
            self.step,
            epoch.loss / self.recipe.batches,
            float(right.mean()),
            float(right[:PAPER_IMAGES].mean()),
            epoch.update,
            epoch.seconds + time.perf_counter() - start,
        )

    def test(self) -> np.ndarray:
        """Which test images are classified rightly, (n,) bool."""
        self.model.eval()
        with torch.no_grad():
            guesses = [
                self.model(_floats(images)).argmax(1)
                for images in self._test_images.split(TEST_BATCH)
            ]
        right: np.ndarray = (torch.cat(guesses) == self._test_labels).numpy()
        return right

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """A checkpoint: arrays of always the same names and shapes, and a JSON object.

        Reads every cell in use, to know at a resume which have moved meanwhile; so runs compare
        bit for bit only if their checkpoints are at the same steps.
        """
        arrays = {f"parameter.{n}": p.numpy(force=True).copy() for n, p in self._digital().items()}
        arrays |= optimizer_arrays(self._optimizer)
        if self.updater is not None and self._array is not None:
            arrays |= self.updater.arrays()
            arrays["current"] = self._map(self.updater)
            arrays["ranges"] = np.array(self._array.converters.i_vmm)
            shape = (self._array.spec.tiles, self._array.spec.cols)
            columns = self._columns
            arrays["gain"] = columns.gain if columns else np.ones(shape)
            arrays["offset"] = columns.offset if columns else np.zeros(shape)
            arrays["residual"] = columns.residual if columns else np.zeros(shape)
        info = {
            "recipe": self.recipe.model_dump(mode="json"),
            "step": self.step,
            "total": _counts(self.total),
            "epoch": {
                "loss": self._epoch.loss,
                "seconds": self._epoch.seconds,
                "update": _counts(self._epoch.update),
            },
        }
        return arrays, info

    def restore(self, arrays: Arrays, info: dict[str, Any]) -> Resumed:
        """Continue from a checkpoint: read the array again, and believe the cells that moved.

        Raises:
            RecordError: The checkpoint is of another recipe.
        """
        if Recipe.model_validate(info["recipe"]) != self.recipe:
            raise RecordError("the checkpoint is of another recipe; resume with the same options")
        self.step = info["step"]
        self.total = Update(**info["total"])
        epoch = info["epoch"]
        self._epoch = _EpochSoFar(epoch["loss"], epoch["seconds"], Update(**epoch["update"]))
        for name, tensor in self._digital().items():
            tensor.data.copy_(torch.from_numpy(np.array(arrays[f"parameter.{name}"])))
        restore_optimizer(self._optimizer, arrays)
        none = np.empty(0)
        self._resumed = Resumed(self.step, none.astype(np.int64), none, none)
        if self.updater is not None:
            self.updater.restore(arrays)
            self._resumed = self._restore_array(arrays, self.updater)
        return self._resumed

    def _restore_array(self, arrays: Arrays, updater: MixedPrecision) -> Resumed:
        assert self._array is not None  # noqa: S101 - an updater has one
        ranges = tuple(float(x) for x in arrays["ranges"])
        self._array.configure(replace(self._array.converters, i_vmm=ranges))
        self._columns = calibration.ColumnCalibration(
            arrays["gain"], arrays["offset"], arrays["residual"]
        )
        for layer in self.layers.values():
            layer.correct(self._columns)
        before, now = arrays["current"], self._map(updater)
        moved = np.abs(now - before) > MOVED
        pairs = moved.any(axis=0)
        if pairs.any():
            updater.adopt(np.where(moved, now, updater.believed), pairs)
        return Resumed(self.step, updater.cells[moved], before[moved], now[moved])

    def _map(self, updater: MixedPrecision) -> Floats:
        return updater.read(MAP_AVERAGES)

    def _digital(self) -> dict[str, Tensor]:
        """Parameters that live in no cell, and the layers' input scales."""
        on_chip = {f"{name}.weight" for name in self.layers}
        named = {n: p for n, p in self.model.named_parameters() if n not in on_chip}
        return named | dict(self.model.named_buffers())


class _EpochSoFar:
    """Sums over the batches of the present epoch."""

    def __init__(
        self, loss: float = 0.0, seconds: float = 0.0, update: Update | None = None
    ) -> None:
        self.loss, self.seconds = loss, seconds
        self.update = update or Update()

    def add(self, loss: float, update: Update, seconds: float) -> None:
        self.loss += loss
        self.update += update
        self.seconds += seconds


def _floats(images: Tensor) -> Tensor:
    """Grey values 0 .. 255 to 0 .. 1."""
    return images.float().div_(255)


def _counts(update: Update) -> dict[str, int]:
    return {"weights": update.weights, "devices": update.devices, "pulses": update.pulses}
