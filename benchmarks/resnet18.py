"""ResNet-18 on the simulated hardware of PAPER 4's table 1: it maps, trains and transfers.

    python benchmarks/resnet18.py --batches 200

Trains for some hundred batches in mode fp32 and on chip, from the same weights and with the same
batches, writes both to other chips, and prints one JSON object. Accuracies are of few test images
after very little training: they say that nothing is broken, not how good the network gets.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from cimlab.cli import training as runs
from cimlab.rig import open_array
from cimlab.training.data import Images
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.hardware import load_hardware
from cimlab.training.loop import Training
from cimlab.training.transfer import Trained, Writing

WINDOW = 20
"""Batches over which the loss is averaged."""
SIGMA, DRAWS = 0.5, 3
ON_CHIP = {"rate": 10.0, "threshold": 0.2}
"""About as fast as FP32's, in steps of three levels."""


def train(mode: str, batches: int, batch_size: int, data: Images) -> dict[str, Any]:
    """One run, and its weights on other chips."""
    hardware = load_hardware("table1")
    settings = {"network": "resnet18", "schedule": "onecycle", "epochs": 1, "mode": mode}
    if mode == "mixed":
        settings |= hardware.recipe | ON_CHIP
    plan = runs.recipe(settings | {"batches": batches, "batch_size": batch_size})
    tiles, losses, start = runs.tiles(plan, hardware), [], time.process_time()
    with ExitStack() as stack:
        on_chip = mode == "mixed"
        array = stack.enter_context(open_array(hardware.station(tiles))) if on_chip else None
        training = Training(plan, array, data)
        for event in training.events():
            if isinstance(event, StepDone):
                losses.append(event.loss)
                print(f"{mode} {event.step}: loss {event.loss:.3f}", file=sys.stderr)
            elif isinstance(event, EpochDone):
                tested = event.accuracy
        trained = Trained(*training.state(), (hardware.rows, hardware.cols), data)
    draws = [trained.draws(Writing(), SIGMA, chip, 0)[-1].accuracy for chip in range(DRAWS)]
    means = np.mean(np.reshape(losses[: batches // WINDOW * WINDOW], (-1, WINDOW)), axis=1)
    return {
        "tiles": tiles,
        "losses": means.tolist(),
        "accuracy": tested,
        "digital": trained.accuracy(),
        "transferred": float(np.median(draws)),
        "updates_per_weight": training.updates_per_weight,
        "cpu_seconds": time.process_time() - start,
    }


def main() -> None:
    """Both modes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--images", type=int, default=500, help="test images")
    given = parser.parse_args()
    data = runs.LOADERS["cifar10"]()
    few = replace(
        data,
        test_images=data.test_images[: given.images],
        test_labels=data.test_labels[: given.images],
    )
    modes = {m: train(m, given.batches, given.batch_size, few) for m in ("fp32", "mixed")}
    budget = {"batches": given.batches, "batch_size": given.batch_size, "images": given.images}
    print(json.dumps({"data": data.source, "budget": budget, "sigma": SIGMA, "modes": modes}))


if __name__ == "__main__":
    main()
