"""Writing currents to cells, and what the host believes afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cimlab.core.array import Addresses, CimArray, Floats
from cimlab.protocols import Blind, RampPlan, blind, program


@dataclass(frozen=True, slots=True)
class Written:
    """Attributes: current: what the cells are believed to carry now, (n,) A; pulses: in all."""

    current: Floats
    pulses: int


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes cells by one plan.

    Attributes:
        array: Where they are.
        plan: Verified ramps, or blind trains of pulses.
        master: Believe what was wanted ("ideal"), or read the cells again ("readback").
        averages: Conversions averaged in such a read.
    """

    array: CimArray
    plan: RampPlan | Blind
    master: Literal["ideal", "readback"]
    averages: int

    def write(self, cells: Addresses, believed: Floats, target: Floats) -> Written:
        """Bring cells (n,), in any order, from their believed to their target currents (n,) A."""
        if not cells.size:
            return Written(target, 0)
        order = np.argsort(cells)
        where, wanted = cells[order], target[order]
        current = np.empty(cells.size)
        if isinstance(self.plan, Blind):
            done = blind(self.array, self.plan, where, wanted - believed[order])
            pulses = int(np.abs(done.pulses).sum())
            current[order] = believed[order] + done.expected
        else:
            pulses = int(program(self.array, self.plan, where, wanted).pulses.sum())
            current[order] = wanted
        if self.master == "readback":
            current[order] = self.read(where)
        return Written(current, pulses)

    def read(self, cells: Addresses, averages: int | None = None) -> Floats:
        """Currents of sorted cells (n,), A, averaged."""
        v = self.array.converters.v_read
        return self.array.read(v, cells, averages or self.averages).current
