"""Figures of a run as PNG: training curves and conductance maps.

matplotlib is used without pyplot: no global state, no display.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError

from .reader import RunReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(run: RunReader, path: str | os.PathLike[str]) -> None:
    """Draw accuracy, loss and device updates of a training run; RecordError before an epoch."""
    if run.rows("epochs") == 0:
        raise RecordError(f"{run.path} holds no finished epoch yet")
    figure = _figure(f"{_title(run.identity, run.origin)}, {run.vmm} VMM", 11, 3.6)
    accuracy, loss, updates = figure.subplots(1, 3)
    number = run.column("epochs", "number")
    accuracy.plot(number, 100 * run.column("epochs", "accuracy"), "o-", label="all test images")
    accuracy.plot(
        number, 100 * run.column("epochs", "accuracy_2560"), "s:", label="first 2,560 images"
    )
    accuracy.set_ylabel("test accuracy (%)")
    accuracy.legend()
    loss.plot(number, run.column("epochs", "loss"), "o-")
    loss.set_ylabel("mean training loss (nats)")
    updates.plot(number, run.column("epochs", "device_updates"), "o-", label="cells written")
    updates.plot(number, run.column("epochs", "pulses"), "s:", label="pulses")
    updates.set_ylabel("count an epoch")
    updates.set_ylim(bottom=0)
    updates.legend()
    for axes in (accuracy, loss, updates):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.savefig(path)


def maps(run: RunReader, path: str | os.PathLike[str], row: int = -1) -> None:
    """Draw every tile's conductances of one snapshot, the last by default."""
    count = run.rows("maps")
    if not -count <= row < count:
        raise RecordError(f"{run.path} holds {count} maps; there is no map {row}")
    at = slice(row % count, row % count + 1)
    v_read = float(run.column("maps", "v_read", at)[0])
    title = _title(run.identity, run.origin)
    draw_maps(run.column("maps", "current", at)[0] / v_read, v_read, title, path)


def draw_maps(
    g: NDArray[np.floating], v_read: float, title: str, path: str | os.PathLike[str]
) -> None:
    """Draw conductances g (tiles, rows, cols) in S, read at v_read volts; NaN stays blank."""
    across = min(4, len(g))
    down = -(-len(g) // across)
    figure = _figure(title, 3 * across + 1, 3 * down + 0.8)
    axes = figure.subplots(down, across, squeeze=False)
    low, high = (np.nanmin(g), np.nanmax(g)) if np.isfinite(g).any() else (0.0, 1.0)
    for tile, panel in enumerate(axes.flat):
        if tile >= len(g):
            panel.set_axis_off()
            continue
        image = panel.imshow(
            1e6 * g[tile], vmin=1e6 * low, vmax=1e6 * high, cmap="viridis", interpolation="nearest"
        )
        panel.set(title=f"tile {tile}", xlabel="column", ylabel="row")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(f"conductance at {v_read:.3g} V (\N{MICRO SIGN}S)")
    figure.savefig(path)


def _title(identity: str, origin: str) -> str:
    return f"{identity} ({origin})"


def _figure(title: str, width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize="medium")
    return figure
