"""The figure of `cimlab compare-programming`: what each policy takes, and what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Mask
from cimlab.records.units import quantity

from .page import scale
from .style import BLUE, DOUBLE, ORANGE, SERIES, blank, letter, printed, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Counted(Protocol):
    """Of a policy: what each cell took, (n,), and whether it arrived, (n,)."""

    @property
    def pulses(self) -> NDArray[np.int64]:
        """Pulses."""
        ...

    @property
    def converged(self) -> Mask:
        """True where the cell ended inside the band."""
        ...


HOUR = 3600.0
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Of the logarithmic axis of pulses."""
Figures = Mapping[str, Mapping[str, Any]]
"""Summaries of `protocols.comparison.Outcome`, by policy."""


def draw(found: Figures, outcomes: Mapping[str, Counted], words: str, rest: float) -> Figure:
    """Four panels.

    Args:
        found: Figures, by policy.
        outcomes: The same cell by cell.
        words: Whose data these are.
        rest: Time after which errors were read again, s.
    """
    with printed():
        figure = blank(DOUBLE, 4.4)
        (shares, pulses), (errors, energy) = figure.subplots(2, 2)
        _shares(shares, outcomes)
        _bars(
            pulses,
            [f["pulses"] for f in found.values()],
            [f["pulses_error"] for f in found.values()],
        )
        pulses.set_xlabel("pulses a cell, mean and its standard error")
        _errors(errors, found, rest)
        joules = np.array([f["energy_J"] for f in found.values()])
        factor, unit = scale(joules, "J")
        _bars(energy, list(factor * joules))
        energy.set_xlabel(f"energy of the pulses a cell, estimated ({unit})")
        for axes in (pulses, errors, energy):
            _names(axes, list(found))
        figure.legend(*shares.get_legend_handles_labels(), loc="outside upper center", ncols=7)
        letter([shares, pulses, errors, energy])
        told(figure, words)
    return figure


def _shares(axes: Axes, outcomes: Mapping[str, Counted]) -> None:
    """Cells inside the band over the pulses that they took."""
    for k, (name, outcome) in enumerate(outcomes.items()):
        counts = np.sort(outcome.pulses[outcome.converged])
        x = np.arange(int(counts.max(initial=1)) + 2)
        axes.step(
            x,
            100 * np.searchsorted(counts, x, side="right") / outcome.pulses.size,
            where="post",
            color=SERIES[k % len(SERIES)],
            linestyle=("-", "--", ":")[k // len(SERIES)],
            label=name,
        )
    axes.set(xscale="symlog", xlabel="pulses", ylabel="cells inside the band (%)", ylim=(0, 102))
    axes.set_xlim(left=0)
    axes.set_xticks([x for x in TICKS if x <= axes.get_xlim()[1]])
    axes.xaxis.set_major_formatter("{x:g}")


def _bars(axes: Axes, values: list[float], spans: list[float] | None = None) -> None:
    """A bar a policy with its number."""
    rows = np.arange(len(values))
    axes.barh(rows, values, xerr=spans, color=BLUE, height=0.65, error_kw={"elinewidth": 0.8})
    ends = np.add(values, spans or 0.0)
    for row, value, end in zip(rows, values, ends, strict=True):
        axes.annotate(
            f"{value:.3g}",
            (end, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
        )
    axes.margins(x=0.15)


def _errors(axes: Axes, found: Figures, rest: float) -> None:
    """Errors at once and after the rest."""
    after = f"after {rest / HOUR:g} h" if rest >= HOUR else f"after {quantity(rest, 's')}"
    for key, name, marker, colour in (
        ("error_rms_A", "at once", "o", BLUE),
        ("rested_rms_A", after, "D", ORANGE),
    ):
        there = [(row, 1e6 * f[key]) for row, f in enumerate(found.values()) if key in f]
        if there:
            rows, values = zip(*there, strict=True)
            axes.plot(values, rows, marker, color=colour, label=name)
    axes.set(xlim=(0, None), xlabel="error, root mean square (\N{MICRO SIGN}A), read afresh")
    axes.legend()


def _names(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
