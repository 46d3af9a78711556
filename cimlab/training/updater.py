"""The mixed-precision updater, around any torch optimiser (PAPER 3).

The optimiser steps as if the weights were digital. What it changed goes to a high-precision
accumulator instead, and the weights return to what the pairs are believed to carry (W_FP). Where
an accumulator has passed the threshold, that pair is written. The optimiser stands before the
accumulator, so momentum and Adam work as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cimlab.core.array import Addresses, Floats
from cimlab.nn import ChipLayer, DeviceWindow, fresh_pair

from .accumulate import accumulate, settle, to_write
from .checkpoint import Arrays
from .writing import Writer


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
    """

    threshold: float
    remainder: Literal["keep", "discard"]


class MixedPrecision:
    """Weights on pairs of cells, their accumulators, and the optimiser in front of them.

    All weights on chip are one flat buffer, and the layers' parameters are views of it: n weights
    in the order of the layers, each in torch's order.

    Args:
        optimizer: Any torch optimiser that holds the layers' weights, and digital parameters too.
        layers: The chip layers.
        writer: Writes cells.
        trigger: When.
        window: Currents of cells.

    Attributes:
        optimizer: As given.
        cells: Addresses of the pairs, (2, n): plus, then minus.
        believed: What they are believed to carry, (2, n) A.
        target: What was last asked of them, (2, n) A; NaN before anything was.
        stuck: Cells that verified pulses could not move; their partners are written, (2, n).
        accumulated: Wanted changes not written yet, (n,) weight units.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        layers: Iterable[ChipLayer],
        writer: Writer,
        trigger: Trigger,
        window: DeviceWindow,
    ) -> None:
        chip = list(layers)
        spec = writer.array.spec
        self.optimizer = optimizer
        self._writer, self._trigger, self._window = writer, trigger, window
        self.cells: Addresses = np.concatenate(
            [layer.placement.cells(spec).reshape(2, -1) for layer in chip], axis=1
        )
        self._scale = np.concatenate([np.full(layer.weight.numel(), layer.scale) for layer in chip])
        self._limit = window.span * self._scale
        flat = torch.cat([layer.weight.detach().flatten() for layer in chip])
        start = 0
        for layer in chip:
            end = start + layer.weight.numel()
            layer.weight.data = flat[start:end].view_as(layer.weight)
            start = end
        self._weights: NDArray[np.float32] = flat.numpy()
        self._master = self._weights.copy()
        self.believed = np.zeros(self.cells.shape)
        self.target = np.full(self.cells.shape, np.nan)
        self.stuck = np.zeros(self.cells.shape, np.bool_)
        self.accumulated = np.zeros(flat.numel())
        self._hit, self._change = np.empty(flat.numel(), np.int64), np.empty(flat.numel())

    @property
    def size(self) -> int:
        """Weights on chip."""
        return self.accumulated.size

    def initialise(self, writer: Writer) -> Update:
        """Write the present weights to the cells, then read every cell: that is W_FP.

        Args:
            writer: For this once; blind pulses cannot write cells of unknown state.
        """
        target = self.target[:] = fresh_pair(self._weights / self._scale, self._window)
        written = writer.write(self.cells.ravel(), target.ravel(), target.ravel())
        self.stuck[:] = written.stuck.reshape(self.stuck.shape)
        self.adopt(self.read())
        return Update(self.size, self.cells.size, written.pulses)

    def read(self, averages: int | None = None) -> Floats:
        """Currents of all cells, (2, n) A; averaged as the writer's reads unless told."""
        order = np.argsort(self.cells, axis=None)
        current = np.empty(self.cells.size)
        current[order] = self._writer.read(self.cells.ravel()[order], averages)
        return current.reshape(self.cells.shape)

    def adopt(self, current: Floats, where: NDArray[np.bool_] | slice = slice(None)) -> None:
        """Believe that the cells carry these currents (2, n), of the pairs marked; W_FP follows."""
        self.believed[:, where] = current[:, where]
        self._believe(where)
        self.accumulated[where] = 0.0
        self._weights[:] = self._master

    def reread(
        self, before: Floats, averages: int, least: float
    ) -> tuple[Addresses, Floats, Floats]:
        """Read every cell, and believe those that carry something else than before.

        Args:
            before: Currents to compare with, (2, n) A.
            averages: Conversions averaged.
            least: Difference that counts, A.

        Returns:
            Addresses of the cells that moved, what they carried, and what they carry, (m,) each.
        """
        now = self.read(averages)
        moved = np.abs(now - before) > least
        pairs: NDArray[np.bool_] = np.logical_or(*moved)
        self.adopt(np.where(moved, now, self.believed), pairs)
        return self.cells[moved], before[moved], now[moved]

    def step(self) -> Update:
        """One optimiser step on the accumulators, and the writing that it triggers."""
        self.optimizer.step()
        trigger, hit, change = self._trigger, self._hit, self._change
        keep = trigger.remainder == "keep"
        state = (self._weights, self._master, self.accumulated, self._limit)
        found = accumulate(*state, trigger.threshold, keep, hit, change)
        return self._write(hit[:found], change[:found], keep) if found else Update()

    def _write(self, hit: Addresses, change: Floats, keep: bool) -> Update:
        slot, target = np.empty(2 * hit.size, np.int64), np.empty(2 * hit.size)
        low, high = self._window.low, self._window.high
        weights = (self._master, self._scale, self.believed, self.stuck)
        cells, pairs = to_write(hit, change, *weights, low, high, slot, target)
        slot, target = slot[:cells], target[:cells]
        believed, stuck = self.believed.reshape(-1), self.stuck.reshape(-1)
        written = self._writer.write(self.cells.reshape(-1)[slot], believed[slot], target)
        self.target.reshape(-1)[slot] = target
        believed[slot], stuck[slot] = written.current, written.stuck
        settle(hit, self.believed, self._scale, keep, self._master, self.accumulated, self._weights)
        return Update(pairs, cells, written.pulses)

    def _believe(self, where: NDArray[np.bool_] | Addresses | slice) -> None:
        """W_FP from the believed currents."""
        plus, minus = self.believed[:, where]
        self._master[where] = (plus - minus) * self._scale[where]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything but the optimiser, for a checkpoint."""
        return {
            "master": self._master.copy(),
            "accumulated": self.accumulated.copy(),
            "believed": self.believed.copy(),
            "stuck": self.stuck.copy(),
        }

    def restore(self, arrays: Arrays) -> None:
        """Take over what `arrays` gave."""
        self._master[:] = arrays["master"]
        self.accumulated[:] = arrays["accumulated"]
        self.believed[:] = arrays["believed"]
        self.stuck[:] = arrays["stuck"]
        self._weights[:] = self._master
