"""Train LeNet with several seeds and print the figures of docs/results.md as one JSON object.

    python benchmarks/lenet_seeds.py --seeds 0-4 -- --station mock: --schedule cosine

Everything after `--` goes to `cimlab train lenet`. Each seed also decides the emulated chip.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def seeds_of(text: str) -> list[int]:
    """'0-4' or '0,3,7' as numbers."""
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(s) for s in text.split(",")]


def train(seed: int, options: list[str]) -> dict[str, Any]:
    """One run of the command line; its JSON."""
    station = "mock:"
    if "--station" in options:
        at = options.index("--station")
        station = options[at + 1]
        options = options[:at] + options[at + 2 :]
    if station.startswith(("mock:", "model:")):
        station += f"{'&' if '?' in station else '?'}seed={seed}"
    command = ["train", "lenet", "--json", "--seed", str(seed), "--station", station, *options]
    done = subprocess.run(
        [sys.executable, "-m", "cimlab", *command], stdout=subprocess.PIPE, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    print(f"seed {seed}: {result['test_accuracy']:.4f}", file=sys.stderr)
    return result


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("0-4"))
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("options", nargs="*", help="after --: options of `cimlab train lenet`")
    given = parser.parse_args()
    with ThreadPoolExecutor(given.jobs) as pool:
        runs = list(pool.map(lambda seed: train(seed, given.options), given.seeds))

    def column(name: str) -> list[float]:
        return [run[name] for run in runs if run[name] is not None]

    names = (
        "test_accuracy",
        "test_accuracy_best",
        "test_accuracy_paper_2560",
        "updates_per_weight",
    )
    summary: dict[str, Any] = {
        name: {"mean": statistics.fmean(column(name)), "each": column(name)}
        for name in names
        if column(name)
    }
    summary["seconds"] = [sum(epoch["seconds"] for epoch in run["epochs"]) for run in runs]
    print(json.dumps({"seeds": given.seeds, "options": given.options} | summary))


if __name__ == "__main__":
    main()
