"""Weights on pairs of cells, and what turns their gradients into pulses.

`Updater` is the seam: a scheme of training on chip decides what is written after a batch, when
weights come to the cells, and what the layers' passes use meanwhile. `MixedPrecision` is the
paper's scheme; the neighbours' are in `cimlab.training.policies`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cimlab.core.array import Addresses, Floats
from cimlab.nn import ChipLayer, DeviceWindow, fresh_pair

from .accumulate import settle, to_write, triggered
from .checkpoint import Arrays
from .writing import Writer

ROUNDING = 1e-6
"""Share of the range by which a weight at its end may seem to be off it."""


@dataclass(frozen=True, slots=True)
class Update:
    """What was written; exact counts.

    Attributes:
        weights: Pairs of which a cell was written.
        devices: Cells written.
        pulses: Pulses they received.
    """

    weights: int = 0
    devices: int = 0
    pulses: int = 0

    def __add__(self, other: Update) -> Update:
        return Update(
            self.weights + other.weights,
            self.devices + other.devices,
            self.pulses + other.pulses,
        )


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a weight is written, and what stays in its accumulator.

    Attributes:
        threshold: Share of the weight range; 0 writes every change at once.
        remainder: "discard" writes the whole change and starts again from zero; "keep" writes
            whole multiples of the threshold and carries over the rest and what the write missed.
        stagger: Seed with which accumulators start anywhere between the thresholds; None: at zero.
    """

    threshold: float
    remainder: Literal["keep", "discard"]
    stagger: int | None = None


class Updater(ABC):
    """Weights on pairs of cells, their accumulators, and the optimiser in front of them.

    The loop calls `initialise` once, then `begin`, the passes and `step` for every batch. What a
    scheme needs to go on after a restart is in `arrays`.

    All weights on chip are one flat buffer, and the layers' parameters are views of it: n weights
    in the order of the layers, each in torch's order.

    Args:
        optimizer: Any torch optimiser that holds the layers' weights, and digital parameters too.
        layers: The chip layers.
        writer: Writes cells.
        trigger: When.
        window: Currents of cells.

    Attributes:
        settings: What a recipe of this scheme has for defaults.
        optimizer: As given.
        layers: As given.
        cells: Addresses of the pairs, (2, n): plus, then minus.
        believed: What they are believed to carry, (2, n) A.
        target: What was last asked of them, (2, n) A; NaN before anything was.
        stuck: Cells that verified pulses could not move; their partners are written, (2, n).
        accumulated: Wanted changes not written yet, (n,) weight units.
        placed: True for weights that are on their cells; others are digital, for now, (n,).
        writes: How often each cell was written, (2, n).
    """

    settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        layers: Iterable[ChipLayer],
        writer: Writer,
        trigger: Trigger,
        window: DeviceWindow,
    ) -> None:
        self.layers = chip = list(layers)
        spec = writer.array.spec
        self.optimizer = optimizer
        self._writer, self._trigger, self._window = writer, trigger, window
        self.cells: Addresses = np.concatenate(
            [layer.placement.cells(spec).reshape(2, -1) for layer in chip], axis=1
        )
        self._scale = np.concatenate([np.full(layer.weight.numel(), layer.scale) for layer in chip])
        self._limit = window.span * self._scale
        flat = torch.cat([layer.weight.detach().flatten() for layer in chip])
        ends = np.cumsum([layer.weight.numel() for layer in chip]).tolist()
        self._parts = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]
        for layer, part in zip(chip, self._parts, strict=True):
            layer.weight.data = flat[part].view_as(layer.weight)
        self._weights: NDArray[np.float32] = flat.numpy()
        self._master = self._weights.copy()
        self.believed = np.zeros(self.cells.shape)
        self.target = np.full(self.cells.shape, np.nan)
        self.stuck = np.zeros(self.cells.shape, np.bool_)
        self.accumulated = np.zeros(flat.numel())
        self.placed = np.zeros(flat.numel(), np.bool_)
        self.writes = np.zeros(self.cells.shape, np.int64)
        # the two cells of a pair are neighbours: pairs in this order are cells in rising order
        self._order = self.cells[0].argsort().astype(np.uint32)
        # as large as they could have to be; memory is what of them is ever filled
        self._hit, self._change = np.empty(flat.numel(), np.int64), np.empty(flat.numel())
        self._slot, self._address = (np.empty(self.cells.size, np.int64) for _ in range(2))
        self._before, self._goals = np.empty(self.cells.size), np.empty(self.cells.size)

    @property
    def size(self) -> int:
        """Weights on chip."""
        return self.accumulated.size

    def initialise(self, writer: Writer) -> Update:
        """Before the first batch: all weights go to their cells.

        Args:
            writer: For this once; blind pulses cannot write cells of unknown state.
        """
        return self.place(np.arange(self.size), writer)

    def begin(self, done: float) -> Update:
        """Before every batch: what is written outside of the steps, and how the passes change.

        Args:
            done: Share of the run that is behind, 0 - 1.
        """
        return Update()

    @abstractmethod
    def step(self) -> Update:
        """After every backward pass: learn from the gradients, and write."""

    def place(self, where: Addresses, writer: Writer) -> Update:
        """Write the present weights (m,) to their cells, then read these: that is W_FP."""
        target = fresh_pair(self._weights[where] / self._scale[where], self._window)
        self.target[:, where] = target
        cells = self.cells[:, where]
        written = writer.write(cells.ravel(), target.ravel(), target.ravel())
        self.stuck[:, where] = written.stuck.reshape(target.shape)
        self.writes[:, where] += 1
        self.placed[where] = True
        self.believed[:, where] = self.read(where=where)
        self._adopt(where)
        return Update(where.size, cells.size, written.pulses)

    def read(self, averages: int | None = None, where: Addresses | slice = slice(None)) -> Floats:
        """Currents of pairs, (2, m) A; averaged as the writer's reads unless told."""
        cells = self.cells[:, where]
        order = np.argsort(cells, axis=None)
        current = np.empty(cells.size)
        current[order] = self._writer.read(cells.ravel()[order], averages)
        return current.reshape(cells.shape)

    def _adopt(self, where: NDArray[np.bool_] | Addresses, keep: bool = False) -> None:
        """Weights (m,) are what is believed of their cells.

        Nothing more is wanted of them, or with keep what was wanted before.
        """
        plus, minus = self.believed[:, where]
        wanted = self._master[where] + self.accumulated[where]
        self._master[where] = (plus - minus) * self._scale[where]
        self.accumulated[where] = wanted - self._master[where] if keep else 0.0
        self._weights[where] = self._master[where]

    def reread(
        self, before: Floats, averages: int, least: float, writer: Writer
    ) -> tuple[Addresses, Floats, Floats]:
        """Read every cell, and believe those in use that carry something else than before.

        Where most of them do, this is another chip: the weights are written to it, instead.

        Args:
            before: Currents to compare with, (2, n) A.
            averages: Conversions averaged.
            least: Difference that counts, A.
            writer: Writes cells of unknown state.

        Returns:
            Addresses of the cells that moved, what they carried, and what they carry, (m,) each.
        """
        now = self.read(averages)
        moved = (np.abs(now - before) > least) & self.placed
        if np.count_nonzero(moved) > np.count_nonzero(self.placed):  # of two cells each
            where, accumulated = np.flatnonzero(self.placed), self.accumulated[self.placed]
            self.place(where, writer)
            self.accumulated[where] += accumulated
        else:
            self.believed[moved] = now[moved]
            self._adopt(np.logical_or(*moved))
        return self.cells[moved], before[moved], now[moved]

    def _write(self, hit: Addresses, change: Floats, keep: bool) -> Update:
        """Change weights hit (m,); with keep, their accumulators keep what was not written."""
        order = self.cells[0, hit].argsort()
        rising = hit[order]
        n, pairs = to_write(rising, change[order], self._master, *self._pairs())
        return self._write_found(rising, n, pairs, keep)

    def _pairs(self) -> tuple[Any, ...]:
        """What `to_write` looks at in pairs, and what it fills."""
        return (
            self._scale, self.cells, self.believed, self.stuck, self.target,
            self._window.low, self._window.high,
            self._slot, self._address, self._before, self._goals,
        )  # fmt: skip

    def _write_found(self, hit: Addresses, n: int, pairs: int, keep: bool) -> Update:
        """Write the n cells of so many pairs that `to_write` found for weights hit (m,)."""
        # copies: who sees the cells and their targets may keep them
        address, target = self._address[:n].copy(), self._goals[:n].copy()
        current, stuck, pulses = self._writer.write_rising(address, self._before[:n], target)
        state = (self.believed, self.stuck, self.writes, self._scale, keep, self._master)
        settle(hit, self._slot[:n], current, stuck, *state, self.accumulated, self._weights)
        return Update(pairs, n, pulses)

    def _write_within(self, hit: Addresses, change: Floats) -> Update:
        """Change weights hit (m,), no further than to the ends of their range."""
        limit, master = self._limit[hit], self._master[hit]
        inside = np.clip(master + change, -limit, limit) - master
        moves = np.abs(inside) > ROUNDING * limit
        return self._write(hit[moves], inside[moves], keep=False) if moves.any() else Update()

    def _take_gradients(self) -> Floats:
        """The weights' gradients, (n,), which the optimiser then does not see."""
        found = [layer.weight.grad for layer in self.layers]
        for layer in self.layers:
            layer.weight.grad = None
        flat: Floats = torch.cat([g.flatten() for g in found if g is not None]).numpy()
        return flat

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything but the optimiser, for a checkpoint."""
        return {
            "master": self._master.copy(),
            "accumulated": self.accumulated.copy(),
            "believed": self.believed.copy(),
            "stuck": self.stuck.copy(),
            "placed": self.placed.copy(),
            "writes": self.writes.copy(),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take over what `arrays` gave."""
        self._master[:] = arrays["master"]
        self.accumulated[:] = arrays["accumulated"]
        self.believed[:] = arrays["believed"]
        self.stuck[:] = arrays["stuck"]
        self.placed[:] = arrays["placed"]
        self.writes[:] = arrays["writes"]
        self._weights[:] = self._master


class MixedPrecision(Updater):
    """The paper's mixed precision (PAPER 3).

    The optimiser steps as if the weights were digital. What it changed goes to a high-precision
    accumulator instead, and the weights return to what the pairs are believed to carry (W_FP).
    Where an accumulator has passed the threshold, that pair is written. The optimiser stands
    before the accumulator, so momentum and Adam work as they are.

    Adam moves the weights of a layer equally far a step. From a common start, those of an output
    that is too large pass the threshold in the same few batches, and all their writes together
    overshoot by far: the more inputs, the farther. Staggered accumulators pass one after another,
    and a layer's sum of changes follows what the optimiser wants.
    """

    def initialise(self, writer: Writer) -> Update:
        """See Updater; then the accumulators are staggered."""
        update = super().initialise(writer)
        if self._trigger.stagger is not None:
            share = np.random.default_rng(self._trigger.stagger).uniform(-1.0, 1.0, self.size)
            self.accumulated[:] = share * self._trigger.threshold * self._limit
        return update

    def step(self) -> Update:
        """One optimiser step on the accumulators, and the writing that it triggers."""
        self.optimizer.step()
        trigger, hit, change = self._trigger, self._hit, self._change
        keep = trigger.remainder == "keep"
        state = (self._weights, self._master, self.accumulated, self._limit)
        found, n, pairs = triggered(
            *state, trigger.threshold, keep, self._order, hit, change, *self._pairs()
        )
        return self._write_found(hit[:found], n, pairs, keep) if found else Update()
