"""`cimlab report`: a run as PNG and PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console
from .options import Json


def report(
    file: Annotated[Path, typer.Argument(help="A run file; it may still be written.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder, or FILE.pdf [default: the run file's folder]."),
    ] = None,
    json_: Json = False,
) -> None:
    """Draw what a run holds, every page as PNG and all as one PDF."""
    from cimlab import records
    from cimlab.records.probing import probe
    from cimlab.report import write

    probe(file)
    with records.load(file) as run:
        made = [str(path) for path in write(run, out or file.parent)]
        data = {
            "run_file": str(file),
            "kind": run.kind,
            "status": run.status,
            "done": run.done,
            "summary": run.summary,
            "files": made,
        }
    console.result(data, "\n".join(made))
