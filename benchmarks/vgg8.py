"""VGG-8 on CIFAR-10, one budget for all modes: FP32, quantisation-aware, mixed precision.

    python benchmarks/vgg8.py

The mixed-precision run is on the simulated hardware of PAPER 4's table 1. Run files that are there
already are not trained again, and those of an interrupted call are resumed; so a long study can be
cut into pieces.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cimlab import records
from cimlab.cli import training
from cimlab.training.hardware import load_hardware

BUDGET = {"epochs": 3, "batches": 500, "batch_size": 32, "seed": 0}
SAME: dict[str, Any] = {"network": "vgg8", "schedule": "onecycle"}
"""Of all modes."""
ROUNDED: dict[str, Any] = {"rate": 10.0, "headroom": 1.0}
"""Of modes whose weights have a range: about as fast as FP32's."""
ON_CHIP: dict[str, Any] = {"threshold": 0.2}
"""Three levels: few batches leave no room for the paper's hundred writes a weight."""
RUNS = Path("runs/vgg8")


def trained(mode: str, budget: dict[str, int] = BUDGET) -> Path:
    """The file of a run, finished: trained from where it is."""
    file = RUNS / f"{mode}-{'-'.join(map(str, budget.values()))}.h5"
    if file.exists():
        with records.load(file) as run:
            done = run.status == "finished"
        if not done:
            training.resume_run(file, None)
        return file
    hardware = load_hardware("table1")
    own = {} if mode == "fp32" else ROUNDED | hardware.recipe
    if mode == "mixed":
        own |= ON_CHIP
    plan = training.recipe(SAME | own | budget | {"mode": mode})
    training.start_run(plan, hardware.station(training.tiles(plan, hardware)), file)
    return file


def figures(file: Path) -> dict[str, Any]:
    """What a run came to."""
    with records.load(file) as run:
        weights = run.weights
        steps = run.rows("steps")
        updates = int(run.column("steps", "weight_updates").sum())
        return {
            "accuracy": float(run.column("epochs", "accuracy")[-1]),
            "steps": steps,
            "seconds": float(run.column("epochs", "seconds").sum()),
            "updates_per_weight": updates / weights.layer.size if weights else None,
            "updates_share": updates / (weights.layer.size * steps) if weights else None,
        }


def main() -> None:
    """Train what is missing, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in BUDGET.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    budget = {name: getattr(parser.parse_args(), name) for name in BUDGET}
    found = {mode: figures(trained(mode, budget)) for mode in ("fp32", "qat", "mixed")}
    source = training.LOADERS["cifar10"]().source
    lost = 100 * (found["fp32"]["accuracy"] - found["mixed"]["accuracy"])
    print(json.dumps({"data": source, "budget": budget, "lost_pp": lost, "modes": found}))


if __name__ == "__main__":
    main()
