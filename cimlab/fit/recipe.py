"""Characterise some cells and fit a device to them, in one go: for those who have no device file.

A short form of docs/fit.md's recipe that suits every model: trains of rising amplitude from below
the threshold to the top, trains of equal pulses, and a noise run. `cimlab sweep` and `cimlab
fit` do it step by step, recorded, and better.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from cimlab.core.array import Addresses, CimArray
from cimlab.fit.histories import Table
from cimlab.protocols.characterisation import CellPlan
from cimlab.protocols.noise import ReadNoisePlan
from cimlab.protocols.points import Points
from cimlab.protocols.pulse_trains import PulsesPlan
from cimlab.protocols.sweeps import SWEEPS

V_FIRST, V_STEP = 0.8, 0.1
"""Amplitudes of the rising trains, V."""


def recipe(v_most: float, width: float, v_read: float) -> tuple[tuple[str, CellPlan], ...]:
    """Names and plans of the sweeps, with amplitudes up to v_most volts of both polarities."""
    steps = max(int((v_most - V_FIRST) / V_STEP + 1e-6), 1)
    rising = PulsesPlan(
        increments="amplitude",
        v_up=V_FIRST,
        v_down=V_FIRST,
        v_step=V_STEP,
        n_up=steps,
        n_down=steps,
        cycles=2,
        width=width,
        v_read=v_read,
        averages=16,
        v_reset=v_most,
    )
    equal = rising.model_copy(
        update={
            "increments": "identical",
            "v_up": 0.65 * v_most,
            "v_down": 0.75 * v_most,
            "n_up": 80,
            "n_down": 80,
        }
    )
    noise = ReadNoisePlan(reads=50, v_read=v_read)
    return (("pulses", rising), ("pulses", equal), ("noise", noise))


def characterise(
    array: CimArray, cells: Addresses, v_most: float, width: float, v_read: float
) -> Generator[Points, None, list[Table]]:
    """Run the recipe on cells (m,); yields what the sweeps yield, returns what `fit` takes.

    Raises:
        LimitError: The amplitudes go beyond the array's limits; nothing was touched.
    """
    plans = recipe(v_most, width, v_read)
    for _, plan in plans:
        plan.check(array.spec)
    tables = []
    for name, plan in plans:
        seen: list[Points] = []
        steps = SWEEPS[name].run(array, plan, cells)
        for points in steps:
            seen.append(points)
            yield points
        tables.append(_table(seen, plan.averages))
    return tables


def _table(seen: list[Points], averages: int) -> Table:
    """Points as a table's rows: n points times m cells, cell by cell within each."""
    m = [points.cells.size for points in seen]

    def flat(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([part.ravel() for part in parts])

    def spread(name: str) -> np.ndarray:
        return flat([np.repeat(getattr(p, name), k) for p, k in zip(seen, m, strict=True)])

    return Table(
        time=spread("time"),
        cell=flat([np.tile(p.cells, len(p.current)) for p in seen]),
        v=flat([p.v for p in seen]),
        width=spread("width"),
        count=flat([p.count for p in seen]),
        v_read=spread("v_read"),
        current=flat([p.current for p in seen]),
        saturated=flat([p.saturated for p in seen]),
        averages=np.full(sum(p.current.size for p in seen), float(averages)),
    )
