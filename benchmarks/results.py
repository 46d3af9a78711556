"""Measure rows of docs/results.md, and write the page from what was measured.

    python benchmarks/results.py                  # every row; an hour and more
    python benchmarks/results.py demo faults-1    # some rows
    python benchmarks/results.py --render         # only write the page again
    python benchmarks/results.py --take FILE ROW  # a row measured elsewhere: in another clone

Each row is a command of this repository that prints one JSON object. What it printed is kept in
docs/results.json with date and commit; the page is written from that file and never by hand. The
rows themselves are in benchmarks/rows/, a module an area.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rows import bench, gui, instruments, learning, lenet, programming, reliability, scale, twin
from rows.row import Figures, Row

DOCS = Path(__file__).parent.parent / "docs"
STORE = DOCS / "results.json"
ROWS: dict[str, Row] = {
    **lenet.ROWS,
    **bench.ROWS,
    **instruments.ROWS,
    **gui.ROWS,
    **scale.ROWS,
    **reliability.ROWS,
    **twin.ROWS,
    **programming.ROWS,
    **learning.ROWS,
}

HEAD = """\
# Results

Measured, not typed: `python benchmarks/results.py ROW` runs a row's command and writes this page.
Everything here is **emulated** (the bulk-switching RRAM model with the paper's read noise, stuck
cells and converter mismatch, 8-bit converters); nothing is a measurement on silicon. Currents are
at 0.1 V. Trainings use real MNIST and 400 random batches of 64 an epoch; accuracies are of all
10,000 test images after the last epoch, unless a row says otherwise. The machine: {machine}. It
is shared and noisy: trust ratios more than seconds.

"""
RELIABILITY = """\
# Reliability

What is promised, and the test or the study behind it. Figures are measured, not typed:
`python benchmarks/results.py ROW` runs a row's command and writes this page. All of it on
**emulated** boards and instruments. The machine: {machine}, shared.

"""
TABLE = """\
| row | what | must | aim | measured | command | date, commit |
|---|---|---|---|---|---|---|
"""


def measure(row: Row) -> Figures:
    """Run a row's command; its object, with the seconds it took, the date and the commit."""
    words = shlex.split(row.command)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    start = time.perf_counter()
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True, env=environment, cwd=DOCS.parent
    )
    last = done.stdout.strip().splitlines()[-1]
    figures: Figures = json.loads(last) if last.startswith("{") else {"said": last}
    figures["elapsed"] = time.perf_counter() - start
    figures["date"] = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    figures["commit"] = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=DOCS.parent,
    ).stdout.strip()
    return figures


def render(store: dict[str, Figures]) -> None:
    """Write the pages."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    rest = {name: row for name, row in ROWS.items() if name not in reliability.ROWS}
    for page, head, rows in (
        ("results", HEAD, rest),
        ("reliability", RELIABILITY, reliability.ROWS),
    ):
        notes = (DOCS / f"{page}-notes.md").read_text(encoding="utf-8")
        lines = [
            head.format(machine=machine),
            TABLE,
            *(_line(n, r, store) for n, r in rows.items()),
        ]
        (DOCS / f"{page}.md").write_text("".join(lines) + notes, encoding="utf-8")


def _line(name: str, row: Row, store: dict[str, Figures]) -> str:
    figures = store.get(name)
    measured = row.figure(figures) if figures else "not measured yet"
    when = f"{figures['date']}, {figures['commit']}" if figures else "-"
    cells = (name, row.what, row.must, row.aim, measured, f"`{row.command}`", when)
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--take", type=Path, help="results.json to take the rows from")
    given = parser.parse_args()
    store = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    if given.take is not None:
        found = json.loads(given.take.read_text(encoding="utf-8"))
        store.update({name: found[name] for name in given.rows})
        STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
    for name in [] if given.render or given.take else given.rows or ROWS:
        print(f"{name}: {ROWS[name].command}", file=sys.stderr)
        store[name] = measure(ROWS[name])
        print(ROWS[name].figure(store[name]), file=sys.stderr)
        STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
    render(store)


if __name__ == "__main__":
    main()
