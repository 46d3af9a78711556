"""Train LeNet by every scheme on the same chip, batches and seeds; print a table, then JSON.

    python benchmarks/neighbours.py --policies all --epochs 2 --images 12800 --seeds 0,1

Rows are named in `ROWS`; docs/neighbours.md says what each does. All but "pcm" train on the
emulated bulk RRAM, whose seed is that of the run. Writes of a cell include its first placement.
Stopped, the same command goes on: finished trainings are kept in --study.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lenet_seeds import seeds_of

from cimlab.cli import training
from cimlab.cli.studying import studied
from cimlab.training.recipe import Recipe

BATCH = 64
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "fp32": ("paper", {"mode": "fp32", "schedule": "cosine"}),
    "naive": ("paper", {"mode": "naive", "schedule": "cosine"}),
    "paper": ("paper", {}),
    "tuned": ("tuned", {}),
    "tuned-fine": ("tuned", {"threshold": 0.1, "remainder": "keep", "stagger": True}),
    "nandakumar": ("paper", {"policy": "nandakumar"}),
    "hic": ("paper", {"policy": "hic"}),
    "stellar": ("paper", {"policy": "stellar"}),
    "madam": ("paper", {"policy": "madam"}),
    "neurram": ("paper", {"policy": "neurram"}),
    "pim-qat": ("paper", {"policy": "pim-qat"}),
    "pcm": ("paper", {"policy": "pcm"}),
    "late": ("tuned", {"policy": "late"}),
}
"""Base recipe and changes to it."""
COLUMNS = {
    "accuracy": ("test_accuracy", 100, "%"),
    "writes a weight": ("updates_per_weight", 1, ""),
    "cell writes a weight": ("cell_writes_per_weight", 1, ""),
    "worst cell": ("worst_cell_writes", 1, ""),
    "pulses a weight": ("pulses_per_weight", 1, ""),
}


def station(name: str, seed: int) -> str:
    """Where a row trains."""
    return f"model:?seed={seed}" + ("&device=pcm" if name == "pcm" else "")


def case(name: str, seed: int, epochs: int, images: int) -> dict[str, Any]:
    """One training, as data that says all of it."""
    base, changes = ROWS[name]
    plan = training.recipe(
        {**changes, "seed": seed, "epochs": epochs, "batches": images // BATCH}, base
    )
    return {"station": station(name, seed), "plan": plan.model_dump(mode="json")}


def run(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """One training; its figures."""
    plan = Recipe.model_validate(wanted["plan"])
    with tempfile.TemporaryDirectory() as folder:
        result = training.start_run(plan, wanted["station"], Path(folder) / "run.h5")
    return {key: result[key] for key, _, _ in COLUMNS.values()}


def summary(name: str, runs: list[dict[str, Any]], endurance: float) -> dict[str, Any]:
    """A row: means over the seeds, and the worst cell of all."""
    row: dict[str, Any] = {
        key: statistics.fmean(float(r[key]) for r in runs) for key, _, _ in COLUMNS.values()
    }
    row["worst_cell_writes"] = max(r["worst_cell_writes"] for r in runs)
    row["wear"] = row["worst_cell_writes"] / endurance
    row["device"] = "none" if name == "fp32" else "pcm" if name == "pcm" else "brram"
    row["each"] = [r["test_accuracy"] for r in runs]
    return row


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'':12}" + "".join(f"{title:>22}" for title in COLUMNS)]
    for name, row in rows.items():
        cells = (
            f"{factor * row[key]:.2f} {unit}".strip() for key, factor, unit in COLUMNS.values()
        )
        lines.append(f"{name:12}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", default="all", help=f"all, or some of {','.join(ROWS)}")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=12_800, help="images an epoch")
    parser.add_argument("--seeds", type=seeds_of, default=[0])
    parser.add_argument("--endurance", type=float, default=1e6, help="writes a cell survives")
    parser.add_argument("--study", type=Path, default=Path("runs/neighbours.jsonl"))
    given = parser.parse_args()
    names = list(ROWS) if given.policies == "all" else given.policies.split(",")
    cases = [case(name, seed, given.epochs, given.images) for name in names for seed in given.seeds]
    given.study.parent.mkdir(parents=True, exist_ok=True)
    results = iter(studied("neighbours", run, cases, given.study, (1, None)))
    rows = {
        name: summary(name, [next(results) for _ in given.seeds], given.endurance) for name in names
    }
    print(table(rows))
    options = {name: getattr(given, name) for name in ("epochs", "images", "seeds", "endurance")}
    print(json.dumps(options | {"rows": rows}))


if __name__ == "__main__":
    main()
