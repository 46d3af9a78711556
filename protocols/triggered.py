"""Threshold-triggered programming: what training writes after a batch.

Training keeps an estimate of every cell's current and wants some of them changed. `moved` picks
the cells whose change is worth a pulse; they are then programmed with verification (`program`),
or blind: so many identical pulses as the change needs at a nominal step a pulse, without a read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cimlab.core.array import Addresses, CimArray
from cimlab.core.errors import ConfigError
from cimlab.core.limits import ascending
from cimlab.protocols.procedure import Plan, idle_on_error
from cimlab.protocols.program import ProgramResult, program
from cimlab.protocols.ramps import RampPlan


class Blind(Plan):
    """Trains of identical pulses; the defaults are small steps of the b-RRAM in mid-window."""

    v_set: float = Field(default=1.65, gt=0, description="SET amplitude, V")
    v_reset: float = Field(default=0.9, gt=0, description="RESET amplitude (magnitude), V")
    width: float = Field(default=1e-6, gt=0, description="pulse width, s")
    step_set: float = Field(default=0.1e-6, gt=0, description="nominal rise by a SET pulse, A")
    step_reset: float = Field(default=0.1e-6, gt=0, description="nominal fall by a RESET pulse, A")
    count_max: int = Field(default=20, ge=1, description="most pulses a cell in one call")


@dataclass(frozen=True, slots=True)
class BlindResult:
    """What was applied; all arrays (n,).

    Attributes:
        cells: Addresses of all cells asked for, moved or not.
        pulses: Signed pulses: > 0 SET, < 0 RESET, 0 none.
        expected: Nominal change of the currents, A.
    """

    cells: Addresses
    pulses: NDArray[np.int64]
    expected: NDArray[np.float64]


def moved(estimate: ArrayLike, target: ArrayLike, least: float) -> NDArray[np.bool_]:
    """True where the wanted change of current, A, is larger than `least`, A."""
    return np.abs(np.subtract(target, estimate, dtype=np.float64)) > least


def program_pairs(
    array: CimArray,
    plan: RampPlan,
    pairs: ArrayLike,
    estimate: ArrayLike,
    target: ArrayLike,
    least: float = 0.0,
) -> ProgramResult:
    """Program differential pairs, only those of their cells that must move.

    Args:
        array: Where the pairs are.
        plan: A `WriteVerify` or an `Ispp`.
        pairs: Addresses (n, 2), g_pos then g_neg, in any order of pairs.
        estimate: Currents the cells are believed to carry, (n, 2) A at plan.v_read.
        target: Currents wanted, (n, 2) A.
        least: A cell within this of its target is left alone, A.

    Returns:
        The result for the moved cells, sorted by address.
    """
    where = np.ravel(np.asarray(pairs, np.int64))
    goal = np.ravel(np.asarray(target, np.float64))
    must = moved(np.ravel(estimate), goal, least)
    where, goal = where[must], goal[must]
    order = np.argsort(where)
    return program(array, plan, where[order], goal[order])


def blind(array: CimArray, plan: Blind, cells: ArrayLike, delta_current: ArrayLike) -> BlindResult:
    """Shift the currents of cells (n,) by delta_current (n,) A: one transaction, no read.

    Changes are rounded to whole pulses; what is left over the caller may keep
    (delta_current - result.expected).
    """
    where = np.asarray(cells, np.int64)
    delta = np.broadcast_to(np.asarray(delta_current, np.float64), where.shape)
    if not ascending(where, array.spec.size):
        raise ConfigError(f"cells must be rising addresses below {array.spec.size}")
    if not np.isfinite(delta).all():
        raise ConfigError("changes must be finite currents")
    up = delta > 0
    step: NDArray[np.float64] = np.where(up, plan.step_set, plan.step_reset)
    pulses = np.rint(delta / step).clip(-plan.count_max, plan.count_max).astype(np.int64)
    hit = pulses != 0
    if hit.any():
        v = np.where(up[hit], plan.v_set, -plan.v_reset)
        with idle_on_error(array):
            array.pulse(v, plan.width, np.abs(pulses[hit]), cells=where[hit])
    return BlindResult(where, pulses, pulses * step)
