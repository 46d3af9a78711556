"""Figures of a run: training curves and conductance maps.

matplotlib is used without pyplot: no global state, no display.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import RecordError

from .reader import RunReader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class TileScale:
    """What the colours of a map mean.

    Attributes:
        label: Of the colour bar, with its unit.
        colours: Of the classes 0, 1, ... where values are classes; none for a continuous scale.
        names: Of the classes.
    """

    label: str
    colours: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def curves(run: RunReader) -> Figure:
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
    return figure


def maps(run: RunReader, row: int = -1) -> Figure:
    """Draw every tile's conductances of one snapshot, the last by default."""
    count = run.rows("maps")
    if not -count <= row < count:
        raise RecordError(f"{run.path} holds {count} maps; there is no map {row}")
    at = slice(row % count, row % count + 1)
    v_read = float(run.column("maps", "v_read", at)[0])
    title = _title(run.identity, run.origin)
    return draw_maps(run.column("maps", "current", at)[0] / v_read, v_read, title)


def draw_maps(g: NDArray[np.floating], v_read: float, title: str) -> Figure:
    """Draw conductances g (tiles, rows, cols) in S, read at v_read volts; NaN stays blank."""
    across = min(4, len(g))
    figure = _figure(title, max(5.0, 3 * across + 1), 3 * -(-len(g) // across) + 0.8)
    draw_tiles(figure, 1e6 * g, TileScale(f"conductance at {v_read:.3g} V (\N{MICRO SIGN}S)"))
    return figure


def draw_tiles(figure: Figure, values: NDArray[np.floating], scale: TileScale) -> None:
    """Draw values (tiles, rows, cols) with one scale of colours for all; NaN stays blank."""
    from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

    across = min(4, len(values))
    panels = figure.subplots(-(-len(values) // across), across, squeeze=False)
    known = values[np.isfinite(values)]
    if scale.colours:
        colours = ListedColormap(list(scale.colours))
        norm: Normalize = BoundaryNorm(np.arange(len(scale.colours) + 1) - 0.5, colours.N)
    else:
        colours = None
        norm = Normalize(*((known.min(), known.max()) if known.size else (0.0, 1.0)))
    for tile, panel in enumerate(panels.flat):
        if tile >= len(values):
            panel.set_axis_off()
            continue
        image = panel.imshow(values[tile], norm=norm, cmap=colours, interpolation="nearest")
        panel.set(title=f"tile {tile}", xlabel="column", ylabel="row")
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_locator().set_params(integer=True)
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label(scale.label)
    if scale.colours:
        bar.set_ticks(range(len(scale.names)), labels=scale.names)


def _title(identity: str, origin: str) -> str:
    return f"{identity} ({origin})"


def _figure(title: str, width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize="medium")
    return figure
