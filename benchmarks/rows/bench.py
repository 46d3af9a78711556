"""Rows of the bench: instruments, characterisation, fit and twin."""

from __future__ import annotations

from rows.row import Figures, Row, said


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


def _adapters(f: Figures) -> str:
    worst = {part: max(map(abs, f[part].values())) for part in ("smus", "pulsers")}
    return (
        f"{len(f['smus'])} SMU classes: 10 kΩ within {worst['smus']:.3%}; "
        f"{len(f['pulsers'])} pulser classes: conductance within {worst['pulsers']:.3%} "
        "of our own drivers'"
    )


def _traces(f: Figures) -> str:
    n, cpu = f["batches"], f["cpu_seconds"]
    same = "the same, bit for bit" if f["same_bits"] else "**differ**"
    return (
        f"losses {same}; {f['calls']} calls, {f['bytes'] / 1e6:.0f} MB for {n} batches; "
        f"CPU time of the host {cpu['plain']:.1f} s plain, "
        f"{cpu['recorded']:.1f} s recorded, {cpu['replayed']:.1f} s replayed"
    )


ROWS: dict[str, Row] = {
    "bench-adapters": Row(
        "PyMeasure's and QCoDeS' classes in the roles of a bench: resistor read, cell programmed "
        "in three bursts",
        "within 0.5 %",
        "-",
        "python benchmarks/adapters.py",
        _adapters,
    ),
    "bench-traces": Row(
        "LeNet's first batches on an emulated board, recorded as a link trace and replayed",
        "the same losses",
        "-",
        "python benchmarks/traces.py",
        _traces,
    ),
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
    "stopped": Row(
        "Ctrl-C, exception, SIGTERM in mid-sweep, for every procedure, on chips and benches; "
        "instruments that are still sweeping are aborted first",
        "outputs off, lines grounded, file readable, plan says how far it came",
        "every protocol, tested",
        "pytest -q -m 'slow or not slow' tests/test_measure.py tests/cli/test_sweep.py "
        "tests/drivers/bench/test_aborts.py tests/drivers/instruments/test_long_sweeps.py "
        "-k 'stop or interrupt or killed_sweep or dies or closed or fails or signal or exception "
        "or ctrl_c or by_its or ends_leaves'",
        said,
    ),
    "wrong": Row(
        "wrong wiring file, wrong instrument at an address, plan over the limits, instrument error "
        "in mid-run, timeout, garbled answers, power cycle",
        "one clear error each, before or without harm to the device",
        "-",
        "pytest -q tests/drivers/bench tests/drivers/instruments tests/cli/test_sweep.py "
        "tests/cli/test_bench.py tests/test_measure.py "
        "-k 'wrong or refused or beyond or error or adversity or touched or limits or address'",
        said,
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
