"""What cells may still be exposed to over a chip's life: a budget of pulses, and cells to spare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array import Addresses, ArraySpec, Mask
from .errors import LimitError


@dataclass(frozen=True, slots=True)
class Wear:
    """Refuses pulses that a cell must not get any more.

    Attributes:
        spec: The array's.
        spent: Tells the pulses each cell has had in its life so far, (tiles, rows, cols).
        pulses_max: Most pulses of a cell's life; None: any number.
        usable: False for cells that get no pulse, (tiles, rows, cols); None: all may.
    """

    spec: ArraySpec
    spent: Callable[[], NDArray[np.integer]]
    pulses_max: int | None = None
    usable: Mask | None = None

    def check(self, pulses: ArrayLike, cells: Addresses | None) -> None:
        """LimitError when so many more pulses would harm a cell; broadcasts to the cells."""
        where = slice(None) if cells is None else cells
        shape = self.spec.shape if cells is None else cells.shape
        wanted = np.broadcast_to(np.asarray(pulses, np.int64), shape).reshape(-1)
        if self.usable is not None:
            self._refuse_bad(wanted, self.usable.reshape(-1)[where], cells)
        if self.pulses_max is not None:
            had = self.spent().reshape(-1)[where].astype(np.int64)
            over = (wanted > 0) & (had + wanted > self.pulses_max)
            if over.any():
                k = int(over.argmax())
                raise LimitError(
                    f"{self._name(k, cells)} has had {had[k]:,} pulses of {self.pulses_max:,} "
                    f"(pulses_max) and would get {wanted[k]:,} more; {np.count_nonzero(over)} "
                    "cells in all would pass their budget"
                )

    def _refuse_bad(self, wanted: NDArray[np.int64], usable: Mask, cells: Addresses | None) -> None:
        bad = (wanted > 0) & ~usable
        if bad.any():
            raise LimitError(
                f"{self._name(int(bad.argmax()), cells)} is marked bad in the station's health "
                f"file, {np.count_nonzero(bad)} such cells would be pulsed; leave them out"
            )

    def _name(self, k: int, cells: Addresses | None) -> str:
        address = k if cells is None else int(cells[k])
        tile, row, col = np.unravel_index(address, self.spec.shape)
        return f"cell {address} (tile {tile}, row {row}, column {col})"
