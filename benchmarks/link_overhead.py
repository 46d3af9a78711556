"""Training over TCP against the same training on `model:`: time, and whether the bits agree.

    python benchmarks/link_overhead.py --pairs 5

Runs alternate (model, mock, model, mock, ...), so that a machine whose speed drifts slows both;
the figure is the median of the pairs' ratios of training seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np


def train(station: str, out: Path, options: list[str]) -> dict[str, object]:
    """One short training; its JSON."""
    command = ["train", "lenet", "--json", "--station", station, "--out", str(out), *options]
    done = subprocess.run(
        [sys.executable, "-m", "cimlab", *command], stdout=subprocess.PIPE, check=True
    )
    result: dict[str, object] = json.loads(done.stdout)
    return result


def same_bits(a: Path, b: Path) -> bool:
    """Whether two run files hold the same conductance maps, pulse counts and accuracies."""
    with h5py.File(a, swmr=True) as one, h5py.File(b, swmr=True) as two:
        names = ["maps/current", "maps/pulses", "epochs/accuracy", "epochs/loss"]
        return all(np.array_equal(one[name][()], two[name][()], equal_nan=True) for name in names)


def seconds(run: dict[str, object]) -> float:
    """Training time without start-up, s."""
    return sum(epoch["seconds"] for epoch in run["epochs"])  # type: ignore[attr-defined, misc]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("options", nargs="*", help="after --: options of `cimlab train lenet`")
    given = parser.parse_args()
    options = given.options or ["--epochs", "1"]
    ratios, bits, times = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(given.pairs):
            files = [Path(folder) / f"{name}{pair}.h5" for name in ("model", "mock")]
            runs = [
                train(station, file, options)
                for station, file in zip(("model:", "mock:"), files, strict=True)
            ]
            times.append([seconds(run) for run in runs])
            ratios.append(times[-1][1] / times[-1][0])
            bits.append(same_bits(*files) and runs[0]["test_accuracy"] == runs[1]["test_accuracy"])
            print(f"pair {pair}: {times[-1]} ratio {ratios[-1]:.2f}", file=sys.stderr)
    summary = {
        "ratio_median": statistics.median(ratios),
        "ratios": ratios,
        "seconds_model_mock": times,
        "bit_identical": all(bits),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
