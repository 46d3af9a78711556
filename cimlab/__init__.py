"""cimlab: instrument control and hardware-in-the-loop training on memristor arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cimlab.core.events import Sink
    from cimlab.core.station import Station
    from cimlab.rig import StationArray

__all__ = ["open"]


def open(station: Station | str | Path, sink: Sink | None = None) -> StationArray:
    """Open the array a station names; see `cimlab.rig.open_array`, imported when called."""
    from cimlab.rig import open_array

    return open_array(station, sink)
