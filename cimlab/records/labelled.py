"""Runs as pandas tables and xarray trees, with units; needs the extra `analysis`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cimlab.core.errors import ConfigError

from .layout import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from .reader import RunReader

_CELL = ("tile", "row", "col")
_AXES = {"time", "step", "number"}
"""Columns that say where on its axis a row stands."""


def to_pandas(run: RunReader, table: str) -> pd.DataFrame:
    """A table as a frame, its columns those of the file; units are in ``attrs["units"]``.

    A number a tile becomes one column a tile (``clipped_0``). Maps have a line a map and cell,
    indexed by map, tile, row and col.
    """
    with _needed("pandas"):
        import pandas as pd
    columns = TABLES[table]
    units = {name: column.unit for name, column in columns.items()}
    if any(column.per_cell for column in columns.values()):
        frame = dataset(run, table).to_dataframe()
        units["g"] = "S"
    else:
        values: dict[str, Any] = {}
        for name, data in run.columns(table, columns).items():
            if columns[name].per_tile:
                parts = {f"{name}_{k}": part for k, part in enumerate(data.T)}
                values |= parts
                units |= dict.fromkeys(parts, units.pop(name))
            else:
                values[name] = data
        frame = pd.DataFrame(values)
    frame.attrs.update(_about(run), units=units)
    return frame


def to_xarray(run: RunReader) -> xr.DataTree:
    """All tables that have rows, one node each; `points` as matrices (point, cell).

    Variables and coordinates carry ``units`` and ``long_name``. Where currents were measured
    there is a conductance, g = current / v_read. ``to_netcdf`` writes the whole tree.
    """
    with _needed("xarray"):
        import xarray as xr
    nodes = {table: dataset(run, table) for table in TABLES if run.rows(table)}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=_about(run)), **nodes})


def dataset(run: RunReader, table: str) -> xr.Dataset:
    """One table with its coordinates."""
    with _needed("xarray"):
        import xarray as xr
    if table == "points":
        return _points(run)
    axis, columns = table.removesuffix("s"), TABLES[table]
    variables: dict[str, Any] = {}
    for name, data in run.columns(table, columns).items():
        column = columns[name]
        inner = _CELL if column.per_cell else _CELL[:1] if column.per_tile else ()
        attributes = {"units": column.unit, "long_name": column.description}
        variables[name] = ((axis, *inner), data, attributes)
    whole = xr.Dataset(variables)
    sizes = dict(zip(_CELL, (run.spec["tiles"], run.spec["rows"], run.spec["cols"]), strict=True))
    whole = whole.assign_coords(
        {name: np.arange(sizes[name]) for name in _CELL if name in whole.dims}
    )
    whole = whole.set_coords(_AXES & set(columns) - {axis})
    return _conducting(whole)


def _points(run: RunReader) -> xr.Dataset:
    with _needed("xarray"):
        import xarray as xr
    series, columns = run.series(), TABLES["points"]
    shape = (run.spec["tiles"], run.spec["rows"], run.spec["cols"])
    variables = {
        name: (
            ("point", "cell"),
            getattr(series, name),
            {"units": column.unit, "long_name": column.description},
        )
        for name, column in columns.items()
        if name != "cell"
    }
    place = zip(_CELL, np.unravel_index(series.cells, shape), strict=True)
    coordinates = {name: ("cell", where) for name, where in place}
    whole = xr.Dataset(variables, {"cell": series.cells, **coordinates}).set_coords("time")
    return _conducting(whole)


def _conducting(whole: xr.Dataset) -> xr.Dataset:
    """With conductances where there are currents; NaN where nothing was applied to tell one."""
    if not {"current", "v_read"} <= set(whole.variables):
        return whole
    g = whole["current"] / whole["v_read"].where(whole["v_read"] != 0)
    return whole.assign(g=g.assign_attrs(units="S", long_name="conductance at v_read"))


def _about(run: RunReader) -> dict[str, str]:
    names = ("kind", "origin", "vmm", "identity", "utc_start", "status")
    return {name: getattr(run, name) for name in names} | {"file": run.path}


@contextmanager
def _needed(library: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{library} is not installed ({error}): pip install 'cimlab[analysis]'"
        ) from error
