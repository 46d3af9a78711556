"""LeNets of one recipe and budget, trained three ways, written to other chips.

    python benchmarks/transfer_lenet.py --epochs 6 --images 2560

Trains FP32, quantisation-aware and mixed precision (on the simulated b-RRAM) where the run files
are not there yet, then runs `cimlab transfer` on them and prints its object.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from cimlab.cli import training


def main() -> None:
    """Train what is missing, and transfer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=13)
    parser.add_argument("--sigma", default="0,0.25,0.5")
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/transfer-lenet.png"))
    given = parser.parse_args()
    runs = []
    for mode in ("fp32", "qat", "mixed"):
        runs.append(given.runs / f"lenet-{mode}-{given.epochs}.h5")
        if not runs[-1].exists():
            plan = training.recipe({"mode": mode, "epochs": given.epochs}, "tuned")
            training.start_run(plan, "model:", runs[-1])
    options = {name: str(getattr(given, name)) for name in ("sigma", "chips", "seeds", "images")}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "cimlab", "transfer", *map(str, runs), *words, "--json"]
    subprocess.run([*command, "--out", str(given.out)], check=True)


if __name__ == "__main__":
    main()
