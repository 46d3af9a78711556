"""Networks of one recipe and budget, trained three ways, written to other chips.

    python benchmarks/transfer.py lenet --sigma 0.5,4 --models 2 --seeds 5
    python benchmarks/transfer.py vgg8 --sigma 0.5 --chips 5 --seeds 2 --images 2000

Trains FP32, quantisation-aware and mixed precision where the run files are not there yet, or are of
another recipe (VGG-8 as `benchmarks/vgg8.py` does, by the same files), then runs `cimlab
transfer` on them and prints its object. Stopped, the same command goes on: finished trainings and
writings are kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import vgg8

from cimlab import records
from cimlab.cli import training
from cimlab.training.recipe import Recipe

MODES = ("fp32", "qat", "mixed")
FOLDER = Path("runs/transfer")
SAME: dict[str, Any] = {"epochs": 13}
ON_CHIP: dict[str, Any] = {"threshold": 0.1, "remainder": "keep", "stagger": True}
"""LeNet's changes to the tuned recipe: all modes', and mixed precision's."""


def lenet(mode: str, seed: int = 0) -> Path:
    """A trained LeNet on the simulated b-RRAM."""
    file = FOLDER / f"lenet-{mode}-{seed}.h5"
    own = ON_CHIP if mode == "mixed" else {}
    plan = training.recipe(SAME | own | {"mode": mode, "seed": seed}, "tuned")
    if not finished(file, plan):
        file.unlink(missing_ok=True)
        training.start_run(plan, f"model:?seed={seed}", file)
    return file


def finished(file: Path, plan: Recipe) -> bool:
    """Whether a whole training by that plan is in the file."""
    if not file.exists():
        return False
    with records.load(file) as run:
        return run.status == "finished" and dict(run.plan) == plan.model_dump(mode="json")


def main() -> None:
    """Train what is missing, and transfer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=("lenet", "vgg8"))
    parser.add_argument("--sigma", default="0,0.25,0.5")
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10, help="writings of a chip")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=1, help="LeNets of each mode")
    given = parser.parse_args()
    if given.network == "lenet":
        runs = [lenet(mode, seed) for mode in MODES for seed in range(given.models)]
    else:
        runs = [vgg8.trained(mode) for mode in MODES]
    options = {name: str(getattr(given, name)) for name in ("sigma", "chips", "seeds", "images")}
    options["study"] = str(FOLDER / f"{given.network}.jsonl")
    options["out"] = f"docs/images/transfer-{given.network}.png"
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "cimlab", "transfer", *map(str, runs), *words, "--json"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
