"""A page of a report: title, footer, and curves of many cells in one panel.

matplotlib is used without pyplot: no global state, no display.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cimlab.records import RunReader
from cimlab.records.units import prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

_LETTERS_PER_INCH = 17  # of the footer
MOST_LINES = 50
"""Cells drawn one by one; all of them count in medians and bands."""
CELLS, MEDIAN = "#8aa9c8", "#0b3c6f"
SET, RESET = "#b5432b", "#1f6f8b"
"""Colours of what belongs to SET and to RESET."""


def page(run: RunReader, title: str, width: float = 11.0, height: float = 4.4) -> Figure:
    """An empty figure; its footer says whose data these are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize="large")
    sign(run, figure)
    return figure


def sign(run: RunReader, figure: Figure) -> None:
    """Put the footer below a figure, on as many lines as its width needs."""
    text = "\n".join(wrap(footer(run), int(_LETTERS_PER_INCH * figure.get_figwidth())))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7, color="0.35")


def footer(run: RunReader) -> str:
    """Origin, identity, date, name of the run file, and how far the run came."""
    came = run.status
    if came != "finished" and run.done is not None:
        came += f" at {100 * run.done:.0f} %"
    made = run.utc_start.replace("T", " ")[:19]
    return f"{run.origin} data of {run.identity}, {made} UTC, {Path(run.path).name}, {came}"


def scale(values: Values, unit: str) -> tuple[float, str]:
    """What to multiply values with for an axis, and their unit with its prefix."""
    finite = np.abs(values[np.isfinite(values)])
    factor, letter = prefix(float(finite.max()) if finite.size else 1.0)
    return factor, f"{letter}{unit}"


def scaled(values: Values, unit: str) -> tuple[Values, str]:
    """Values for an axis, and their unit with its prefix."""
    factor, shown = scale(values, unit)
    return values * factor, shown


def place(run: RunReader, cell: int) -> str:
    """A cell as tile,row,column."""
    tile, rest = divmod(cell, run.spec["rows"] * run.spec["cols"])
    return f"{tile},{rest // run.spec['cols']},{rest % run.spec['cols']}"


def chosen(cells: int) -> NDArray[np.int64]:
    """Columns of the cells that are drawn one by one."""
    return np.unique(np.linspace(0, cells - 1, min(cells, MOST_LINES)).astype(np.int64))


def quantile(y: Values, q: float) -> Values:
    """Quantile over the cells at each point, (points,); NaN where no cell has a number."""
    found = np.full(len(y), np.nan)
    there = np.isfinite(y).any(axis=1)
    found[there] = np.nanquantile(y[there], q, axis=1)
    return found


def crowd(
    axes: Axes, x: Values, y: Values, cells: str = CELLS, middle: str = MEDIAN, name: str = ""
) -> None:
    """Curves y (points, cells) over x (points,): cells thin, median thick, 10 to 90 % shaded."""
    name = name and f"{name}, "
    few = chosen(y.shape[1])
    axes.plot(x, y[:, few], color=cells, linewidth=0.6, alpha=0.6, rasterized=True, zorder=1)
    if y.shape[1] > 1:
        low, high = quantile(y, 0.1), quantile(y, 0.9)
        axes.fill_between(x, low, high, color=cells, alpha=0.35, linewidth=0, zorder=0)
        axes.plot(x, quantile(y, 0.5), color=middle, linewidth=1.8, label=f"{name}median", zorder=2)
        shown = "" if few.size == y.shape[1] else f", {few.size} drawn"
        axes.plot([], [], color=cells, label=f"{name}{y.shape[1]} cells{shown}; 10 to 90 % shaded")
    else:
        axes.lines[-1].set(color=middle, linewidth=1.4, alpha=1.0, label=f"{name}one cell")


def histogram(axes: Axes, values: Values, what: str, bins: int = 40) -> float:
    """A histogram of the numbers among the values, in at most so many bins; their width."""
    from matplotlib.ticker import MaxNLocator

    known = values[np.isfinite(values)]
    few = int(np.clip(2 * np.sqrt(known.size), 5, bins))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _, edges, _ = axes.hist(known, bins=few, color=CELLS, edgecolor="white", linewidth=0.3)
    axes.set(xlabel=what, ylabel=f"count, n = {known.size:,}")
    return float(edges[1] - edges[0])


def shares(axes: Axes, values: Values, name: str, colour: str, of: int | None = None) -> None:
    """Cumulative distribution of the numbers among the values, of `of` in all, in percent."""
    known = np.sort(values[np.isfinite(values)])
    total = of or max(known.size, 1)
    axes.step(
        np.concatenate([known[:1], known]),
        100 * np.arange(known.size + 1) / total,
        where="post",
        color=colour,
        label=f"{name}, n = {known.size:,}",
    )
    axes.set(ylabel="share of the cells (%)", ylim=(0, 102))


def finish(*panels: Axes) -> None:
    """Grid and, where something is named, legends."""
    for axes in panels:
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=7, framealpha=0.8)
