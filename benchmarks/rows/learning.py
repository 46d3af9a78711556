"""Rows of somebody new: from the README to results, and a release."""

from __future__ import annotations

from rows.row import Figures, Row


def _newcomer(f: Figures) -> str:
    return (
        f"`make demo` in a fresh clone, its environment made on the way: {f['demo_s'] / 60:.1f} "
        f"min, {100 * f['accuracy']:.2f} %; the README's bench, sweep and report "
        f"{f['sweep_s']:.0f} s{'' if f['drawn'] else ', NOTHING DRAWN'}; CONTRIBUTING's driver "
        f"{f['driver_lines']} lines with its test, its device model {f['device_lines']} "
        "(run as they stand by tests/docs). Reading and typing not counted"
    )


ROWS: dict[str, Row] = {
    "newcomer": Row(
        "README and CONTRIBUTING followed in a fresh clone",
        "network trained in 10 min, a sweep in 5 more; driver and device model under 60 lines each",
        "-",
        "python benchmarks/newcomer.py",
        _newcomer,
    ),
}
