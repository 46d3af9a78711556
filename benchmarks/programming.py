"""Programming, measured: read noise, the paper's programming error, 16 levels on a tile.

    python benchmarks/programming.py [--station mock:?tiles=1] [--seed 0] [--json]

Every row programs the whole array anew and reads it afresh. `error` is a single fresh read minus
target, as the paper measured it (PAPER 2: +0.097 +- 0.286 uA); `rms` is what 100 averaged reads
leave, the error without read noise. Both are of the cells that converged; `in band` is of all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from cimlab.core.events import Event
from cimlab.protocols import Ispp, RampPlan, WriteVerify, finish
from cimlab.protocols.noise import ReadNoisePlan, programming_error, read_noise
from cimlab.rig import StationArray, open_array

LOW, HIGH = 0.82e-6, 3.29e-6
PLANS: dict[str, tuple[RampPlan, int | None]] = {
    "write-verify, training, any current": (WriteVerify(), None),
    "write-verify, characterisation, 16 levels": (WriteVerify.characterisation(), 16),
    "ISPP, NeuRRAM's settings, 16 levels": (Ispp(), 16),
    "ISPP, precise, 16 levels": (Ispp.precise(), 16),
}


def targets(count: int | None, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if count is None:
        return rng.uniform(LOW, HIGH, n)
    return rng.choice(np.linspace(LOW, HIGH, count), n)


def row(station: str, plan: RampPlan, target: np.ndarray) -> dict[str, Any]:
    events: list[Event] = []
    with open_array(station, events.append) as array:
        cells = np.arange(array.spec.size)
        start, before = time.perf_counter(), crossings(array, events)
        steps = programming_error(array, plan, cells, target)
        done = finish(steps)
        # two reads belong to the measurement, not to the programming
        crossed = crossings(array, events) - before - 2
        seconds = time.perf_counter() - start
    programmed = done.programmed
    return {
        "cells": int(programmed.cells.size),
        "in_band": float(programmed.converged.mean()),
        "tol_uA": plan.tol * 1e6,
        "pulses_per_cell": float(programmed.pulses.mean()),
        "rms_uA": done.rms_residual() * 1e6,
        "error_mean_uA": done.mean() * 1e6,
        "error_sigma_uA": done.sigma() * 1e6,
        "rounds": programmed.rounds,
        "place": programmed.place,
        "transactions": crossed,
        "seconds": seconds,
    }


def crossings(array: StationArray, events: list[Event]) -> int:
    """Requests over the link so far, or verbs where there is no link."""
    return len(events) if array.link is None else array.link.requests


def measure(station: str, seed: int) -> dict[str, Any]:
    with open_array(station) as array:
        noise = finish(read_noise(array, ReadNoisePlan(reads=100)))
        size, identity = array.spec.size, array.spec.identity
        capabilities = array.spec.capabilities
    rows = []
    for name, (plan, count) in PLANS.items():
        target = targets(count, size, seed)
        host = row(station, plan.model_copy(update={"on_board": "never"}), target)
        rows.append({"plan": name, **host})
        if f"job:{plan.job}" in capabilities:
            rows.append({"plan": name, **row(station, plan, target)})
    return {
        "identity": identity,
        "station": station,
        "seed": seed,
        "read_sigma_uA": noise.overall * 1e6,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['identity']}; read noise sigma {result['read_sigma_uA']:.4f} uA",
        f"{'':43}{'in band':>9}{'pulses':>8}{'rms':>8}{'error mean, sigma':>20}"
        f"{'rounds':>8}{'transactions':>14}",
    ]
    for r in result["rows"]:
        lines.append(
            f"{r['plan']:43}{r['in_band']:9.2%}{r['pulses_per_cell']:8.2f}{r['rms_uA']:8.4f}"
            f"{r['error_mean_uA']:+11.4f}{r['error_sigma_uA']:9.4f}{r['rounds']:8d}"
            f"{r['transactions']:8d} ({r['place']})"
        )
    return "\n".join([*lines, "currents in uA at 0.1 V"])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--station", default="model:?tiles=1")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    result = measure(given.station, given.seed)
    sys.stdout.write((json.dumps(result) if given.json else table(result)) + "\n")


if __name__ == "__main__":
    main()
