"""VGG-8 on CIFAR-10, one budget for all modes: FP32, quantisation-aware, mixed precision.

    python benchmarks/vgg8.py

The mixed-precision runs are on the simulated hardware of PAPER 4's table 1: "mixed" is the paper's
scheme from the first batch on, "late" trains digitally for half of the batches and by that scheme
for the others (`cimlab.training.policies.late`). Run files that are there already are not trained
again, and those of an interrupted call are resumed; so a long study can be cut into pieces.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cimlab import records
from cimlab.cli import training
from cimlab.training.hardware import load_hardware

BUDGET = {"epochs": 2, "batches": 1562, "batch_size": 32, "seed": 0}
"""Twice through the training images."""
SAME: dict[str, Any] = {"network": "vgg8", "schedule": "onecycle", "lr": 0.006}
"""Of all modes; FP32 learns better with it than with half of it (docs/large-nets.md)."""
ROUNDED: dict[str, Any] = {"rate": 5.0, "headroom": 1.0}
"""Of modes whose weights have a range: about as fast as FP32's."""
ON_CHIP: dict[str, Any] = {
    "threshold": 0.1,
    "remainder": "keep",
    "crest": 4.0,
    "repeats": {"0": 4, "22": 4, "24": 16},
}
"""The best of those tried. Averaged are the products of the first convolution, 1,024 of 7,713 tile
operations an image, whose few inputs drown in noise, and those of the Linear layers, 33."""
MODES: dict[str, dict[str, Any]] = {
    "fp32": {"mode": "fp32"},
    "qat": {"mode": "qat"} | ROUNDED,
    "mixed": {"mode": "mixed"} | ROUNDED | ON_CHIP,
    "late": {"mode": "mixed", "policy": "late"} | ROUNDED | ON_CHIP,
}
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
    cells = {} if mode == "fp32" else hardware.recipe
    plan = training.recipe(SAME | cells | MODES[mode] | budget)
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
    found = {mode: figures(trained(mode, budget)) for mode in MODES}
    source = training.LOADERS["cifar10"]().source
    best = found["fp32"]["accuracy"]
    lost = {mode: 100 * (best - run["accuracy"]) for mode, run in found.items()}
    print(json.dumps({"data": source, "budget": budget, "lost_pp": lost, "modes": found}))


if __name__ == "__main__":
    main()
