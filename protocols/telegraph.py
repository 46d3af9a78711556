"""Random telegraph noise: cells whose reads jump between two levels.

Reads of each cell are split in two groups with the largest variance between them (Otsu's
threshold). For a Gaussian that leaves the group means 2.65 within-group sigmas apart, however
strong the noise is; cells whose means lie further apart than chance allows, and which go to and
fro, are telegraphs. Levels closer than about three sigmas of the other noise stay unseen, and so
do levels that a converter cannot tell from its own toggling between two codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Floats, Mask

GAUSSIAN = np.sqrt(2 / np.pi) * 2 / np.sqrt(1 - 2 / np.pi)
"""Distance of the means of a Gaussian's halves, in sigmas of a half: 2.65."""
CHANCE = (8.0, 60.0)
"""Over sqrt(reads) and over reads: how much further apart chance puts them in 1 cell of 10^5."""
READS_MIN = 16
"""Fewer reads do not tell a telegraph from chance."""
CODES_MIN = 2.0
"""Least amplitude, in steps of the converter."""
HYSTERESIS = 0.25
"""Share of the amplitude by which a read must pass the middle to count as a jump."""
JUMPS_MIN = 3
"""One jump may be a change for good, two an outlier."""


@dataclass(frozen=True, slots=True)
class Telegraph:
    """Two-level noise of each cell; all (m,), NaN where there is none.

    Attributes:
        found: True where a cell is a telegraph.
        amplitude: Distance of its levels, A.
        dwell_low: Mean stay in the lower level, reads.
        dwell_high: Mean stay in the upper level, reads.
    """

    found: Mask
    amplitude: NDArray[np.float64]
    dwell_low: NDArray[np.float64]
    dwell_high: NDArray[np.float64]


def telegraphs(current: NDArray[np.float32], lsb: float) -> Telegraph:
    """Find telegraphs among cells by their reads, (reads, m) A, in steps of lsb amperes.

    Nothing is found among fewer than `READS_MIN` reads, nor among NaN.
    """
    reads = len(current)
    low, high, within = _levels(current)
    amplitude = high - low
    limit = GAUSSIAN + CHANCE[0] / np.sqrt(reads) + CHANCE[1] / reads
    apart = (amplitude > limit * within) & (amplitude > CODES_MIN * lsb) & (reads >= READS_MIN)
    up = _states(current, (low + high) / 2, HYSTERESIS * (high - low))
    jumps = np.count_nonzero(up[1:] != up[:-1], axis=0)
    found = apart & (jumps >= JUMPS_MIN)
    nothing = np.full(found.shape, np.nan)
    stays = [
        np.divide(state.sum(axis=0), _visits(state), out=nothing.copy(), where=found)
        for state in (~up, up)
    ]
    return Telegraph(found, np.where(found, amplitude, np.nan), stays[0], stays[1])


def _levels(x: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    """Means below and above Otsu's threshold, and the sigma that is left within, (m,) each."""
    n = len(x)
    ordered = np.sort(x, axis=0)
    sums = np.cumsum(ordered, axis=0, dtype=np.float64)
    k = np.arange(1, n)[:, None]
    total = sums[-1]
    between = (sums[:-1] - k / n * total) ** 2 / (k * (n - k) / n)
    best = between.argmax(axis=0)
    below = np.take_along_axis(sums, best[None], axis=0)[0]
    low, high = below / (best + 1), (total - below) / (n - best - 1)
    rest = ordered.var(axis=0, dtype=np.float64) - between.max(axis=0) / n
    return low, high, np.sqrt(np.maximum(rest, 0.0))


def _states(x: Floats, middle: Floats, margin: Floats) -> Mask:
    """True where a cell is in its upper level, (reads, m): it stays until it clearly left."""
    up = np.empty(x.shape, np.bool_)
    up[0] = x[0] > middle
    for k in range(1, len(x)):
        up[k] = x[k] > middle + np.where(up[k - 1], -margin, margin)
    return up


def _visits(state: Mask) -> NDArray[np.int64]:
    """How often each cell entered the state, or began in it, (m,)."""
    entered = state[1:] & ~state[:-1]
    return np.asarray(entered.sum(axis=0) + state[0], np.int64)
