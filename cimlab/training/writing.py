"""Writing currents to cells, and what the host believes afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, CimArray, Floats, Mask, Reading
from cimlab.protocols import Blind, ProgramResult, RampPlan, blind, program, program_and_read

from .accumulate import outcome
from .team import ALONE, Team

STUCK = 0.8e-6
"""A 2-bit step of the paper's window."""


class Written(NamedTuple):
    """What a write did.

    Attributes:
        current: What the cells are believed to carry now, (n,) A.
        stuck: True for cells that verified pulses could not move to their targets, (n,).
        pulses: Pulses of all cells.
    """

    current: Floats
    stuck: Mask
    pulses: int


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes cells by one plan.

    Attributes:
        array: Where they are.
        plan: Verified ramps, or blind trains of pulses.
        master: Believe what was wanted ("ideal"), or read the cells again ("readback").
        averages: Conversions averaged in such a read.
        stuck: A by which a cell misses its target after verified pulses, to be called stuck.
        team: Processes that do the same on arrays of their own. What cells are believed to carry
            is the mean over them, and a cell that is stuck in one is stuck for all.
    """

    array: CimArray
    plan: RampPlan | Blind
    master: Literal["ideal", "readback"]
    averages: int
    stuck: float = STUCK
    team: Team = ALONE

    def write(self, cells: Addresses, believed: Floats, target: Floats) -> Written:
        """Bring cells (n,), in any order, from their believed to their target currents (n,) A."""
        order = cells.argsort()
        done = self.write_rising(cells[order], believed[order], target[order])
        current, stuck = np.empty(cells.size), np.empty(cells.size, np.bool_)
        current[order], stuck[order] = done.current, done.stuck
        return Written(current, stuck, done.pulses)

    def write_rising(self, cells: Addresses, believed: Floats, target: Floats) -> Written:
        """`write` of cells whose addresses rise."""
        if not cells.size:
            return Written(target, np.zeros(0, np.bool_), 0)
        current, stuck = np.empty(cells.size), np.empty(cells.size, np.bool_)
        if isinstance(self.plan, Blind):
            applied = blind(self.array, self.plan, cells, target - believed)
            pulses = int(np.abs(applied.pulses).sum())
            np.add(believed, applied.expected, out=current)
            stuck[:] = False
            if self.master == "readback":
                current = self._currents(cells, self.averages)
        else:
            done, after = self._programmed(self.plan, cells, target)
            seen = (done.current, done.converged, done.pulses)
            pulses = outcome(*seen, target, self.stuck, current, stuck)
            if after is not None:
                current = after.current
        return Written(self.team.mean(current), self.team.any(stuck), pulses)

    def _programmed(
        self, plan: RampPlan, cells: Addresses, target: Floats
    ) -> tuple[ProgramResult, Reading | None]:
        """What programming did, and what a read says after it if that is to be believed."""
        if self.master == "ideal":
            return program(self.array, plan, cells, target), None
        v = self.array.converters.v_read
        return program_and_read(self.array, plan, cells, target, v, self.averages)

    def read(self, cells: Addresses, averages: int | None = None) -> Floats:
        """Currents of sorted cells (n,), A, averaged."""
        return self.team.mean(self._currents(cells, averages or self.averages))

    def _currents(self, cells: Addresses, averages: int) -> NDArray[np.float64]:
        """Of this process's array."""
        return self.array.read(self.array.converters.v_read, cells, averages).current
