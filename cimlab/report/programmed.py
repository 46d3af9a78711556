"""Figures of cells: level distributions, programming error, read noise."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from cimlab.records import RunReader

from . import published
from .material import Material, mode
from .page import Values
from .style import BLUE, ORANGE, PAPER, RED, blank, printed, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MICRO = 1e6
AMPERES = "\N{MICRO SIGN}A"
LEVELS_MOST = 64
"""More targets than these are no levels but a continuum."""
BINS = 60
LETTERS = 23
"""Of the small print, an inch."""
MINUS, SIGMA, PLUS_MINUS, MEAN = "\N{MINUS SIGN}", "\u03c3", "\N{PLUS-MINUS SIGN}", "\u00b5"


def levels(found: Material, width: float) -> Figure | str:
    """Currents of programmed cells, level by level."""
    for run in found.programmings:
        target, current, left, _ = _fresh(run)
        wanted = np.unique(np.round(target, 3))
        if 2 <= wanted.size <= LEVELS_MOST:
            break
    else:
        return "no run of `cimlab program` with levels"
    with printed():
        figure = blank(width, 0.78 * width if width < 5 else 0.42 * width)
        axes = figure.subplots()
        shades = _shades(wanted.size)
        gap = float(np.diff(wanted).min())
        for level, shade in zip(wanted, shades, strict=True):
            mine = np.sort(current[np.abs(target - level) < gap / 4])
            share = 100 * np.arange(1, mine.size + 1) / mine.size
            axes.axvline(level, color="0.8", linewidth=0.5, zorder=0)
            axes.plot(mine, share, color=shade, linewidth=1.0, rasterized=mine.size > 1000)
        axes.axvspan(
            *(MICRO * published.LOW, MICRO * published.HIGH),
            color=PAPER,
            alpha=0.12,
            linewidth=0,
            zorder=-1,
            label="paper: training window",
        )
        axes.plot([], [], color=shades[wanted.size // 2], label="cells of one level")
        axes.plot([], [], color="0.8", linewidth=0.8, label="its target")
        axes.set(
            xlabel=f"current at {_v_read(run):.3g} V ({AMPERES})",
            ylabel="cells of a level below (%)",
            ylim=(0, 100),
        )
        _above(axes, 3)
        each = current.size / wanted.size
        words = f"{wanted.size} levels, n = {current.size:,} cells, {each:.0f} a level"
        _signed(figure, [run], words + _left(left))
    return figure


def programming_error(found: Material, width: float) -> Figure | str:
    """Fresh readings minus targets, with the paper's."""
    runs = [*found.programmings, *(r for r in found.trainings if mode(r) == "mixed")]
    errors = {run.path: _fresh(run) for run in runs}
    runs = [run for run in runs if errors[run.path][0].size]
    if not runs:
        return "no run that programmed cells"
    with printed():
        figure = blank(width, 0.72 * width if width < 5 else 0.42 * width)
        axes = figure.subplots()
        groups = {
            "after cimlab program": [r for r in runs if r.kind != "train"],
            "at the end of trainings": [r for r in runs if r.kind == "train"],
        }
        for colour, (name, group) in zip((BLUE, ORANGE), groups.items(), strict=True):
            if group:
                error = np.concatenate([errors[r.path][1] - errors[r.path][0] for r in group])
                _density(axes, error, name, colour)
        _normal(
            axes,
            (MICRO * published.ERROR_MEAN, MICRO * published.ERROR_SIGMA),
            published.ERROR_COUNT,
        )
        axes.set(xlabel=f"read afresh {MINUS} target ({AMPERES})", ylabel=_per())
        _above(axes)
        left = _left(sum(errors[r.path][2] for r in runs))
        averages = ", ".join(sorted({errors[r.path][3] for r in runs}))
        _signed(figure, runs, f"{averages}{left}; the paper's are single reads, with their noise")
    return figure


def read_noise(found: Material, width: float) -> Figure | str:
    """Deviations of readings from their cell's mean, with the paper's sigma."""
    if not found.noises:
        return "no run of `cimlab sweep noise`"
    run = found.noises[0]
    series = run.series()
    current = np.where(series.saturated, np.nan, series.current)
    current = MICRO * current[:, np.isfinite(current).all(axis=0)]
    rest = (current - current.mean(axis=0)) * np.sqrt(len(current) / (len(current) - 1))
    with printed():
        figure = blank(width, 0.72 * width if width < 5 else 0.42 * width)
        axes = figure.subplots()
        _density(axes, rest.ravel(), f"{current.shape[1]:,} cells, {len(current)} reads", BLUE)
        _normal(axes, (0.0, MICRO * published.READ_SIGMA), published.READ_COUNT)
        axes.set(xlabel=f"read {MINUS} mean of its cell ({AMPERES})", ylabel=_per())
        _above(axes)
        averages = int(run.plan.get("averages", 1))
        words = "single conversions" if averages == 1 else f"means of {averages} conversions"
        _signed(figure, [run], f"at {run.plan['v_read']:g} V, {words}")
    return figure


def _fresh(run: RunReader) -> tuple[Values, Values, int, str]:
    """Of cells that reached the band: targets and what was read afterwards, both (n,) uA.

    Then the number of cells that have a target and did not reach it, and how was read.
    """
    if run.rows("programming"):
        last = slice(run.rows("programming") - 1, None)
        target = run.column("programming", "target", last)[0].ravel()
        current, how = run.column("programming", "current", last)[0].ravel(), "verify reads"
        if run.rows("maps"):
            current = run.column("maps", "current")[-1].ravel()
            how = "16 conversions averaged"
        done = run.column("programming", "converged", last)[0].ravel()
    elif run.rows("maps"):
        last = slice(run.rows("maps") - 1, None)
        target = run.column("maps", "target", last)[0].ravel()
        current = run.column("maps", "current", last)[0].ravel()
        how, done = "reads of the last map", np.ones(target.size, np.bool_)
    else:
        return np.empty(0), np.empty(0), 0, ""
    known = np.isfinite(target) & np.isfinite(current)
    good = known & done
    left = int((known & ~done).sum())
    return MICRO * target[good].astype("f8"), MICRO * current[good].astype("f8"), left, how


def _left(cells: int) -> str:
    return f" ({cells:,} more missed the band, not drawn)" if cells else ""


def _v_read(run: RunReader) -> float:
    return float(run.column("programming", "v_read")[-1])


def _shades(count: int) -> list[tuple[float, float, float, float]]:
    """Colours from dark to light that rise evenly for every eye (cividis)."""
    from matplotlib import colormaps

    return [colormaps["cividis"](x) for x in np.linspace(0.0, 0.85, count)]


def _density(axes: Axes, values: Values, name: str, colour: str) -> None:
    """A histogram as a density, with its mean and sigma."""
    mean, sigma = float(values.mean()), float(values.std(ddof=1))
    span = (mean - 5 * sigma, mean + 5 * sigma)
    beyond = int(((values < span[0]) | (values > span[1])).sum())
    said = f"{name}\n{_facts(mean, sigma, values.size)}"
    if beyond:
        said += f", {beyond:,} beyond 5 {SIGMA}"
    bins = int(np.clip(2 * np.sqrt(values.size), 10, BINS))
    axes.hist(
        values,
        bins=bins,
        range=span,
        density=True,
        histtype="stepfilled",
        color=colour,
        alpha=0.45,
        edgecolor=colour,
        linewidth=0.8,
        label=said,
    )


def _normal(axes: Axes, facts: tuple[float, float], count: int) -> None:
    """The normal distribution that the paper reports."""
    mean, sigma = facts
    x = np.linspace(mean - 4 * sigma, mean + 4 * sigma, 200)
    y = np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    said = f"paper: the normal of\n{_facts(mean, sigma, count)}"
    axes.plot(x, y, color=RED, linestyle="--", linewidth=1.0, label=said)


def _facts(mean: float, sigma: float, count: int) -> str:
    """Mean and sigma, uA, without a minus before zero."""
    return f"{MEAN} = {round(mean, 3) + 0.0:+.3f}, {SIGMA} = {sigma:.3f} {AMPERES}, n = {count:,}"


def _per() -> str:
    return f"density (1/{AMPERES})"


def _above(axes: Axes, columns: int = 1) -> None:
    """Legend where nothing is drawn: above the panel."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.3,
        ncols=columns,
        columnspacing=1.2,
    )


def _signed(figure: Figure, runs: list[RunReader], words: str) -> None:
    told(figure, signature(runs, words, figure.get_figwidth()))


def signature(runs: list[RunReader], words: str, width: float) -> str:
    """Origin, array and what else is to be known, cut to lines of the figure's width."""
    whose: dict[str, set[str]] = {}
    for run in runs:
        array, _, seed = run.identity.partition(", seed ")
        origin = "computed" if run.vmm == "none" else run.origin
        whose.setdefault(f"{origin}: {array}", set()).add(seed)
    arrays = [f"{a} ({len(seeds)} arrays)" if len(seeds) > 1 else a for a, seeds in whose.items()]
    text = "; ".join([*arrays, words, published.CITED])
    return "\n".join(wrap(text, int(LETTERS * width)))
