"""Measure rows of docs/results.md, and write the page from what was measured.

    python benchmarks/results.py                  # every row; an hour and more
    python benchmarks/results.py demo faults-1    # some rows
    python benchmarks/results.py --render         # only write the page again

Each row is a command of this repository that prints one JSON object. What it printed is kept in
docs/results.json with date and commit; the page is written from that file and never by hand.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
STORE, PAGE = DOCS / "results.json", DOCS / "results.md"
Figures = dict[str, Any]

HEAD = """\
# Results

Measured, not typed: `python benchmarks/results.py ROW` runs a row's command and writes this page.
Everything here is **emulated** (the bulk-switching RRAM model with the paper's read noise, stuck
cells and converter mismatch, 8-bit converters); nothing is a measurement on silicon. Currents are
at 0.1 V. Trainings use real MNIST and 400 random batches of 64 an epoch; accuracies are of all
10,000 test images after the last epoch, unless a row says otherwise. The machine: {machine}. It
is shared and noisy: trust ratios more than seconds.

| row | what | must | aim | measured | command | date, commit |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One line of the page.

    Attributes:
        what: What is shown.
        must, aim: What is asked for.
        command: What to run; its last line is a JSON object, or pytest's summary ("said").
        figure: The measured cell of the table, from that object (with "elapsed" seconds added).
    """

    what: str
    must: str
    aim: str
    command: str
    figure: Callable[[Figures], str]


def _seeds(f: Figures) -> str:
    accuracy, each = f["test_accuracy"]["mean"], f["test_accuracy"]["each"]
    text = (
        f"**{accuracy:.2%}** mean of {len(each)} seeds ({min(each):.2%} - {max(each):.2%}); "
        f"best epoch {f['test_accuracy_best']['mean']:.2%}, "
        f"2,560 images {f['test_accuracy_paper_2560']['mean']:.2%}"
    )
    if "updates_per_weight" in f:
        text += f"; **{f['updates_per_weight']['mean']:.2f}** updates a weight"
    return text


def _programming(f: Figures) -> str:
    lines = [f"read noise sigma {f['read_sigma_uA']:.4f} uA"]
    lines += [
        f"{r['plan']} ({r['place']}): {r['in_band']:.2%} within +-{r['tol_uA']:.2g} uA, "
        f"{r['pulses_per_cell']:.2f} pulses a cell, RMS {r['rms_uA']:.3f} uA, "
        f"error {r['error_mean_uA']:+.3f} +- {r['error_sigma_uA']:.3f} uA, "
        f"{r['rounds']} rounds, {r['transactions']} transactions"
        for r in f["rows"]
    ]
    return "<br>".join(lines)


def _faults(f: Figures) -> str:
    struck = ", ".join(f"{n} {what}" for what, n in sorted(f["struck"].items()))
    return (
        f"identical bit for bit: {f['identical']}; board's counters equal the host's ledger: "
        f"{f['counters_equal_ledger']} ({f['pulses']} pulses, {f['batches']} batches); "
        f"struck: {struck}; {f['retries']} repeats"
    )


def _said(f: Figures) -> str:
    return str(f["said"]).strip("= ")


SEEDS = "python benchmarks/lenet_seeds.py --seeds 0-4 --"
ROWS = {
    "demo": Row(
        "`make demo` without the install: LeNet, 3 epochs over the link, figures written",
        ">= 96.5 %, <= 120 s",
        "60 s",
        "cimlab demo --json",
        lambda f: f"**{f['test_accuracy']:.2%}** in **{f['elapsed']:.0f} s**",
    ),
    "paper": Row(
        "paper recipe, 13 epochs, paper noise, over TCP",
        "mean of seeds 0-4 >= 97.7 %, <= 10.8 updates a weight",
        "-",
        f"{SEEDS} --station mock:",
        _seeds,
    ),
    "tuned": Row(
        "the same budget with better policies (`--recipe tuned`), over TCP",
        "-",
        ">= 98.6 %, <= 3 updates a weight",
        f"{SEEDS} --station mock: --recipe tuned",
        _seeds,
    ),
    "tuned-fine": Row(
        "the same with finer steps: a threshold of 0.15 of the range instead of a third",
        "-",
        ">= 98.6 %",
        f"{SEEDS} --station mock: --recipe tuned --threshold 0.15",
        _seeds,
    ),
    "fp32": Row(
        "FP32 on the same net and batches", "-", "98.7 % (paper)", f"{SEEDS} --mode fp32", _seeds
    ),
    "fp32-cosine": Row(
        "FP32 with a cosine schedule", "-", "-", f"{SEEDS} --mode fp32 --schedule cosine", _seeds
    ),
    "naive": Row(
        "naive: every update written at once",
        "far below mixed",
        "77.8 % best epoch (paper)",
        "python benchmarks/lenet_seeds.py --seeds 0 -- --station mock: --mode naive --epochs 3",
        _seeds,
    ),
    "programming": Row(
        "write-verify of a 64x64 tile to 16 random levels; NeuRRAM needs 8.5 pulses a cell. "
        "The paper's error is +0.097 +- 0.286 uA, its read noise 0.155 uA",
        ">= 99 % in the band; host loop rounds + constant transactions",
        "fewer pulses, smaller error; on-board job a constant",
        "python benchmarks/programming.py --station 'mock:?tiles=1' --json",
        _programming,
    ),
    "link": Row(
        "same seed on `model:` and over TCP; training time over TCP against `model:`",
        "same bits; <= 1.5x",
        "1.2x",
        "python benchmarks/link_overhead.py --pairs 5",
        lambda f: (
            f"bit for bit: {f['bit_identical']}; **{f['ratio_median']:.2f}x** "
            f"({', '.join(f'{r:.2f}' for r in f['ratios'])})"
        ),
    ),
    "faults-1": Row(
        "1 % of frames dropped, 1 % corrupted, 1 % duplicated, each way",
        "same result bit for bit; counters equal",
        "5 %",
        "python benchmarks/faulty_link.py --rate 0.01 --epochs 3",
        _faults,
    ),
    "faults-5": Row(
        "5 % of each",
        "-",
        "same result bit for bit; counters equal",
        "python benchmarks/faulty_link.py --rate 0.05 --epochs 1",
        _faults,
    ),
    "limits": Row(
        "pulses beyond the limits: refused before a byte leaves, and by the board when forced past "
        "the host",
        "property test",
        "-",
        "pytest -q tests/core/test_guard.py tests/board/test_service.py "
        "-k 'limit or refused or beyond'",
        _said,
    ),
    "killed": Row(
        "board and host killed with SIGKILL in mid-epoch, board restarted with `--state`: a clear "
        "LinkError, and `--resume` finishes the run",
        "-",
        "-",
        "pytest -q -m 'slow or not slow' -k killed "
        "tests/cli/test_train.py tests/mock_hw/test_board.py",
        _said,
    ),
}


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


def render(store: dict[str, Figures]) -> str:
    """The page."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [HEAD.format(machine=store.get("machine", machine))]
    for name, row in ROWS.items():
        figures = store.get(name)
        measured = row.figure(figures) if figures else "not measured yet"
        when = f"{figures['date']}, {figures['commit']}" if figures else "-"
        lines.append(
            f"| {name} | {row.what} | {row.must} | {row.aim} | {measured} "
            f"| `{row.command}` | {when} |\n"
        )
    return "".join(lines) + (DOCS / "results-notes.md").read_text(encoding="utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    given = parser.parse_args()
    store = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    for name in [] if given.render else given.rows or ROWS:
        print(f"{name}: {ROWS[name].command}", file=sys.stderr)
        store[name] = measure(ROWS[name])
        print(ROWS[name].figure(store[name]), file=sys.stderr)
        STORE.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(store), encoding="utf-8")


if __name__ == "__main__":
    main()
