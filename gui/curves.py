"""Curves above each other over one axis, drawn cheaply however often they grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT = 80
"""Pixels that a plot takes at least."""


class Curves:
    """Plots with a common axis, in rows of a view that may hold others.

    Args:
        view: A pyqtgraph GraphicsLayoutWidget.
        row: Of the first plot.
        titles: What each shows.
        bottom: What the common axis counts.
        zoomed: Called when the person changes a range.

    Attributes:
        plots: From above.
        shown: How many of them are visible, from above.
    """

    def __init__(
        self,
        view: Any,
        row: int,
        titles: Sequence[str],
        bottom: str,
        zoomed: Callable[[], None],
    ) -> None:
        self._bottom = bottom
        self.plots = [self._plot(view, row + k, title) for k, title in enumerate(titles)]
        for plot in self.plots:
            plot.getViewBox().sigRangeChangedManually.connect(lambda *_: zoomed())
        self.shown = len(titles)

    def show(self, count: int) -> None:
        """Show the first so many plots; the last of them has the numbers of the axis."""
        if count == self.shown:
            return
        self.shown = count
        for row, plot in enumerate(self.plots):
            lowest = row == count - 1
            plot.setVisible(row < count)
            # a hidden plot has no place on the screen to align others with
            plot.setXLink(self.plots[0] if 0 < row < count else None)
            plot.getAxis("bottom").setStyle(showValues=lowest)
            plot.getAxis("bottom").setLabel(self._bottom if lowest else None)
            plot.getAxis("bottom").showLabel(lowest)

    def fit(self) -> None:
        """Choose ranges that hold all that is drawn, where the present ones do not do."""
        # the axis is one for all: what one plot lacks must not narrow another
        _fit(self.plots[0].viewRange()[0], self.plots[0].setXRange, _values(self.plots, 0))
        for plot in self.plots:
            _fit(plot.viewRange()[1], plot.setYRange, _values([plot], 1))

    @staticmethod
    def _plot(view: Any, row: int, title: str) -> Any:
        plot = view.addPlot(row=row, col=0, enableMenu=False)
        plot.setTitle(title, size="9pt")
        plot.layout.setRowFixedHeight(0, 16)
        plot.getAxis("left").setWidth(48)
        plot.getAxis("left").setTickDensity(0.3)
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        # ranges are set in steps by fit: an axis that is drawn anew for every batch, and a grid
        # of half-transparent lines, cost more than the map
        plot.disableAutoRange()
        plot.hideButtons()
        return plot


def _values(plots: Sequence[Any], axis: int) -> NDArray[np.float64]:
    """Everything drawn in these plots, along x (0) or y (1)."""
    drawn = [item.getOriginalDataset()[axis] for p in plots for item in p.listDataItems()]
    return np.concatenate([np.empty(0), *(values for values in drawn if values is not None)])


def _fit(now: Sequence[float], set_range: Any, values: NDArray[np.float64]) -> None:
    wanted = better_range(values, now)
    if wanted is not None:
        set_range(*wanted, padding=0)


def better_range(values: NDArray[np.float64], now: Sequence[float]) -> tuple[float, float] | None:
    """A range for these values with room to grow; None while the present one will do."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    span = max(high - low, 1e-3 * abs(high)) or 1.0
    if now[0] <= low and high <= now[1] and span > 0.5 * (now[1] - now[0]):
        return None
    return low - 0.05 * span, high + 0.2 * span
