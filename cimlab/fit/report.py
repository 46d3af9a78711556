"""A fit on one page: the mean course with the model's, residuals, and the parameters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from cimlab.fit.fitting import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#1f77b4", "#d95f02", "#777777"


def draw(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Draw a fit; the path's ending decides the format (PNG, PDF)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), dpi=120, layout="constrained")
    figure.suptitle(
        f"{fit.model.name} fitted to {fit.readings:,} readings of {fit.cells:,} cells"
        + (f"; {len(fit.stuck)} stuck cells left out" if fit.stuck else "")
    )
    panels = figure.subplot_mosaic("cc;rh;pp", height_ratios=[1.2, 0.8, 1.0])
    if fit.curve is None:
        _jumps(panels["c"], fit)
        panels["r"].set_axis_off()
        panels["h"].set_axis_off()
    else:
        _course(panels["c"], panels["r"], fit)
        _deviations(panels["h"], fit)
    _parameters(panels["p"], fit)
    figure.savefig(path)


def _course(above: Axes, below: Axes, fit: Fit) -> None:
    assert fit.curve is not None  # noqa: S101 - asked by the caller
    measured, model = 1e6 * fit.curve.measured, 1e6 * fit.curve.model
    last = 1 + int(np.flatnonzero(np.isfinite(measured)).max(initial=0))  # rests come last
    measured, model = measured[:last], model[:last]
    step = np.arange(measured.size)
    above.plot(step, measured, ".", color=BLUE, markersize=4, label="measured, mean of the cells")
    above.plot(
        step, model, "-", color=ORANGE, linewidth=1, label="model, from the first reading on"
    )
    above.set(xlabel="step", ylabel="conductance (\N{MICRO SIGN}S)", xlim=(0, measured.size))
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    below.axhline(0, color=GREY, linewidth=0.8)
    below.plot(step, measured - model, ".", color=BLUE, markersize=3)
    share = fit.goodness["curve_rmse"]
    below.set(
        xlabel="step",
        ylabel="measured \N{MINUS SIGN} model (\N{MICRO SIGN}S)",
        title=f"root mean square {100 * share:.2f} % of the window",
        xlim=(0, measured.size),
    )
    for axes in (above, below):
        axes.grid(alpha=0.3)


def _deviations(axes: Axes, fit: Fit) -> None:
    edges = np.linspace(-5, 5, 81)
    axes.hist(
        np.clip(fit.deviations, -5, 5),
        edges.tolist(),
        density=True,
        color=BLUE,
        alpha=0.7,
        label="readings",
    )
    axes.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), color=ORANGE, label="N(0, 1)")
    chi2, tails = fit.goodness["chi2"], fit.goodness["tails"]
    axes.set(
        xlabel="(reading \N{MINUS SIGN} prediction) / sigma",
        ylabel="density",
        title=f"mean square {chi2:.3f}, tails {tails:.2f} (1 and 3)",
    )
    axes.legend()
    axes.grid(alpha=0.3)


def _jumps(axes: Axes, fit: Fit) -> None:
    for table in getattr(fit.model, "jumps", ()):
        color = BLUE if table.v > 0 else ORANGE
        axes.plot(1e6 * np.array(table.g), 1e6 * np.array(table.dg), ".", color=color, markersize=2)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(
        xlabel="conductance before the pulse (\N{MICRO SIGN}S)",
        ylabel="change (\N{MICRO SIGN}S)",
        title="measured jumps: SET blue, RESET orange",
    )
    axes.grid(alpha=0.3)


def _parameters(axes: Axes, fit: Fit) -> None:
    axes.set_axis_off()
    rows = []
    for name, value in fit.values.items():
        error = fit.errors[name]
        said = "default, no run tells it" if error is None else f"\N{PLUS-MINUS SIGN} {error:.2g}"
        rows.append((name, f"{value:.5g}", said))
    if fit.aic is not None:
        rows.append(("AIC", f"{fit.aic:.1f}", f"{fit.free} numbers estimated"))
    half = -(-len(rows) // 2)
    rows += [("", "", "")] * (2 * half - len(rows))
    table = axes.table(
        [(*a, *b) for a, b in zip(rows[:half], rows[half:], strict=True)],
        colLabels=["parameter", "value", "standard error"] * 2,
        loc="center",
        cellLoc="left",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8.5)
