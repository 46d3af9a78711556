"""The cost table: what networks need on crossbars, beside the paper's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cimlab.records.units import quantity

from . import published
from .material import Material, network
from .programmed import signature
from .style import DOUBLE, PAPER, blank, printed, told

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.table import Table

    from cimlab.nn.cost import Cost

COLUMNS = (
    *("network", "", "devices", "crossbars", "operations", "of single\ntiles", "FLOPs"),
    *("latency", "pipelined", "with copies", "energy"),
)


def cost_table(found: Material, count: Callable[[str], Cost]) -> Figure | str:
    """A row counted here and a row of the paper for each network that was trained.

    Args:
        found: The trainings.
        count: Counts a network by its name.
    """
    trained = {network(run) for run in found.trainings}
    names = [name for name in published.COSTS if name in trained]
    if not names:
        return "no training of a network that the paper has"
    rows: list[list[str]] = []
    for name in names:
        rows += [[name, "here", *counted(count(name))], ["", "paper", *published.COSTS[name]]]
    with printed():
        figure = blank(DOUBLE, 0.6 + 0.2 * (len(rows) + 1))
        axes = figure.subplots()
        axes.set_axis_off()
        table = axes.table(
            rows, colLabels=list(COLUMNS), loc="center", cellLoc="right", edges="horizontal"
        )
        _set(table, len(rows))
        words = "counted from the networks' mapping, for one image; nothing was measured"
        told(figure, signature([], words, DOUBLE))
    return figure


def counted(cost: Cost) -> published.Costs:
    """A row as the paper has it, in its units."""
    return published.Costs(
        f"{cost.devices:,}",
        f"{cost.tiles:,}",
        f"{cost.operations:,}",
        f"{cost.tile_operations:,}",
        f"{cost.flops:,}" if cost.flops < 1e6 else quantity(cost.flops, ""),
        f"{1e3 * cost.seconds:.3g} ms",
        f"{1e3 * cost.seconds_pipelined:.3g} ms",
        f"{1e3 * cost.seconds_copied:.3g} ms",
        f"{1e6 * cost.joules:.3g} \N{MICRO SIGN}J",
    )


def _set(table: Table, rows: int) -> None:
    table.auto_set_font_size(False)
    table.set_fontsize(6.5)
    table.auto_set_column_width(list(range(len(COLUMNS))))
    for (row, column), cell in table.get_celld().items():
        cell.set(linewidth=0.5, edgecolor="0.8")
        cell.set_height((1.6 if row == 0 else 1.0) / (rows + 1.6))
        text = cell.get_text()
        if row and row % 2 == 0:
            text.set_color(PAPER)
        if row == 0 or column == 0:
            text.set_fontweight("bold")
