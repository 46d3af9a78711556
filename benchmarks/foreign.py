"""Other people's own tests and examples against the emulated instruments.

The wheel of PyMeasure leaves its device tests out, and Keithley's examples are no package, so both
are taken from checkouts, which nothing here copies::

    git clone --depth 1 https://github.com/pymeasure/pymeasure
    git clone --depth 1 https://github.com/tektronix/keithley
    python benchmarks/foreign.py --pymeasure pymeasure --keithley keithley

PyMeasure's tests run unmodified, with the drivers of the same checkout; what PyMeasure itself marks
as expected to fail is counted apart. Keithley's scripts for the 4200A under KXCI run unmodified
too: only the address that they name is led to the emulator, and plotly is replaced by a stand-in.
They count as passed when they end well and no message of theirs was refused. Prints one line a
file, then all of it as one line of JSON.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cimlab.mock_hw.instruments import Bench, BenchServer, dut, serve
from cimlab.mock_hw.instruments.keithley4200 import Keithley4200
from cimlab.mock_hw.instruments.server import Transport

TESTS: dict[str, tuple[str, Transport, str]] = {
    "keithley2400": ("keithley/test_keithley2400_with_device.py", "pty", "resistor:1e3"),
    "keithley4200": ("keithley/test_keithley4200_with_device.py", "tcp", "open"),
    "keysight81160a": ("keysight/test_keysight81160A_with_device.py", "pty", "open"),
    "keysight33522b": ("agilent/test_agilent33500_with_device.py", "pty", "open"),
}
"""Test file of each emulator, how the tests reach it, and what hangs on its terminals. PyMeasure
names no terminators itself, and only serial lines have some by default; the tests of the 2400
expect that voltage is current times resistance, those of the 4200A that the terminals are open."""
EXAMPLES = (
    "PMU/-35V to 35V",
    "PMU/1 chan pulse train",
    "PMU/1 chan sweep",
    "PMU/4 chan sync test",
    "PMU/4 chan sync test segarb",
    "PMU/pmu segarb b",
    "PMU/pmu segarb complete",
    "PMU/pulse IV segARB",
    "PMU/pulse vds-id with LLEC",
    "PMU/simple segarb pulse",
    "SMU/System Mode/Current sweep",
    "SMU/System Mode/Linear sweep",
    "SMU/System Mode/Log sweep",
    "SMU/User Mode/Source current and measure voltage",
    "SMU/User Mode/Source voltage and measure current",
)
"""Scripts that use what the emulated 4200A has: no VAR2, no voltage sources, no PGU."""
LEAD = """
import runpy, sys, unittest.mock
import pyvisa
for name in ("plotly", "plotly.express", "plotly.graph_objects", "plotly.subplots"):
    sys.modules[name] = unittest.mock.MagicMock()
opened = pyvisa.ResourceManager.open_resource
pyvisa.ResourceManager.open_resource = lambda self, name: opened(self, sys.argv[2])
runpy.run_path(sys.argv[1], run_name="__main__")
"""
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


def example(checkout: Path, name: str) -> dict[str, int]:
    """Whether one of Keithley's scripts ends well without a message that was refused."""
    folder = checkout / "Instrument_Examples"
    script = folder / "Model_4200A" / "KXCI_Examples" / f"{name}.py"
    bench = Bench(dut("resistor:1e3"))
    emulator = Keithley4200(bench)
    with (
        BenchServer(bench, {"4200": emulator}) as server,
        tempfile.TemporaryDirectory() as elsewhere,
    ):
        done = subprocess.run(
            [sys.executable, "-c", LEAD, str(script), server.resources["4200"]],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            env=os.environ
            | {"PYTHONPATH": str(folder / "General" / "Instrument_Communication_Resouces")},
        )
    refused = emulator.handle(b":ERROR:LAST:GET")
    passed = done.returncode == 0 and refused.startswith(b"No error")
    print(f"{name}: {'passed' if passed else 'failed'}")
    if not passed:
        print(done.stderr, refused, file=sys.stderr)
    return dict.fromkeys(KINDS, 0) | {"passed": int(passed), "failed": int(not passed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pymeasure", type=Path, help="checkout of PyMeasure")
    parser.add_argument("--keithley", type=Path, help="checkout of Keithley's examples")
    given = parser.parse_args()
    counts: dict[str, dict[str, int]] = {}
    if given.pymeasure:
        counts |= {name: run(given.pymeasure.resolve(), name) for name in TESTS}
    if given.keithley:
        counts |= {name: example(given.keithley.resolve(), name) for name in EXAMPLES}
    total = {kind: sum(c[kind] for c in counts.values()) for kind in KINDS}
    print(json.dumps(total | {"files": counts}))
    sys.exit(bool(total["failed"] or total["error"] or total["skipped"] or not total["passed"]))


if __name__ == "__main__":
    main()
