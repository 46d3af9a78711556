"""Train LeNet for one epoch on every device model; print speed and accuracy as one JSON object.

    python benchmarks/devices.py

The replay device is measured here, on an emulated chip of exponential devices: pulse trains up
and down, every reading averaged, as a lab would measure a real one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cimlab.core.array import CimArray
from cimlab.mock_hw.devices import MODELS, Jumps, Replay, write_device
from cimlab.rig import open_array
from cimlab.training.data import Images, load_mnist
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe

CELLS = np.arange(64)
PULSES = 80
AVERAGES = 64
SETTLE = 100
"""Batches before the clock starts: first there is a rush of writes."""


def jumps(array: CimArray, v: float) -> Jumps:
    """What a train of pulses of v volts does to some cells, reading by reading."""
    g = [array.read(0.1, CELLS, AVERAGES).g]
    for _ in range(PULSES):
        g.append(array.pulse_and_read(v, 1e-6, 0.1, CELLS, AVERAGES).g)
    seen = np.stack(g)
    return Jumps(
        v, tuple(seen[:-1].ravel().tolist()), tuple(np.diff(seen, axis=0).ravel().tolist())
    )


def train(device: str, images: Images) -> dict[str, Any]:
    """One epoch on a chip of that device."""
    pulses = 0
    with open_array(f"model:?device={device}") as array:
        start, step = time.process_time(), 0
        for event in Training(Recipe.tuned(epochs=1), array, images).events():
            if isinstance(event, StepDone):
                step = event.step
                pulses += event.update.pulses
                if step == SETTLE:
                    start = time.process_time()
                seconds = time.process_time() - start
            elif isinstance(event, EpochDone):
                accuracy = event.accuracy
    speed = 64 * (step - SETTLE) / seconds
    print(f"{device}: {speed:.0f} samples/s, {accuracy:.4f}", file=sys.stderr)
    return {"samples_per_cpu_second": speed, "accuracy": accuracy, "pulses": pulses}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    images = load_mnist()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        with open_array("model:?device=exponential&seed=7") as array:
            tables = (jumps(array, 2.0), jumps(array, -2.0))
        file = Path(folder) / "replay.toml"
        write_device(file, Replay(jumps=tables))
        for name in sorted(MODELS):
            found[name] = train(str(file) if name == "replay" else name, images)
    print(json.dumps({"devices": found}))


if __name__ == "__main__":
    main()
