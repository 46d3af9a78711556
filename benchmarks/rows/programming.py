"""Rows of the programming policies: the same cells, the same band, every policy."""

from __future__ import annotations

from rows.row import Figures, Row


def _compared(f: Figures) -> str:
    found = f["policies"]
    ispp, best = found["ispp"], found["predicted"]
    said = ", ".join(f"{name} {one['pulses']:.2f}" for name, one in found.items())
    return (
        f"predicted pulses take **{100 * best['pulses'] / ispp['pulses']:.0f} %** of ISPP's "
        f"({best['pulses']:.2f} against {ispp['pulses']:.2f} a cell; in band "
        f"{best['converged']:.2%} and {ispp['converged']:.2%}; {best['transactions']} and "
        f"{ispp['transactions']} calls; energy {best['energy_J'] / ispp['energy_J']:.0%}); "
        f"pulses a cell: {said}; device fitted to sweeps of 32 cells ({f['model']}), "
        f"{f['cells']:,} cells rewritten to {f['levels']} levels"
    )


def _row(device: str, options: str) -> Row:
    return Row(
        f"every programming policy on the same {device} cells, band +-0.1 uA",
        "model-predicted pulses: fewer a cell than ISPP",
        "half",
        f'cimlab compare-programming --station "model:?tiles=1&device={device}" {options} --json',
        _compared,
    )


ROWS: dict[str, Row] = {
    "programming-brram": _row("brram", "--model brram"),
    "programming-table1": _row("brram:table1", "--model brram"),
    "programming-pcm": _row("pcm", "--model pcm"),
    # one step of these covers little of the way, whatever the amplitude: long ramps
    "programming-softbounds": _row("softbounds:array-hfo2", "--model softbounds --v-step 0.01"),
    "programming-exponential": _row("exponential", "--model exponential --v-step 0.01"),
}
