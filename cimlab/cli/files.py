"""Names and formats of the files that commands write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cimlab.core.errors import ConfigError

if TYPE_CHECKING:
    from cimlab.core.array import ArraySpec, Reading
    from cimlab.core.station import Station

_HEAD = "tile,row,column,current_A,conductance_S,saturated"


def run_file(kind: str) -> Path:
    """A name for a new run: its kind, the time, and the process, as several may start at once."""
    return Path("runs") / f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.h5"


def station_facts(station: Station) -> dict[str, Any]:
    """What a record keeps of a station: everything that was set, but for the token."""
    return {
        "text": station.text,
        "connection": station.connection.model_dump(mode="json", exclude={"token"}),
        "limits": station.limits.model_dump(mode="json", exclude_unset=True),
        "converters": station.converters.model_dump(mode="json", exclude_unset=True),
    }


def recorded_station(facts: Mapping[str, Any]) -> Station:
    """The station back from what `station_facts` kept of it."""
    from cimlab.core.station import Station

    return Station.model_validate(dict(facts))


def check_map_file(path: Path) -> None:
    """ConfigError unless the name's ending says which format a map is wanted in."""
    if path.suffix not in (".csv", ".npy", ".png"):
        raise ConfigError(f"{path}: a map is written as .csv, .npy or .png")


def write_map(path: Path, reading: Reading, spec: ArraySpec) -> None:
    """Write a reading of the whole array in the format of the name's ending.

    .csv: a line a cell, A and S. .npy: conductances (tiles, rows, cols), S. .png: a picture.
    """
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, reading.g)
    elif path.suffix == ".csv":
        index = np.indices(spec.shape).reshape(3, -1)
        columns = (*index, reading.current.ravel(), reading.g.ravel(), reading.saturated.ravel())
        table = np.stack(columns, axis=1)
        formats = ("%d", "%d", "%d", "%.6e", "%.6e", "%d")
        np.savetxt(path, table, formats, delimiter=",", header=_HEAD, comments="")
    else:
        from cimlab.records.figures import draw_maps

        draw_maps(reading.g, reading.v, f"{spec.identity} ({spec.origin})").savefig(path)
