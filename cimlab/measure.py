"""A characterisation run: a procedure on an array, recorded point by point.

    steps = measure(array, "iv", IvPlan(v_stop=2.0), cells, "iv.h5")
    with closing(steps):
        for points in steps:
            ...

However it ends, the array is grounded, and the file is readable and says how far it came.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, CimArray
from cimlab.core.tap import Ledger, Tapped
from cimlab.protocols.characterisation import CellPlan, Result, Stress, visited_apart
from cimlab.protocols.points import Points
from cimlab.protocols.procedure import idle_on_error
from cimlab.protocols.rehearsal import Rehearsal
from cimlab.protocols.sweeps import SWEEPS
from cimlab.records import Header, RunWriter
from cimlab.records.control import Requests

MAP_AVERAGES = 4


def measure(
    array: CimArray,
    name: str,
    plan: CellPlan,
    cells: Addresses,
    path: str | os.PathLike[str],
    station: Mapping[str, Any] | None = None,
) -> Generator[Points, None, Result]:
    """Run a procedure of `SWEEPS` and record it; yields what it yields, after recording it.

    The run file's kind is ``sweep:<name>`` and its plan exactly the plan. Where reading all cells
    costs no more than reading one, their map is recorded before and after.

    Args:
        array: Where the cells are; grounded at the end, whatever the end.
        name: Of the procedure.
        plan: Its settings.
        cells: Rising addresses, (m,).
        path: The new run file.
        station: The station as plain JSON data, without secrets, for the record.

    Returns:
        The procedure's result; its summary is in the file.

    Raises:
        LimitError: The plan goes beyond the array's limits; nothing was touched, there is no file.
        RecordError: The file exists, or cannot be written.
        KeyboardInterrupt: Another process asked the run to stop (records/control.py).
    """
    plan.check(array.spec)
    header = Header(
        f"sweep:{name}", array.spec, station or {}, plan.model_dump(mode="json"), _seeds(plan)
    )
    with RunWriter.create(path, header) as run, Requests(path) as requests, idle_on_error(array):
        run.progress(0.0)
        run.watch_link(lambda: getattr(array, "link", None))  # arrays of scripts may have none
        ledger = Ledger(array.spec, _counters(array))
        tapped = Tapped(array, ledger, array.clock)
        _record_map(run, tapped, ledger, plan)
        with closing(SWEEPS[name].run(tapped, plan, cells)) as steps:
            result = yield from _recorded(run, array, requests, steps)
        _record_map(run, tapped, ledger, plan)
        array.ground()
        run.progress(1.0)
        run.summarise(result.summary())
    return result


def _recorded(
    run: RunWriter,
    array: CimArray,
    requests: Requests,
    steps: Generator[Points, None, Result],
) -> Generator[Points, None, Result]:
    while True:
        try:
            points = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        run.extend("points", rows(points))
        run.progress(points.done)
        yield points
        if requests.stop(run, array.ground):
            raise KeyboardInterrupt("stopped on request")


def rows(points: Points) -> dict[str, NDArray[Any]]:
    """Points as rows of the table `points`: n points times m cells, cell by cell within each."""
    n, m = points.current.shape
    return {
        "time": np.repeat(points.time, m),
        "index": np.repeat(points.index + np.arange(n), m),
        "cycle": np.repeat(points.cycle, m),
        "cell": np.tile(points.cells, n),
        "v": points.v.ravel(),
        "width": np.repeat(points.width, m),
        "count": points.count.ravel(),
        "v_read": np.repeat(points.v_read, m),
        "current": points.current.ravel(),
        "saturated": points.saturated.ravel(),
    }


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a sweep would do.

    Attributes:
        cells: Cells measured.
        points: Rows of the run file's table: points times cells.
        stress: The most that a cell will stand.
        seconds: Pulses, dwells and waits; what the hardware adds to each call is its own.
    """

    cells: int
    points: int
    stress: Stress
    seconds: float


def outlook(array: CimArray, name: str, plan: CellPlan, cells: Addresses) -> Outlook:
    """Say what `measure` would do, from a rehearsal on no more than two cells that do not exist.

    Points and time are those of cells that switch late in each ramp and do not fail; the stress
    is the plan's own bound.

    Raises:
        LimitError: The plan goes beyond the array's limits.
    """
    plan.check(array.spec)
    stress = plan.stress(array.spec)
    found = []
    for n in (1, 2):
        stage = Rehearsal(array.spec, array.converters, stress)
        points = sum(p.current.size for p in SWEEPS[name].run(stage, plan, cells[:n]))
        found.append((points, stage.clock.now()))
    (points, seconds), second = found
    more = cells.size - 1
    return Outlook(
        cells.size,
        points + more * (second[0] - points),
        stress,
        seconds + more * (second[1] - seconds),
    )


def _seeds(plan: CellPlan) -> dict[str, int]:
    seed = getattr(plan, "seed", None)
    return {} if seed is None else {"plan": seed}


def _counters(array: CimArray) -> NDArray[np.uint32] | None:
    return array.counters() if "counters" in array.spec.capabilities else None


def _record_map(run: RunWriter, array: CimArray, ledger: Ledger, plan: CellPlan) -> None:
    """Read and record every cell; not on a bench, which would visit them one by one."""
    if visited_apart(array.spec):
        return
    reading = array.read(plan.v_read, averages=MAP_AVERAGES)
    run.append(
        "maps",
        step=0,
        v_read=reading.v,
        current=reading.current,
        pulses=ledger.pulses,
        reads=ledger.reads,
    )
