"""Pages of sweeps that give curves: I-V, pulse trains, forming, retention, endurance, disturb."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cimlab.records import RunReader
from cimlab.records.units import quantity

from .page import (
    CELLS,
    MEDIAN,
    RESET,
    SET,
    Values,
    chosen,
    crowd,
    finish,
    histogram,
    page,
    place,
    quantile,
    scale,
    scaled,
    shares,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pages = list[tuple[str, "Figure"]]


def iv(run: RunReader) -> Pages:
    """Current over voltage, linear and logarithmic."""
    series = run.series()
    v, current = series.v, series.current
    mode, verbs = run.plan["mode"], run.spec["capabilities"]
    if mode == "dc" or (mode == "auto" and "sweep" in verbs):
        # the reads in between were made at their own voltage
        keep = (series.v_read == v).any(axis=1)
        what, across = "current", "voltage (V)"
    else:
        keep = np.ones(len(v), np.bool_)
        at = run.plan["v_read"]
        what, across = f"current at {at:g} V after the pulse", "pulse voltage (V)"
    v, (amperes, unit) = v[keep], scaled(current[keep], "A")
    figure = page(run, f"I-V curve, {series.cells.size:,} cells")
    linear, log = figure.subplots(1, 2)
    few = chosen(series.cells.size)
    some = np.where((v == 0) & (series.v_read[keep] == 0), np.nan, np.abs(amperes))
    for axes, y in ((linear, amperes), (log, some)):
        axes.plot(v[:, few], y[:, few], color=CELLS, linewidth=0.7, alpha=0.6, rasterized=True)
        axes.plot(quantile(v, 0.5), quantile(y, 0.5), color=MEDIAN, linewidth=1.6, label="median")
        axes.set(xlabel=across, ylabel=f"{what} ({unit})")
    log.set_yscale("log")
    log.set_ylabel(f"|{what}| ({unit})")
    clipped = 100 * series.saturated[keep].mean()
    linear.plot([], [], color=CELLS, label=f"{few.size} cells drawn, {clipped:.2g} % at compliance")
    finish(linear, log)
    return [("iv", figure)]


def pulses(run: RunReader) -> Pages:
    """Conductance over pulses, and its change a pulse over itself."""
    series = run.series()
    g, unit = scaled(np.where(series.saturated, np.nan, series.g), "S")
    number = np.arange(len(g), dtype=np.float64)
    figure = page(run, f"LTP and LTD pulse trains, {series.cells.size:,} cells")
    curve, jumps = figure.subplots(1, 2, width_ratios=(3, 2))
    crowd(curve, number, g)
    rises = series.v > 0
    ends = np.flatnonzero(rises[1:, 0] != rises[:-1, 0]) + 1
    for end in ends[ends > 1][: 2 * 50]:
        curve.axvline(end - 0.5, color="0.8", linewidth=0.6, zorder=0)
    curve.set(xlabel="pulse number", ylabel=f"conductance ({unit})")
    step, before = np.diff(g, axis=0), g[:-1]
    few = chosen(series.cells.size)
    for name, colour, mask in (("SET", SET, rises[1:]), ("RESET", RESET, series.v[1:] < 0)):
        here = np.zeros_like(mask)
        here[:, few] = mask[:, few] & np.isfinite(step[:, few])
        jumps.plot(
            before[here],
            step[here],
            ".",
            color=colour,
            markersize=2,
            alpha=0.4,
            label=f"{name}, {here.sum():,} pulses",
            rasterized=True,
        )
    jumps.set(xlabel=f"conductance before ({unit})", ylabel=f"change a pulse ({unit})")
    finish(curve, jumps)
    return [("pulses", figure)]


def forming(run: RunReader) -> Pages:
    """Current over the level of the ramp, and the share of cells formed by each level."""
    series = run.series()
    read = (series.v_read != series.v) | (series.index == 0)
    current = np.where(read & ~series.saturated, series.current, np.nan)
    # a sweep's reading comes after it, with no voltage of its own
    level = np.maximum.accumulate(np.nan_to_num(series.v), axis=0)
    factor, unit = scale(current, "A")
    formed = np.where(read, np.abs(series.current) >= run.plan["i_target"], False)
    v_form = np.where(
        formed.any(axis=0), level[formed.argmax(axis=0), np.arange(series.cells.size)], np.nan
    )
    figure = page(run, f"Forming, {series.cells.size:,} cells")
    ramp, share = figure.subplots(1, 2)
    for k in chosen(series.cells.size):
        there = np.isfinite(current[:, k])
        ramp.plot(
            level[there, k],
            factor * np.abs(current[there, k]),
            ".-",
            color=MEDIAN,
            linewidth=0.6,
            markersize=3,
            alpha=0.4,
        )
    ramp.axhline(run.plan["i_target"] * factor, color=SET, linestyle="--", label="formed above")
    ramp.set(
        xlabel="level of the ramp (V), 0: as found",
        ylabel=f"current at {run.plan['v_read']:g} V ({unit})",
        yscale="log",
    )
    shares(share, v_form, "formed", MEDIAN, of=series.cells.size)
    share.set_xlabel("forming voltage (V), 0: conducted from the start")
    finish(ramp, share)
    return [("forming", figure)]


def retention(run: RunReader) -> Pages:
    """Conductance over logarithmic time, and its change from first to last."""
    series = run.series()
    real = np.where(series.saturated, np.nan, series.g)
    g, unit = scaled(real, "S")
    time = quantile(series.time, 0.5)
    later = time > 0
    # the first read is at time zero: it stands at the left edge
    time = np.where(later, time, time[later].min() / 2 if later.any() else 1.0)
    figure = page(run, f"Retention, {series.cells.size:,} cells")
    curve, change = figure.subplots(1, 2, width_ratios=(3, 2))
    crowd(curve, time, g)
    curve.set(xscale="log", xlabel="time (s), first point: at once", ylabel=f"conductance ({unit})")
    histogram(change, 100 * (real[-1] / real[0] - 1), "change of conductance, first to last (%)")
    finish(curve, change)
    return [("retention", figure)]


def endurance(run: RunReader) -> Pages:
    """Both states over cycles, and how many cells still have a window."""
    series = run.series()
    real = np.where(series.saturated, np.nan, series.g)
    g, unit = scaled(real, "S")
    on, off = series.v[:, 0] > 0, series.v[:, 0] < 0
    cycle = series.cycle.max(axis=1).astype(np.float64)
    figure = page(run, f"Endurance, {series.cells.size:,} cells")
    curve, window = figure.subplots(1, 2)
    crowd(curve, cycle[on], g[on], "#dca79b", SET, "after SET")
    crowd(curve, cycle[off], g[off], "#9cc4d1", RESET, "after RESET")
    curve.set(xscale="log", yscale="log", xlabel="cycles", ylabel=f"conductance ({unit})")
    both = min(on.sum(), off.sum())
    ratio = real[on][:both] / np.where(real[off][:both] > 0, real[off][:both], np.nan)
    crowd(window, cycle[on][:both], ratio)
    window.axhline(run.plan["window_min"], color="0.3", linestyle="--", label="fails below")
    window.set(xscale="log", yscale="log", xlabel="cycles", ylabel="window, g on / g off")
    finish(curve, window)
    return [("endurance", figure)]


def disturb(run: RunReader) -> Pages:
    """Change of conductance over disturbing pulses."""
    series = run.series()
    change = 100 * (np.where(series.saturated, np.nan, series.g) / series.g[0] - 1)
    count = quantile(series.pulses.astype(np.float64), 0.5)
    volts = series.v[series.v != 0]
    what = f"{quantity(float(volts[0]), 'V')} pulses" if volts.size else "pulses"
    figure = page(run, f"Disturb by {what}, {series.cells.size:,} cells")
    curve, last = figure.subplots(1, 2, width_ratios=(3, 2))
    crowd(curve, np.where(count > 0, count, 0.5), change)
    for sign in (1, -1):
        curve.axhline(sign * 100 * run.plan["tolerance"], color=SET, linestyle="--", linewidth=0.8)
    curve.set(
        xscale="log",
        xlabel=f"{what}, first point: none",
        ylabel="change of conductance (%), dashed: tolerance",
    )
    histogram(last, change[-1], "change at the end (%)")
    finish(curve, last)
    return [("disturb", figure)]


def noise(run: RunReader) -> Pages:
    """Deviations from each cell's mean, the spread of each cell, and the most telegraphic trace."""
    series = run.series()
    current = np.where(series.saturated, np.nan, series.current)
    good = np.isfinite(current).all(axis=0)
    cells, current = series.cells[good], current[:, good]
    rest = current - current.mean(axis=0)
    figure = page(run, f"Read noise at {run.plan['v_read']:g} V, {cells.size:,} cells", height=7.0)
    grid = figure.subplot_mosaic([["all", "each"], ["trace", "trace"]])
    _deviations(grid["all"], rest)
    sigma, unit = scaled(rest.std(axis=0, ddof=1), "A")
    mean, mean_unit = scaled(current.mean(axis=0), "A")
    grid["each"].plot(mean, sigma, ".", color=MEDIAN, markersize=3, alpha=0.5, rasterized=True)
    grid["each"].set(
        xlabel=f"mean current of a cell ({mean_unit})", ylabel=f"its sigma ({unit})", ylim=(0, None)
    )
    power = np.maximum((rest**2).sum(axis=0), 1e-60)
    memory = (rest[1:] * rest[:-1]).sum(axis=0) / power
    if cells.size:
        worst = int(memory.argmax())
        trace, unit = scaled(current[:, worst], "A")
        grid["trace"].plot(trace, drawstyle="steps-mid", color=MEDIAN, linewidth=0.8)
        grid["trace"].set(
            xlabel="read number",
            ylabel=f"current ({unit})",
            title=f"cell {place(run, int(cells[worst]))}, the most telegraphic: "
            f"successive reads correlate by {memory[worst]:.2f}",
        )
    finish(*grid.values())
    return [("noise", figure)]


def _deviations(axes: Axes, rest: Values) -> None:
    """Histogram of all deviations, (reads, cells) A, and the normal one of their sigma."""
    factor, unit = scale(rest, "A")
    flat = factor * rest.ravel()
    width = histogram(axes, flat, f"current minus the cell's mean ({unit})", 80)
    if not flat.size or not flat.any():
        return
    # each cell's mean took a degree of freedom
    sigma = float(np.sqrt((flat**2).mean() * len(rest) / (len(rest) - 1)))
    x = np.linspace(flat.min(), flat.max(), 200)
    height = flat.size * width / (sigma * np.sqrt(2 * np.pi))
    y = height * np.exp(-0.5 * (x / sigma) ** 2)
    axes.plot(x, y, color=SET, linewidth=1.2, label=f"normal, sigma {sigma:.4g} {unit}")
