"""Measuring the noise: of reads, and of programming (PAPER 2: 0.155 uA; +0.097 +- 0.286 uA)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cimlab.core.array import Addresses, ArraySpec, CimArray, Mask
from cimlab.protocols.characterisation import CellPlan, Course, Stress, Summary, median, stated
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import Round, idle_on_error
from cimlab.protocols.program import ProgramResult, program_steps
from cimlab.protocols.ramps import RampPlan
from cimlab.protocols.telegraph import Telegraph, telegraphs


class ReadNoisePlan(CellPlan):
    """How often to read, and how."""

    averages: int = Field(default=1, ge=1, le=256, description="conversions averaged in a read")
    reads: int = Field(default=64, ge=2, description="reads of each cell")
    interval: float = Field(
        default=0.0, ge=0, description="time from read to read, 0 for as fast as it goes, s"
    )

    def stress(self, spec: ArraySpec) -> Stress:
        """None: cells are only read."""
        return Stress()


@dataclass(frozen=True, slots=True)
class ReadNoise:
    """Spread of repeated reads.

    Attributes:
        mean: Mean current a cell, (n,) A.
        sigma: Standard deviation a cell, (n,) A; NaN where a read was clipped.
        overall: Root mean square of the cells' sigma, A.
        allan: Allan deviation from a read to the next, (n,) A: equal to sigma where reads are
            independent, smaller where the current wanders slowly; NaN where a read was clipped.
        telegraph: Cells that jump between two levels.
        interval: Mean time from read to read, s.
        reads: Reads a cell.
    """

    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]
    overall: float
    allan: NDArray[np.float64]
    telegraph: Telegraph
    interval: float
    reads: int

    def summary(self) -> Summary:
        """Noise of all cells together, and how many are telegraphs."""
        rtn = self.telegraph
        # a virtual clock stands still while it reads: no dwell time can be told
        step = self.interval if self.interval > 0 else float("nan")
        return stated(
            cells=self.sigma.size,
            reads=self.reads,
            interval_s=self.interval,
            current_median_A=median(self.mean),
            sigma_rms_A=self.overall,
            allan_rms_A=_rms(self.allan),
            rtn_cells=int(rtn.found.sum()),
            rtn_amplitude_median_A=median(rtn.amplitude),
            rtn_dwell_low_median_s=median(rtn.dwell_low) * step,
            rtn_dwell_high_median_s=median(rtn.dwell_high) * step,
        )


def read_noise(
    array: CimArray, plan: ReadNoisePlan, cells: Addresses | None = None
) -> Generator[Points, None, ReadNoise]:
    """Read cells (n,), or all of them, again and again. Clipped cells do not count."""
    where = np.arange(array.spec.size, dtype=np.int64) if cells is None else cells
    course = Course(array, plan, where)
    first = np.zeros(where.size)
    # about the first reading, so that small spreads stay exact
    off = np.zeros((plan.reads, where.size), np.float32)
    clipped = np.zeros(where.size, np.bool_)
    begun = ended = 0.0
    with idle_on_error(array):
        for k in range(plan.reads):
            course.wait(k * plan.interval)
            reading = array.read(plan.v_read, cells, plan.averages)
            point = course.point(k, reading, (k + 1) / plan.reads)
            if k == 0:
                first, begun = point.current[0], float(point.time[0])
            off[k] = point.current[0] - first
            clipped |= point.saturated[0]
            ended = float(point.time[0])
            yield point
    off[:, clipped] = np.nan
    sigma = off.std(axis=0, ddof=1, dtype=np.float64)
    allan = np.sqrt(np.mean(np.diff(off, axis=0) ** 2, axis=0, dtype=np.float64) / 2)
    mean = first + np.where(clipped, 0.0, off.mean(axis=0, dtype=np.float64))
    interval = (ended - begun) / (plan.reads - 1)
    lsb = array.converters.i_read / (2**array.spec.adc_bits - 1)
    return ReadNoise(mean, sigma, _rms(sigma), allan, telegraphs(off, lsb), interval, plan.reads)


def _rms(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")


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
