"""Pages with a map of the array: device-to-device variation, health."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cimlab.core.health import Health
from cimlab.protocols.screen import ScreenPlan, classify
from cimlab.records import RunReader
from cimlab.records.figures import TileScale, draw_tiles

from .page import MEDIAN, RESET, SET, Values, finish, page, scale, shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pages = list[tuple[str, "Figure"]]

HEALTH_COLOURS = {
    Health.CLEAN: "#4c956c",
    Health.FORMED: "#a7c957",
    Health.STUCK_HIGH: "#bc4749",
    Health.STUCK_LOW: "#f2a65a",
    Health.OPEN: "#3d3d3d",
    Health.UNTESTED: "#e8e8e8",
}
_STATES = (("as found", MEDIAN), ("after SET", SET), ("after RESET", RESET))


def device_map(run: RunReader) -> Pages:
    """Distributions of the three states, then a map of each."""
    cells, g, clipped = _three_states(run)
    real = np.where(clipped, np.nan, g)
    factor, unit = scale(real, "S")
    figure = page(run, f"Device-to-device map, {cells.size:,} cells")
    states, window = figure.subplots(1, 2)
    for (name, colour), values in zip(_STATES, real, strict=True):
        shares(states, factor * values, name, colour, of=cells.size)
    states.set_xlabel(f"conductance at {run.plan['v_read']:g} V ({unit})")
    shares(
        window, real[1] / np.where(real[2] > 0, real[2], np.nan), "window", MEDIAN, of=cells.size
    )
    window.set(xscale="log", xlabel="window, g after SET / g after RESET")
    finish(states, window)
    pages: Pages = [("distributions", figure)]
    for (name, _), values in zip(_STATES, real, strict=True):
        tiles = _spread(run, cells, factor * values)
        shown = page(run, f"Conductance {name}, read at {run.plan['v_read']:g} V", *_size(tiles))
        draw_tiles(shown, tiles, TileScale(f"conductance ({unit})"))
        pages.append((name.replace(" ", "-").lower(), shown))
    return pages


def screen(run: RunReader) -> Pages:
    """Health of every cell, and the conductances that it was judged by."""
    cells, g, _ = _three_states(run)
    states = classify(ScreenPlan.model_validate(run.plan), g)
    order = list(HEALTH_COLOURS)
    tiles = _spread(run, cells, np.array([order.index(Health(s)) for s in states], np.float64))
    tiles = np.where(np.isnan(tiles), order.index(Health.UNTESTED), tiles)
    names = [
        f"{state.name.replace('_', ' ').lower()}: {int((tiles == k).sum()):,}"
        for k, state in enumerate(order)
    ]
    shown = page(run, f"Health of {cells.size:,} cells", *_size(tiles))
    draw_tiles(shown, tiles, TileScale("health", tuple(HEALTH_COLOURS.values()), tuple(names)))
    figure = page(run, f"Screening of {cells.size:,} cells", 7.0)
    axes = figure.subplots()
    factor, unit = scale(g, "S")
    for state, colour in HEALTH_COLOURS.items():
        here = states == state
        if here.any():
            axes.plot(
                factor * g[2, here],
                factor * g[1, here],
                ".",
                color=colour,
                markersize=4,
                label=f"{state.name.replace('_', ' ').lower()}, {here.sum():,}",
                rasterized=True,
            )
    axes.axline(
        (0, factor * run.plan["swing_min"]),
        slope=1,
        color="0.4",
        linestyle="--",
        linewidth=0.8,
        label="switches above",
    )
    axes.set(xlabel=f"conductance after RESET ({unit})", ylabel=f"conductance after SET ({unit})")
    finish(axes)
    return [("health", shown), ("states", figure)]


def _three_states(run: RunReader) -> tuple[NDArray[np.int64], Values, NDArray[np.bool_]]:
    """Cells, and their conductances as found, after SET and after RESET, (3, m) S; clipped."""
    series = run.series()
    g = np.full((3, series.cells.size), np.nan)
    clipped = np.zeros(g.shape, np.bool_)
    g[: len(series.g)], clipped[: len(series.g)] = series.g, series.saturated
    return series.cells, g, clipped


def _spread(run: RunReader, cells: NDArray[np.int64], values: Values) -> Values:
    """Values of cells as (tiles, rows, cols), without the tiles that have none."""
    shape = tuple(int(run.spec[size]) for size in ("tiles", "rows", "cols"))
    full = np.full(int(np.prod(shape)), np.nan)
    full[cells] = values
    return full.reshape(shape)


def _size(tiles: Values) -> tuple[float, float]:
    across = min(4, len(tiles))
    return 3.0 * across + 2.2, 3.0 * -(-len(tiles) // across) + 1.0
