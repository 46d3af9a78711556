"""What a training run tells: frozen events, in the order they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cimlab.core.array import Addresses, Floats

from .updater import Update


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cells carry the initial weights; the first W_FP was read from them.

    Attributes:
        weights: Weights on chip.
        written: What it took; not counted as training updates.
    """

    weights: int
    written: Update


@dataclass(frozen=True, slots=True)
class Resumed:
    """A checkpoint was restored and the array read again.

    Attributes:
        step: Batches done before.
        moved: Addresses of cells that carry something else than at the checkpoint, (m,).
        before: Their currents then, (m,) A.
        now: Their currents now, (m,) A; the run continues from these, unless most cells moved: then
            this is another chip, and the weights were written to it.
    """

    step: int
    moved: Addresses
    before: Floats
    now: Floats


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Converter ranges and columns were fitted to the network as it is.

    Attributes:
        step: Batches done before.
        ranges: ADC full scale of each tile, A.
        residual: Root mean square of what the columns' calibration leaves, A.
    """

    step: int
    ranges: tuple[float, ...]
    residual: float


@dataclass(frozen=True, slots=True)
class StepDone:
    """A batch was learnt.

    Attributes:
        step: Batches done, this one included.
        loss: Of the batch.
        update: What was written after it.
        clipped: Share of its conversions that clipped, of each tile, (tiles,); NaN if unused.
        seconds: How long it took.
    """

    step: int
    loss: float
    update: Update
    clipped: Floats
    seconds: float

    @property
    def saturated(self) -> float:
        """The worst tile's share of clipped conversions."""
        return float(np.fmax.reduce(self.clipped, initial=0.0))


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch ended and the network was tested, on chip.

    Attributes:
        number: Epochs done, from 1.
        step: Batches done.
        loss: Mean training loss of the epoch.
        accuracy: Of all test images, 0 - 1.
        accuracy_2560: Of the first 2,560 test images, as many as the paper used.
        update: What was written in the epoch.
        seconds: Duration with calibration and test.
    """

    number: int
    step: int
    loss: float
    accuracy: float
    accuracy_2560: float
    update: Update
    seconds: float


Event: TypeAlias = Prepared | Resumed | Calibrated | StepDone | EpochDone
