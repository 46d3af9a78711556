"""LeNet by two processes (torchrun) against one, at the same global batch: loss curve and time.

python benchmarks/team.py
python benchmarks/team.py --mode mixed      # a chip each, so the curves are alike, not the same
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab import records

LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def trained(launcher: list[str], options: list[str], file: Path) -> dict[str, Any]:
    """`cimlab train` with these options; its object."""
    command = [sys.executable, *launcher, "-m", "cimlab", "train", *options]
    done = subprocess.run(
        [*command, "--json", "--out", str(file)], stdout=subprocess.PIPE, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def losses(file: Path) -> NDArray[np.float64]:
    """Of every batch."""
    with records.load(file) as run:
        return np.asarray(run.column("steps", "loss"), np.float64)


def main() -> None:
    """Train both ways and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--mode", default="fp32")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--batches", default="200")
    parser.add_argument("--batch-size", default="512")
    parser.add_argument("--station", default="model:")
    given = vars(parser.parse_args())
    network = given.pop("network")
    options = [word for k, v in given.items() for word in (f"--{k.replace('_', '-')}", v)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{n}.h5") for n in (1, 2)]
        one = trained([], [network, *options], files[0])
        two = trained(LAUNCHER, [network, *options], files[1])
        curves = [losses(file) for file in files]
    seconds = [sum(epoch["seconds"] for epoch in run["epochs"]) for run in (one, two)]
    result = {
        "network": network,
        **given,
        "steps": len(curves[0]),
        "loss_differs_most": float(np.abs(curves[1] / curves[0] - 1).max()),
        "loss_differs_first_100": float(np.abs(curves[1] / curves[0] - 1)[:100].max()),
        "loss_last": [float(curve[-1]) for curve in curves],
        "accuracy": [one["test_accuracy"], two["test_accuracy"]],
        "seconds": seconds,
        "ratio": seconds[0] / seconds[1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
