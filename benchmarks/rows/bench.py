"""Rows of the bench: instruments, characterisation, fit and twin."""

from __future__ import annotations

from rows.row import Figures, Row


def _devices(f: Figures) -> str:
    return "; ".join(
        f"{name} {found['samples_per_cpu_second']:,.0f} samples/s, {found['accuracy']:.2%}"
        for name, found in f["devices"].items()
    )


ROWS: dict[str, Row] = {
    "devices": Row(
        "LeNet on each device model, one epoch of the tuned recipe: speed (CPU time of one core) "
        "and accuracy",
        "every model trains at 1,000 samples/s or more",
        "-",
        "python benchmarks/devices.py",
        _devices,
    ),
}
