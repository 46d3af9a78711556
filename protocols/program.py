"""Program cells to target currents, on the host or beside the chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import Addresses, ArraySpec, CimArray, JobResult, Mask
from cimlab.core.errors import ConfigError
from cimlab.protocols.procedure import Steps, finish
from cimlab.protocols.ramps import RampPlan
from cimlab.protocols.verified import VerifyPlan

JOB_CELLS = 1 << 18
"""Cells of one job; results do not depend on it."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What became of the cells; all arrays (n,).

    Attributes:
        cells: Addresses.
        target: Wanted currents at the plan's v_read, A.
        current: Last verify readings, A.
        pulses: Pulses each cell received.
        converged: True where the last reading lay inside the band.
        rounds: Pulse-and-read rounds used.
        place: Where the loop ran.
    """

    cells: Addresses
    target: NDArray[np.float64]
    current: NDArray[np.float64]
    pulses: NDArray[np.int64]
    converged: Mask
    rounds: int
    place: Literal["host", "board"]


def program_steps(
    array: CimArray, plan: VerifyPlan, cells: ArrayLike, target: ArrayLike
) -> Steps[ProgramResult]:
    """`program` as a procedure: yields a `Round` a transaction when the host runs the loop.

    Args:
        array: Where the cells are.
        plan: The policy; docs/programming.md lists them.
        cells: Sorted addresses, (n,).
        target: Currents at plan.v_read, A; broadcasts to (n,).

    Raises:
        ConfigError: Cells not sorted or outside the array, targets not finite.
        LimitError: The plan's amplitudes, width or read voltage go beyond the array's limits.
    """
    where = np.asarray(cells, np.int64)
    # single precision, as on the link: the loop sees the same numbers on both sides of it
    goal = np.asarray(target, np.float32).astype(np.float64)
    if goal.shape != where.shape:
        goal = np.broadcast_to(goal, where.shape).copy()
    spec = array.spec
    if not ascending(where, spec.size):
        raise ConfigError(f"cells must be rising addresses below {spec.size}")
    if np.count_nonzero(np.isfinite(goal)) != goal.size:  # sooner than .all() for a few cells
        raise ConfigError("targets must be finite currents")
    plan.check(spec)
    place: Literal["host", "board"] = "host"
    if _beside_the_chip(plan, spec):
        place = "board"
        done = _run(array, plan, where, goal)
    else:
        done = yield from plan.run(array, where, goal)
    return ProgramResult(
        where, goal, done.current, done.pulses, done.converged, done.rounds, place
    )


def program(
    array: CimArray, plan: VerifyPlan, cells: ArrayLike, target: ArrayLike
) -> ProgramResult:
    """Program cells (n,) to target currents (n,) A; see `program_steps`."""
    return finish(program_steps(array, plan, cells, target))


def _beside_the_chip(plan: VerifyPlan, spec: ArraySpec) -> TypeGuard[RampPlan]:
    """Whether the array has the policy as a job of its own, and it is wanted there."""
    able = f"job:{plan.job}" in spec.capabilities
    return able and isinstance(plan, RampPlan) and plan.on_board == "auto"


def ascending(cells: Addresses, size: int) -> bool:
    """True if cells are addresses (n,) below size, sorted, none twice."""
    if cells.ndim != 1:
        return False
    if not cells.size:
        return True
    rising = np.count_nonzero(cells[1:] > cells[:-1]) == cells.size - 1
    return bool(rising and cells[0] >= 0 and cells[-1] < size)


def _run(
    array: CimArray, plan: RampPlan, cells: Addresses, target: NDArray[np.float64]
) -> JobResult:
    """The array's own job, for so many cells at a time: what it needs beside them stays small."""
    if cells.size <= JOB_CELLS:
        return array.run_job(plan.job, plan.settings(), cells, target)
    current, pulses = np.empty(cells.size), np.empty(cells.size, np.int64)
    converged, rounds = np.empty(cells.size, np.bool_), 0
    for start in range(0, cells.size, JOB_CELLS):
        part = slice(start, start + JOB_CELLS)
        done = array.run_job(plan.job, plan.settings(), cells[part], target[part])
        current[part], pulses[part], converged[part] = done.current, done.pulses, done.converged
        rounds = max(rounds, done.rounds)
    return JobResult(current, pulses, converged, rounds)

