"""`cimlab figures`: run files as figures for print, beside the paper's numbers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cimlab.core.errors import ConfigError

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.nn.cost import Cost


class Columns(StrEnum):
    """Widths that journals have."""

    SINGLE = "single"
    DOUBLE = "double"


def figures(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run files of train, program and sweep noise; study files of transfer --study."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures.")] = Path(
        "figures"
    ),
    columns: Annotated[
        Columns, typer.Option(help="Width: 89 mm (single) or 183 mm (double).")
    ] = Columns.SINGLE,
    formats: Annotated[str, typer.Option(help="Some of pdf, svg, png.")] = "pdf,svg,png",
    json_: Json = False,
) -> None:
    """Draw figures for print; what the paper reports stands beside, labelled so."""
    from cimlab.report import style
    from cimlab.report.material import opened
    from cimlab.report.publish import publish

    endings = [f".{part.strip()}" for part in formats.split(",")]
    if unknown := [ending for ending in endings if ending not in style.FORMATS]:
        raise ConfigError(f"--formats: no {', '.join(unknown)}; there are pdf, svg and png")
    width = style.SINGLE if columns is Columns.SINGLE else style.DOUBLE
    with opened(runs) as found:
        made, skipped = publish(found, out, width, endings, _count)
    data = {
        "folder": str(out),
        "figures": {name: [str(file) for file in files] for name, files in made.items()},
        "skipped": skipped,
    }
    lines = [f"{name:18}{', '.join(map(str, files))}" for name, files in made.items()]
    lines += [f"{name:18}skipped: {why}" for name, why in skipped.items()]
    console.result(data, "\n".join(lines))


def _count(network: str) -> Cost:
    from .cost import counted

    return counted(network, None)
