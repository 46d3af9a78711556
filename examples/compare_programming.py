"""Compare programming algorithms on the same devices: pulses, hits, and what is left as error.

    python examples/compare_programming.py --station "model:?tiles=1&rows=32&cols=32&seed=1"

`cimlab compare-programming` has more algorithms, wear, energy and relaxation.
"""

from __future__ import annotations

import argparse

import numpy as np

import cimlab
from cimlab.protocols import Ispp, WriteVerify, program


def main() -> None:
    """Every algorithm begins with the same fresh cells and targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:?tiles=1&rows=32&cols=32&seed=1")
    options = parser.parse_args()

    plans = {"write-verify": WriteVerify(), "ISPP": Ispp(), "ISPP, led": Ispp.precise()}
    print(f"{'algorithm':14s}{'in band':>9s}{'pulses':>8s}{'rounds':>8s}{'RMS error':>12s}")
    for name, plan in plans.items():
        with cimlab.open(options.station) as array:
            cells = np.arange(array.spec.size)
            target = np.random.default_rng(0).uniform(0.82e-6, 3.29e-6, cells.size)
            result = program(array, plan, cells, target)
            error = array.read(plan.v_read, cells, averages=64).current - target
        print(
            f"{name:14s}{result.converged.mean():9.1%}{result.pulses.mean():8.1f}"
            f"{result.rounds:8d}{1e6 * np.sqrt(np.mean(error**2)):9.3f} uA"
        )


if __name__ == "__main__":
    main()
