"""Measuring the noise: of reads, and of programming (PAPER 2: 0.155 uA; +0.097 +- 0.286 uA)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cimlab.core.array import Addresses, CimArray, Mask, Reading
from cimlab.protocols.procedure import Plan, Round, idle_on_error
from cimlab.protocols.program import ProgramResult, program_steps
from cimlab.protocols.ramps import RampPlan


class ReadNoisePlan(Plan):
    """How often to read, and how."""

    v_read: float = Field(default=0.1, gt=0, description="read voltage, V")
    reads: int = Field(default=64, ge=2, description="single reads of each cell")


@dataclass(frozen=True, slots=True)
class ReadNoise:
    """Spread of repeated reads.

    Attributes:
        mean: Mean current a cell, (n,) A.
        sigma: Standard deviation a cell, (n,) A; NaN where a read was clipped.
        overall: Root mean square of the cells' sigma, A.
        reads: Reads a cell.
    """

    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]
    overall: float
    reads: int


def read_noise(
    array: CimArray, plan: ReadNoisePlan, cells: Addresses | None = None
) -> Generator[Reading, None, ReadNoise]:
    """Read cells again and again; yields each `Reading`. Clipped cells do not count."""
    n = array.spec.size if cells is None else cells.size
    first = np.zeros(n)
    total, square = np.zeros(n), np.zeros(n)
    clipped = np.zeros(n, np.bool_)
    with idle_on_error(array):
        for k in range(plan.reads):
            reading = array.read(plan.v_read, cells)
            current = np.ravel(reading.current)
            if k == 0:
                first = current
            # sums about the first reading, so that squares of small spreads stay exact
            total += current - first
            square += (current - first) ** 2
            clipped |= np.ravel(reading.saturated)
            yield reading
    variance = (square - total**2 / plan.reads) / (plan.reads - 1)
    sigma = np.where(clipped, np.nan, np.sqrt(np.maximum(variance, 0.0)))
    good = ~clipped
    overall = float(np.sqrt(np.mean(sigma[good] ** 2))) if good.any() else float("nan")
    return ReadNoise(first + total / plan.reads, sigma, overall, plan.reads)


@dataclass(frozen=True, slots=True)
class ProgrammingError:
    """Fresh, independent reads after programming, against the targets.

    Attributes:
        programmed: The programming itself.
        error: One fresh single read minus target, (n,) A.
        unclipped: True where that read lay inside the converter's range.
        residual: What many averaged fresh reads leave, (n,) A: the error without read noise.
    """

    programmed: ProgramResult
    error: NDArray[np.float64]
    unclipped: Mask
    residual: NDArray[np.float64]

    def mean(self, cells: Mask | None = None) -> float:
        """Mean error, A, of the cells that converged (or of those marked)."""
        return float(self.error[self._of(cells)].mean())

    def sigma(self, cells: Mask | None = None) -> float:
        """Standard deviation of the error, A, of the same cells."""
        return float(self.error[self._of(cells)].std())

    def rms_residual(self, cells: Mask | None = None) -> float:
        """Root mean square of the residual, A, of the same cells."""
        return float(np.sqrt(np.mean(self.residual[self._of(cells)] ** 2)))

    def _of(self, cells: Mask | None) -> Mask:
        return (self.programmed.converged if cells is None else cells) & self.unclipped


def programming_error(
    array: CimArray, plan: RampPlan, cells: ArrayLike, target: ArrayLike, averages: int = 100
) -> Generator[Round, None, ProgrammingError]:
    """Program cells (n,) to target (n,) A, then read them afresh; yields the rounds.

    The verify reads themselves would flatter: a cell is accepted when its noise, too, favours it.
    """
    done: ProgramResult = yield from program_steps(array, plan, cells, target)
    with idle_on_error(array):
        fresh = array.read(plan.v_read, done.cells)
        many = array.read(plan.v_read, done.cells, averages)
    return ProgrammingError(
        done, fresh.current - done.target, ~fresh.saturated, many.current - done.target
    )
