"""Names and formats of the files that commands write."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cimlab.core.errors import ConfigError

if TYPE_CHECKING:
    from cimlab.core.array import ArraySpec, Mask, Reading
    from cimlab.core.station import Station

_AVOIDED = "avoided_cells"
_SECRET: Any = {"token": True, "boards": {"__all__": {"token"}}}
_HEAD = "tile,row,column,current_A,conductance_S,saturated"


def run_file(kind: str) -> Path:
    """A name for a new run: its kind, the time, and the process, as several may start at once."""
    return Path("runs") / f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.h5"


def station_facts(station: Station, usable: Mask | None = None) -> dict[str, Any]:
    """What a record keeps of a station: everything that was set, but for the token.

    With usable, also the addresses of the cells that are avoided: a resumed run must avoid the
    same, whatever has been learnt of the array since. A device file is kept whole: it may be
    fitted anew under the same name.
    """
    facts: dict[str, Any] = {
        "text": station.text,
        "connection": station.connection.model_dump(mode="json", exclude=_SECRET),
        "limits": station.limits.model_dump(mode="json", exclude_unset=True),
        "converters": station.converters.model_dump(mode="json", exclude_unset=True),
    }
    if station.health is not None:
        facts["health"] = station.health
    facts |= _device_file(station)
    return facts if usable is None else facts | {_AVOIDED: (~usable).ravel().nonzero()[0].tolist()}


def _device_file(station: Station) -> dict[str, str]:
    """The text of the device file that a station names, if it names one."""
    connection = station.connection
    named = str(getattr(connection, "device", "") or getattr(connection, "dut", ""))
    if not named.endswith(".toml"):
        return {}
    file = Path(re.sub(r"^crossbar:\d+x\d+:", "", named))
    try:
        return {"device_file": file.read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the device file {file}: {error}") from error


def recorded_station(facts: Mapping[str, Any]) -> Station:
    """The station back from what `station_facts` kept of it."""
    from cimlab.core.station import Station

    return Station.model_validate({k: v for k, v in facts.items() if k in Station.model_fields})


def recorded_usable(facts: Mapping[str, Any], spec: ArraySpec) -> Mask | None:
    """False for the cells that a recorded run avoids, (tiles, rows, cols); None if it did not."""
    import numpy as np

    if _AVOIDED not in facts:
        return None
    if max(facts[_AVOIDED], default=0) >= spec.size:
        raise ConfigError("the run avoids cells that this array does not have")
    usable = np.ones(spec.size, np.bool_)
    usable[facts[_AVOIDED]] = False
    return usable.reshape(spec.shape)


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
