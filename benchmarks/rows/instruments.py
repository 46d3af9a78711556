"""Rows on other people's drivers, tests and simulators (issue 3)."""

from rows.row import Figures, Row, said


def _counts(f: Figures) -> str:
    files = f["files"]
    each = "; ".join(f"{name} {c['passed']}" for name, c in files.items() if c["passed"] > 1)
    scripts = sum(c["passed"] for c in files.values() if c["passed"] == 1)
    failed = f["failed"] + f["error"] + f["skipped"]
    expected = f["xfailed"] + f["xpassed"]
    return (
        f"**{f['passed']} passed, {failed} failed**: PyMeasure {each}; {scripts} of Keithley's "
        f"scripts; PyMeasure expects {expected} more to fail, of which {f['xpassed']} pass"
    )


ROWS: dict[str, Row] = {
    "foreign-drivers": Row(
        "drivers of PyMeasure and QCoDeS, unmodified, on the emulators of every family that they "
        "have: typical sessions without an error, resistor read within 0.5 %",
        "all pass",
        "-",
        "pytest -q tests/mock_hw/instruments -k foreign",
        said,
    ),
    "foreign-tests": Row(
        "PyMeasure's own device tests for 2400, 4200A, 81160A and 33500B, and Keithley's own "
        "scripts for the 4200A, unmodified, on the emulators (see benchmarks/foreign.py)",
        "-",
        "pass whole",
        "python benchmarks/foreign.py --pymeasure build/pymeasure --keithley build/keithley",
        _counts,
    ),
    "foreign-simulators": Row(
        "our drivers on the simulation files that QCoDeS ships: every message that a file knows "
        "is accepted; the B2200A's whole session",
        "pass where a file exists",
        "-",
        "pytest -q tests/drivers/instruments/test_foreign_simulators.py",
        said,
    ),
    "adversity": Row(
        "wrong instrument, error in mid-run, silence, garbled answers, power cycle: one clear "
        "error each from every source, and the output is told to go off",
        "one clear error each",
        "-",
        "pytest -q tests/drivers/instruments/test_adversity.py",
        said,
    ),
}
