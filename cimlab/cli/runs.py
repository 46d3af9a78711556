"""`cimlab runs`: look at run files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.records import RunReader


def show(
    file: Annotated[Path, typer.Argument(help="A run file; it may still be written.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the figures [default: the file's own].")
    ] = None,
    json_: Json = False,
) -> None:
    """Summarise a run and draw what it holds: training curves and conductance maps, as PNG."""
    from cimlab import records

    with records.load(file) as run:
        figures = draw(run, out or file.parent)
        rows = {table: run.rows(table) for table in records.TABLES}
        accuracy = run.column("epochs", "accuracy").tolist()
        data = {
            "run_file": str(file),
            "kind": run.kind,
            "status": run.status,
            "identity": run.identity,
            "origin": run.origin,
            "vmm": run.vmm,
            "utc_start": run.utc_start,
            "sessions": run.sessions,
            "station": run.station,
            "plan": run.plan,
            "seeds": run.seeds,
            "rows": rows,
            "accuracy": accuracy,
            "figures": figures,
        }
        lines = [
            f"{file}: {run.kind} run of {run.utc_start}, {run.status}",
            f"array     {run.identity} ({run.origin}, {run.vmm} VMM)",
            "rows      " + ", ".join(f"{n} {table}" for table, n in rows.items() if n),
        ]
        if accuracy:
            lines.append("accuracy  " + " ".join(f"{100 * a:.2f}" for a in accuracy) + " %")
        lines += [f"figure    {path}" for path in figures]
    console.result(data, "\n".join(lines))


def draw(run: RunReader, folder: Path) -> list[str]:
    """Draw curves and the last maps, as far as the run has them; returns the files' names."""
    from cimlab.records import figures

    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(run.path).stem
    made = []
    if run.rows("epochs"):
        made.append(folder / f"{stem}-curves.png")
        figures.curves(run).savefig(made[-1])
    if run.rows("maps"):
        made.append(folder / f"{stem}-maps.png")
        figures.maps(run).savefig(made[-1])
    return [str(path) for path in made]
