"""Networks of one recipe and budget, trained three ways, written to other chips.

    python benchmarks/transfer.py lenet --sigma 0.5
    python benchmarks/transfer.py vgg8 --sigma 0.5 --chips 5 --seeds 2 --images 2000

Trains FP32, quantisation-aware and mixed precision where the run files are not there yet (LeNet by
the tuned recipe with steps of two levels; VGG-8 as `benchmarks/vgg8.py` does, by the same files),
then runs `cimlab transfer` on them and prints its object.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import vgg8

from cimlab.cli import training

LENET: dict[str, Any] = {"epochs": 13, "threshold": 0.15}


def lenet(mode: str) -> Path:
    """A trained LeNet on the simulated b-RRAM."""
    file = Path(f"runs/transfer/lenet-{mode}.h5")
    if not file.exists():
        plan = training.recipe(LENET | {"mode": mode}, "tuned")
        training.start_run(plan, "model:", file)
    return file


def main() -> None:
    """Train what is missing, and transfer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=("lenet", "vgg8"))
    parser.add_argument("--sigma", default="0,0.25,0.5")
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=10_000)
    given = parser.parse_args()
    made = lenet if given.network == "lenet" else vgg8.trained
    runs = [str(made(mode)) for mode in ("fp32", "qat", "mixed")]
    options = {name: str(getattr(given, name)) for name in ("sigma", "chips", "seeds", "images")}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "cimlab", "transfer", *runs, *words, "--json"]
    figure = f"docs/images/transfer-{given.network}.png"
    subprocess.run([*command, "--out", figure], check=True)


if __name__ == "__main__":
    main()
