"""Choosing a run's pages, and writing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cimlab.core.errors import RecordError
from cimlab.records import RunReader, figures

from . import cells, sweeps
from .page import footer, sign

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pages = list[tuple[str, "Figure"]]

SWEEP_PAGES: dict[str, Callable[[RunReader], Pages]] = {
    "iv": sweeps.iv,
    "pulses": sweeps.pulses,
    "forming": sweeps.forming,
    "retention": sweeps.retention,
    "endurance": sweeps.endurance,
    "noise": sweeps.noise,
    "disturb": sweeps.disturb,
    "map": cells.device_map,
    "screen": cells.screen,
}


def pages(run: RunReader) -> Pages:
    """The pages of a run, each with a name for its file; RecordError if there are none."""
    kind, _, sweep = run.kind.partition(":")
    drawn: Pages = []
    if kind == "sweep" and run.rows("points"):
        drawn += SWEEP_PAGES[sweep](run)
    if run.rows("epochs"):
        drawn.append(("curves", _footed(run, figures.curves(run))))
    if run.rows("maps"):
        drawn.append(("maps", _footed(run, figures.maps(run))))
    if not drawn:
        raise RecordError(f"{run.path} holds nothing to draw yet")
    return drawn


def write(run: RunReader, target: Path) -> list[Path]:
    """Write every page as PNG and all of them as one PDF; returns the files.

    Args:
        run: What to report.
        target: A folder, or the name of the PDF (``.pdf``); the PNG files stand beside it.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    single = target.suffix.lower() == ".pdf"
    folder, stem = (target.parent, target.stem) if single else (target, Path(run.path).stem)
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / f"{stem}.pdf"]
    facts = {"Title": f"{run.kind}, {Path(run.path).name}", "Subject": footer(run)}
    drawn = pages(run)
    with PdfPages(made[0], metadata=facts) as pdf:
        for name, figure in drawn:
            pdf.savefig(figure)
            made.append(folder / f"{stem}-{name}.png")
            figure.set_layout_engine("none")  # laid out once is enough
            figure.savefig(made[-1])
    return made


def _footed(run: RunReader, figure: Figure) -> Figure:
    sign(run, figure)
    return figure
