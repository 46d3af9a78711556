"""cimlab: instrument control and hardware-in-the-loop training on memristor arrays.

Two lines to remember; what they need is imported when they are used::

    array = cimlab.open("tcp://192.168.1.20:5000")
    run = cimlab.records.load("runs/train-20261122-211500.h5")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cimlab import records as records
    from cimlab.core.events import Sink
    from cimlab.core.station import Station
    from cimlab.rig import StationArray

__all__ = ["open"]


def open(station: Station | str | Path, sink: Sink | None = None) -> StationArray:
    """Open the array a station names; see `cimlab.rig.open_array`, imported when called."""
    from cimlab.rig import open_array

    return open_array(station, sink)


def __getattr__(name: str) -> Any:
    """`cimlab.records` without a line that imports it, `cimlab.__version__`."""
    if name == "records":
        from importlib import import_module

        return import_module("cimlab.records")
    if name == "__version__":
        from importlib.metadata import version

        return version("cimlab")
    raise AttributeError(f"module 'cimlab' has no attribute {name!r}")
