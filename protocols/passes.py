"""Multi-pass programming against relaxation, as NeuRRAM does it (Wan et al. 2022; PAPER 5).

Cells that were programmed relax: some leave the band within a second. So all cells are
programmed, left alone for a while, and those that have left are programmed again. Each pass is
one with a policy of its own; its first round only reads, so a pass over cells that stayed costs
one read. The later passes also look again at cells that a noisy reading had let in.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field, SerializeAsAny, model_validator

from cimlab.core.array import Addresses, ArraySpec, CimArray, Floats, JobResult
from cimlab.protocols.ispp import Ispp
from cimlab.protocols.procedure import Steps
from cimlab.protocols.ramps import RampPlan
from cimlab.protocols.verified import VerifyPlan


class Passes(VerifyPlan):
    """Several passes of a policy, with rests in between; band, reads and width are the policy's."""

    job: ClassVar[str] = "passes"

    plan: SerializeAsAny[VerifyPlan] = Field(default=Ispp(), description="policy of each pass")
    passes: int = Field(default=3, ge=1, description="passes, the first included")
    rest: float = Field(default=1.0, ge=0, description="time between two passes, s")

    @model_validator(mode="before")
    @classmethod
    def _as_the_policy(cls, given: dict[str, Any]) -> dict[str, Any]:
        plan = given.get("plan", Ispp())
        return given | {name: getattr(plan, name) for name in VerifyPlan.model_fields}

    @model_validator(mode="after")
    def _keeps_cells(self) -> Passes:
        if isinstance(self.plan, RampPlan) and self.plan.reset_first:
            raise ValueError(f"{self.plan.job} resets every cell: nothing would be left of a pass")
        return self

    def check(self, spec: ArraySpec) -> None:
        """LimitError if a pass would go beyond what the array allows."""
        self.plan.check(spec)

    def run(self, array: CimArray, cells: Addresses, target: Floats) -> Steps[JobResult]:
        """See VerifyPlan. A cell that a pass has given up is left alone."""
        current = np.full(cells.size, np.nan)
        pulses = np.zeros(cells.size, np.int64)
        converged = np.ones(cells.size, np.bool_)
        rounds = 0
        for number in range(self.passes):
            if number:
                array.clock.sleep(self.rest)
            at = np.flatnonzero(converged)
            done = yield from self.plan.run(array, cells[at], target[at])
            current[at], converged[at] = done.current, done.converged
            pulses[at] += done.pulses
            rounds += done.rounds
        return JobResult(current, pulses, converged, rounds)
