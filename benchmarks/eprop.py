"""A spiking network on phase-change cells learns a curve by e-prop; a table of ways to write them.

    python benchmarks/eprop.py --presentations 150 --seeds 0

The error is the mean square of what is left of a curve of unit variance, over the last tenth of
the presentations. Every row has the same network, task, seeds and chip. Stopped, the same command
goes on: finished curves are kept in --study.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lenet_seeds import seeds_of
from threadpoolctl import threadpool_limits

from cimlab.cli.studying import studied
from cimlab.rig import open_array
from cimlab.training.eprop import Learning, Pattern
from cimlab.training.policies import POLICIES, pcm
from cimlab.training.recipe import Recipe

WINDOW = {"low": pcm.LOW, "high": pcm.HIGH, "weight_decay": 0.0, "schedule": "cosine"}
ROWS: dict[str, dict[str, Any]] = {
    "naive": {**WINDOW, "mode": "naive"},
    "threshold": {**WINDOW, "threshold": 0.15, "remainder": "keep", "averages": 16},
    "pcm": dict(POLICIES["pcm"].settings),
    "stellar": {**WINDOW, "policy": "stellar", "threshold": 0.1},
}


def case(name: str, seed: int, presentations: int) -> dict[str, Any]:
    """One curve to learn, as data that says all of it."""
    settings = {"policy": name if name in POLICIES else "threshold"} | ROWS[name]
    plan = Recipe(**settings | {"seed": seed, "epochs": 1, "batches": presentations, "rate": 3.0})
    return plan.model_dump(mode="json")


def run(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Learn one curve."""
    plan = Recipe.model_validate(wanted)
    seed, presentations = plan.seed, plan.batches
    with open_array(f"model:?device=pcm&tiles=8&seed={seed}") as array:
        learning = Learning(plan, array, Pattern.drawn(seed))
        errors = list(learning.errors())
    updater = learning.updater
    return {
        "error": statistics.fmean(errors[-max(1, presentations // 10) :]),
        "error_first": errors[0],
        "updates_per_weight": learning.total.weights / updater.size,
        "worst_cell_writes": int(updater.writes.max()),
    }


def main() -> None:
    """Learn and print."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", default=",".join(ROWS))
    parser.add_argument("--presentations", type=int, default=150)
    parser.add_argument("--seeds", type=seeds_of, default=[0])
    parser.add_argument("--study", type=Path, default=Path("runs/eprop.jsonl"))
    given = parser.parse_args()
    names = given.policies.split(",")
    cases = [case(name, seed, given.presentations) for name in names for seed in given.seeds]
    given.study.parent.mkdir(parents=True, exist_ok=True)
    results = iter(studied("eprop", run, cases, given.study, (1, None)))
    rows = {}
    for name in names:
        runs = [next(results) for _ in given.seeds]
        rows[name] = {key: statistics.fmean(r[key] for r in runs) for key in runs[0]}
        rows[name]["worst_cell_writes"] = max(r["worst_cell_writes"] for r in runs)
        print(f"{name:12}", {k: round(v, 3) for k, v in rows[name].items()}, file=sys.stderr)
    options = {"presentations": given.presentations, "seeds": given.seeds}
    print(json.dumps(options | {"rows": rows}))


if __name__ == "__main__":
    main()
