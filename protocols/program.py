"""Program cells to target currents, on the host or beside the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import Addresses, ArraySpec, CimArray, JobResult, Mask, Reading
from cimlab.core.errors import ConfigError
from cimlab.core.limits import ascending, every
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
    where, goal = _asked(array.spec, cells, target)
    settings = _settings_of(plan, array.spec)
    if settings is not None:
        return _result(where, goal, _run(array, plan.job, settings, where, goal), "board")
    single = _single(goal).astype(np.float64)
    return _result(where, goal, (yield from plan.run(array, where, single)), "host")


def program(
    array: CimArray, plan: VerifyPlan, cells: ArrayLike, target: ArrayLike
) -> ProgramResult:
    """Program cells (n,) to target currents (n,) A; see `program_steps`."""
    return finish(program_steps(array, plan, cells, target))


def program_and_read(
    array: CimArray,
    plan: VerifyPlan,
    cells: ArrayLike,
    target: ArrayLike,
    v_read: float,
    averages: int = 1,
) -> tuple[ProgramResult, Reading]:
    """`program`, then a read of the same cells: one round trip where the array runs the loop."""
    where, goal = _asked(array.spec, cells, target)
    settings = _settings_of(plan, array.spec)
    if settings is None or where.size > JOB_CELLS:
        return program(array, plan, where, goal), array.read(v_read, where, averages)
    done, reading = array.run_job_and_read(
        plan.job, settings, where, _single(goal), v_read, averages
    )
    return _result(where, goal, done, "board"), reading


def _asked(
    spec: ArraySpec, cells: ArrayLike, target: ArrayLike
) -> tuple[Addresses, NDArray[np.float64]]:
    """Cells and targets as arrays; ConfigError where they make no sense."""
    where = np.asarray(cells, np.int64)
    goal = np.asarray(target, np.float64)
    if goal.shape != where.shape:
        goal = np.broadcast_to(goal, where.shape).copy()
    if not ascending(where, spec.size):
        raise ConfigError(f"cells must be rising addresses below {spec.size}")
    if not every(np.isfinite(goal)):
        raise ConfigError("targets must be finite currents")
    return where, goal


def _result(
    cells: Addresses, target: NDArray[np.float64], done: JobResult, place: Literal["host", "board"]
) -> ProgramResult:
    return ProgramResult(
        cells, target, done.current, done.pulses, done.converged, done.rounds, place
    )


_last: tuple[VerifyPlan, ArraySpec, Mapping[str, float] | None] | None = None
"""The last plan that was found to be within an array's limits, and its settings for a job there.

Training programs a few cells with the same one again and again; neither of the two ever changes.
"""


def _settings_of(plan: VerifyPlan, spec: ArraySpec) -> Mapping[str, float] | None:
    """Settings of the array's own job where it is to do the work, else None; checks the plan."""
    global _last
    if _last is None or _last[0] is not plan or _last[1] is not spec:
        plan.check(spec)
        settings = None
        if isinstance(plan, RampPlan) and plan.on_board == "auto":
            able = f"job:{plan.job}" in spec.capabilities
            settings = plan.settings() if able else None
        _last = plan, spec, settings
    return _last[2]


def _run(
    array: CimArray,
    job: str,
    settings: Mapping[str, float],
    cells: Addresses,
    target: NDArray[np.float64],
) -> JobResult:
    """The array's own job, for so many cells at a time: what it needs beside them stays small."""
    if cells.size <= JOB_CELLS:
        return array.run_job(job, settings, cells, _single(target))
    current, pulses = np.empty(cells.size), np.empty(cells.size, np.int64)
    converged, rounds = np.empty(cells.size, np.bool_), 0
    for start in range(0, cells.size, JOB_CELLS):
        part = slice(start, start + JOB_CELLS)
        done = array.run_job(job, settings, cells[part], _single(target[part]))
        current[part], pulses[part], converged[part] = done.current, done.pulses, done.converged
        rounds = max(rounds, done.rounds)
    return JobResult(current, pulses, converged, rounds)


def _single(target: NDArray[np.float64]) -> NDArray[np.float32]:
    """In single precision, as on the link: the loop sees the same numbers on both sides of it."""
    return target.astype(np.float32)
