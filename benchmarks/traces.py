"""A LeNet's first batches recorded as a link trace, and replayed.

    python benchmarks/traces.py

Prints one JSON object: batches, calls and bytes of the trace, seconds of processor time of this
process without a trace, with one, and from the replay, and whether the losses are the same bits.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from cimlab import records
from cimlab.cli import training
from cimlab.records.replay import Replay
from cimlab.training.recipe import Recipe

BATCHES = 20


def trained(station: str, file: Path) -> tuple[float, bytes]:
    """Processor time, s, and the losses as they are stored."""
    start = time.process_time()
    training.start_run(Recipe(epochs=1, batches=BATCHES), station, file)
    seconds = time.process_time() - start
    with records.load(file) as run:
        return seconds, run.column("steps", "loss").tobytes()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.h5"
        trained("mock:", Path(folder) / "warm.h5")  # compiles what is to be compiled
        stations = {
            "plain": "mock:",
            "recorded": f"mock:?trace={trace}",
            "replayed": f"replay:{trace}",
        }
        runs = {name: trained(text, Path(folder) / f"{name}.h5") for name, text in stations.items()}
        with Replay(trace) as replay:
            calls = replay.calls
        found: dict[str, Any] = {
            "batches": BATCHES,
            "calls": calls,
            "bytes": trace.stat().st_size,
            "cpu_seconds": {name: seconds for name, (seconds, _) in runs.items()},
            "same_bits": len({losses for _, losses in runs.values()}) == 1,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
