"""How figures for print look: sizes of columns, colours that everybody can tell apart, fonts.

Colours are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), told apart with every kind of colour
vision; hatches, markers and dashes say the same again for a copy in grey. Fonts are embedded as
TrueType in PDF (journals refuse Type 3) and drawn as outlines in SVG.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cimlab.core.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SINGLE, DOUBLE = 3.5, 7.2
"""Widths of one and of two columns, inches (89 and 183 mm)."""
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00"),
    *("#CC79A7", "#56B4E9", "#F0E442", "#000000"),
)
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
PAPER = "0.35"
"""What the paper reports: grey, and always with that word."""
FORMATS = (".pdf", ".svg", ".png")
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "legend.fontsize": 6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "out",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "errorbar.capsize": 2,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "savefig.dpi": 300,
}


@contextmanager
def printed() -> Iterator[None]:
    """Draw, and write, in the style of print."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def letter(panels: list[Axes]) -> None:
    """Letters a, b, ... at the panels' corners."""
    for k, axes in enumerate(panels):
        axes.set_title(f"{chr(ord('a') + k)}", loc="left", fontweight="bold", fontsize=8)


def told(figure: Figure, text: str) -> None:
    """Whose data these are, below the figure: origin first."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=5.5, color="0.35")


def check_format(file: Path) -> None:
    """ConfigError unless the name's ending is one that figures are written in."""
    if file.suffix not in FORMATS:
        raise ConfigError(f"{file}: a figure is written as {', '.join(FORMATS)}")
