"""PyMeasure's own device tests against the emulated instruments.

The wheel of PyMeasure leaves its tests out, so they are taken from a checkout, which nothing here
copies::

    git clone --depth 1 https://github.com/pymeasure/pymeasure
    python benchmarks/foreign.py --pymeasure pymeasure

The tests run unmodified, with the drivers of the same checkout. Prints one line a test file, then
all of it as one line of JSON. What PyMeasure itself marks as expected to fail is counted apart.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from cimlab.mock_hw.instruments import serve

TESTS = {
    "keithley2400": ("keithley/test_keithley2400_with_device.py", "pty", "resistor:1e3"),
    "keithley4200": ("keithley/test_keithley4200_with_device.py", "tcp", "open"),
    "keysight81160a": ("keysight/test_keysight81160A_with_device.py", "pty", "open"),
    "keysight33522b": ("agilent/test_agilent33500_with_device.py", "pty", "open"),
}
"""Test file of each emulator, how the tests reach it, and what hangs on its terminals. PyMeasure
names no terminators itself, and only serial lines have some by default; the tests of the 2400
expect that voltage is current times resistance, those of the 4200A that the terminals are open."""
KINDS = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def run(checkout: Path, name: str) -> dict[str, int]:
    """Counts of one test file by outcome."""
    path, transport, device = TESTS[name]
    with serve([name], device, transport) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", f"tests/instruments/{path}"),
                *("--device-address", server.resources[name]),
                *("-q", "-p", "no:cacheprovider", "-o", "addopts=", "--tb=line"),
            ],
            cwd=checkout,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(checkout)},
        )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()
    counts = {word.rstrip("s"): int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", last)}
    print(f"{name}: {last}")
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return {kind: counts.get(kind, 0) for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pymeasure", type=Path, required=True, help="checkout of PyMeasure")
    given = parser.parse_args()
    checkout = given.pymeasure.resolve()
    counts = {name: run(checkout, name) for name in TESTS}
    total = {kind: sum(c[kind] for c in counts.values()) for kind in KINDS}
    print(json.dumps(total | {"files": counts}))
    sys.exit(bool(total["failed"] or total["error"] or total["skipped"] or not total["passed"]))


if __name__ == "__main__":
    main()
