"""What the bench did, as a run file like any other's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec
from cimlab.gui.snapshot import Frame
from cimlab.protocols import Plan, ProgramResult
from cimlab.records import Header, RunWriter

if TYPE_CHECKING:
    from cimlab.rig import StationArray


def name_now(kind: str) -> str:
    """A name for a new run file."""
    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.h5"


def station(array: StationArray) -> dict[str, Any]:
    """What a record keeps of the station: everything but the token."""
    return array.station.model_dump(mode="json", exclude={"connection": {"token"}})


def create(path: Path, array: StationArray, procedure: str, plan: Plan) -> RunWriter:
    """A new run file for one procedure; RecordError where it cannot be written."""
    header = Header(
        kind="bench",
        spec=array.spec,
        station=station(array),
        plan={"procedure": procedure, **plan.model_dump(mode="json")},
    )
    return RunWriter.create(path, header)


def store(run: RunWriter, array: StationArray, frame: Frame, result: object) -> None:
    """Add the map as last known, and the result where it is a programming's."""
    found = getattr(result, "programmed", result)  # some procedures wrap a programming
    if isinstance(found, ProgramResult):
        run.append(
            "programming",
            v_read=frame.v_read,
            rounds=found.rounds,
            target=_spread(array.spec, found.cells, found.target, np.nan),
            current=_spread(array.spec, found.cells, found.current, np.nan),
            pulses=_spread(array.spec, found.cells, found.pulses, 0),
            converged=_spread(array.spec, found.cells, found.converged, False),
        )
    run.append(
        "maps",
        step=0,
        v_read=frame.v_read,
        current=frame.current,
        pulses=array.ledger.pulses,
        reads=array.ledger.reads,
    )


def _spread(
    spec: ArraySpec, cells: NDArray[np.int64], values: NDArray[Any], rest: float
) -> NDArray[Any]:
    full = np.full(spec.size, rest, values.dtype)
    full[cells] = values
    return full.reshape(spec.shape)
