"""Rows of the bench: instruments, characterisation, fit and twin."""

from __future__ import annotations

from rows.row import Figures, Row


def _devices(f: Figures) -> str:
    return "; ".join(
        f"{name} {found['samples_per_cpu_second']:,.0f} samples/s, {found['accuracy']:.2%}"
        for name, found in f["devices"].items()
    )


def _train(f: Figures) -> str:
    return "; ".join(
        f"{name} {found['sent']} lines up, {found['round_trips']} answers down"
        for name, found in f["train"].items()
    )


def _cells(f: Figures) -> str:
    n = f["cells"]
    return "; ".join(
        f"{what} {1e3 * f[key]['seconds'] / n:.1f} ms and {f[key]['round_trips'] / n:.1f} "
        "round trips a cell"
        for key, what in (("read", "read"), ("read_16", "16 averages"), ("pulse", "10 pulses"))
    )


ROWS: dict[str, Row] = {
    "bench-train": Row(
        "one cell, a train of 1,000 pulses, each read: messages of SMUs that pulse by themselves, "
        "and of the 4200A's PMU",
        "one upload and one read-back where the instrument has a buffer, not 1,000 round trips",
        "-",
        "python benchmarks/bench_messages.py",
        _train,
    ),
    "bench-cells": Row(
        "emulated 2450, 81160A and B2200A on an 8 x 8 crossbar: time of messages and emulation",
        "-",
        "-",
        "python benchmarks/bench_messages.py",
        _cells,
    ),
    "devices": Row(
        "LeNet on each device model, one epoch of the tuned recipe: speed (CPU time of one core) "
        "and accuracy",
        "every model trains at 1,000 samples/s or more",
        "-",
        "python benchmarks/devices.py",
        _devices,
    ),
}
