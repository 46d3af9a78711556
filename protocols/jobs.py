"""On-board twins: the same protocol code, run beside the chip.

A board service is handed `JOBS` when it is put together. Each job is a generator, so that the
service can answer other requests, and its watchdog, between two rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from cimlab.core.array import Addresses, CimArray, Floats, JobResult
from cimlab.protocols.ispp import Ispp
from cimlab.protocols.procedure import Steps
from cimlab.protocols.ramps import RampPlan, ramps
from cimlab.protocols.write_verify import WriteVerify

Job: TypeAlias = Callable[[CimArray, Mapping[str, float], Addresses, Floats], Steps[JobResult]]


def _job(kind: type[RampPlan]) -> Job:
    def job(
        array: CimArray, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> Steps[JobResult]:
        plan = kind.from_settings(settings)
        return (yield from ramps(array, plan, cells, target))

    return job


JOBS: dict[str, Job] = {kind.job: _job(kind) for kind in (WriteVerify, Ispp)}
