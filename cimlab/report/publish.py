"""Every figure that the given files allow, in every format; what they lack is said in a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import programmed, trained
from .costs import cost_table
from .material import Material
from .style import printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cimlab.nn.cost import Cost

FIGURES: dict[str, Callable[[Material, float], Figure | str]] = {
    "levels": programmed.levels,
    "programming-error": programmed.programming_error,
    "read-noise": programmed.read_noise,
    "accuracy": trained.accuracy,
    "updates": trained.updates,
    "transfer": trained.transfer,
}


def publish(
    found: Material,
    folder: Path,
    width: float,
    formats: Sequence[str],
    count: Callable[[str], Cost],
) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Draw and write.

    Args:
        found: What to draw.
        folder: Where to; made if it is not there.
        width: Of a figure, inches; the cost table needs two columns.
        formats: Endings, such as .pdf.
        count: Counts the cost of a network by its name.

    Returns:
        Files by figure, and why others were skipped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[Path]] = {}
    skipped: dict[str, str] = {}
    drawn = {name: draw(found, width) for name, draw in FIGURES.items()}
    drawn["cost"] = cost_table(found, count)
    for name, figure in drawn.items():
        if isinstance(figure, str):
            skipped[name] = figure
            continue
        with printed():
            for ending in formats:
                file = folder / f"{name}{ending}"
                figure.savefig(file)
                made.setdefault(name, []).append(file)
    return made, skipped
