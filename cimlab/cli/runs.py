"""`cimlab runs`: look at run files, check them, save what is left of damaged ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.records import RunReader
    from cimlab.records.checking import Finding


def show(
    file: Annotated[Path, typer.Argument(help="A run file; it may still be written.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the figures [default: the file's own].")
    ] = None,
    json_: Json = False,
) -> None:
    """Summarise a run and draw what it holds: training curves and conductance maps, as PNG."""
    from cimlab import records
    from cimlab.records.probing import probe

    probe(file)
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


TOLD = 10
"""Cells that an audit names."""


def check(
    file: Annotated[Path, typer.Argument(help="A run file; it may still be written.")],
    station: Annotated[
        str | None,
        typer.Option(help="Audit as well: the run's last count of pulses against the board's."),
    ] = None,
    json_: Json = False,
) -> None:
    """Check tables, units, times, counts and checkpoints; with --station each cell's pulses."""
    from dataclasses import asdict

    from cimlab.records import checking

    findings = checking.check(file)
    differ: list[dict[str, int]] = []
    if station is not None:
        finding, differ = _audit(file, station)
        findings.append(finding)
    bad = sum(not finding.good for finding in findings)
    lines = [f"{'ok ' if f.good else 'BAD'}  {f.what:12} {f.found}" for f in findings]
    lines += [
        f"     cell {d['cell']}: recorded {d['recorded']}, counted {d['counted']}"
        for d in differ[:TOLD]
    ]
    lines.append(f"{file} is whole" if not bad else f"{bad} of {len(findings)} checks failed")
    data = {
        "run_file": str(file),
        "whole": not bad,
        "findings": [asdict(finding) for finding in findings],
        "cells_that_differ": differ,
    }
    console.result(data, "\n".join(lines))
    if bad:
        raise typer.Exit(3)


def _audit(file: Path, station: str) -> tuple[Finding, list[dict[str, int]]]:
    """The pulses of each cell as the run has them last, against what the board has counted."""
    from cimlab import records
    from cimlab.core.errors import CapabilityError, RecordError
    from cimlab.records.checking import Finding
    from cimlab.rig import open_array

    with records.load(file) as run:
        if not run.rows("maps"):
            raise RecordError(f"{file} holds no map of pulses to audit")
        recorded = run.column("maps", "pulses", slice(-1, None))[0]
    with open_array(station) as array:
        if "counters" not in array.spec.capabilities:
            raise CapabilityError("this array does not count pulses (capability 'counters')")
        if array.spec.shape != recorded.shape:
            raise RecordError(f"{file} is of {recorded.shape} cells, this array {array.spec.shape}")
        counted = array.counters()
    where = (counted != recorded).ravel().nonzero()[0]
    differ = [
        {"cell": int(k), "recorded": int(recorded.flat[k]), "counted": int(counted.flat[k])}
        for k in where
    ]
    said = f"{len(differ)} of {recorded.size} cells were counted otherwise by the board"
    return Finding("audit", not differ, said), differ


def repair(
    file: Annotated[Path, typer.Argument(help="A damaged run file; it is only read.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make.")],
    json_: Json = False,
) -> None:
    """Copy all that can be read of a damaged run file into a fresh, closed one."""
    from cimlab.records import repair as saving

    report = saving.repair(file, out)
    kept = ", ".join(f"{n} {table}" for table, n in report["rows"].items() if n) or "nothing"
    lines = [f"kept       {kept}"]
    lines += [f"LOST       {n} rows of {table}" for table, n in report["lost"].items()]
    lines += [f"damaged    {what}" for what in report["damaged"]]
    console.result({"run_file": str(out), **report}, "\n".join([*lines, f"run file   {out}"]))


def list_(
    folder: Annotated[Path, typer.Argument(help="A folder with run files.")] = Path("runs"),
    json_: Json = False,
) -> None:
    """List the run files of a folder, the oldest first."""
    from cimlab import records
    from cimlab.core.errors import RecordError

    found, others = [], []
    for file in sorted(folder.glob("*.h5")):
        try:
            with records.load(file) as run:
                rows = {table: n for table in records.TABLES if (n := run.rows(table))}
                facts = {"kind": run.kind, "status": run.status, "utc_start": run.utc_start}
                found.append({"file": str(file), **facts, "identity": run.identity, "rows": rows})
        except RecordError as error:
            others.append({"file": str(file), "error": str(error)})
    found.sort(key=lambda each: str(each["utc_start"]))
    lines = [
        f"{str(r['utc_start'])[:19]}  {r['kind']:10} {r['status']:9} {r['file']}" for r in found
    ]
    lines += [f"{'unreadable':19}  {o['file']}: {o['error']}" for o in others]
    lines = lines or [f"no run files in {folder}"]
    inner = Counter(file.parent for file in folder.glob("*/*.h5"))
    lines += [f"{count} more in {place}" for place, count in sorted(inner.items())]
    data = {"runs": found, "unreadable": others, "folders": {str(p): n for p, n in inner.items()}}
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
