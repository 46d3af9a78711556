"""Our own: mixed precision that comes to the cells late, and takes them as they are.

Most of a network's wear is its youth: weights travel far in the first epochs, and every third of
the way is a write. So they travel digitally, with noise (as in `neurram`). Then every cell is read
once, as the paper begins (PAPER 3), and what the pairs happen to carry is W_FP; the distance to the
trained weights goes to the accumulators. Pairs that are farther off than the threshold are
written, mostly one cell of the two; all others stay as they were made. From there on it is the
paper's scheme, which trains the network around what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from cimlab.core.array import Addresses
from cimlab.training.updater import MixedPrecision, Update
from cimlab.training.writing import Writer

from .neurram import NoiseTrained


class LateCells(NoiseTrained, MixedPrecision):
    """Digital first, mixed precision after."""

    settings: ClassVar[Mapping[str, Any]] = {
        "program": "ispp",
        "schedule": "cosine",
        "remainder": "keep",
        "threshold": 0.1,
        "repeats": {"fc": 16},
    }
    first = last = 0.5

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # a cell that misses by what would be written again would be, after every batch
        least = self._trigger.threshold * self._window.span
        self._writer = replace(self._writer, stuck=least)

    def place(self, where: Addresses, writer: Writer) -> Update:
        """Read the cells of weights (m,); write those that are farther off than the threshold."""
        wanted = self._weights[where].astype(np.float64)
        self.believed[:, where] = self.read(where=where)
        self.placed[where] = True
        self._adopt(where)
        self.accumulated[where] = wanted - self._master[where]
        far = np.abs(self.accumulated[where]) > self._trigger.threshold * self._limit[where]
        return self._write(where[far], self.accumulated[where[far]], keep=True)

    def step(self) -> Update:
        """Digital, then mixed precision; a pair with a stuck cell stays as it is."""
        if not self.placed.all():
            return super().step()
        self.accumulated[self.stuck.any(0)] = 0.0
        return MixedPrecision.step(self)
