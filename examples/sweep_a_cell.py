"""Sweep one cell: an I-V curve, recorded and drawn.

python examples/sweep_a_cell.py --station model: --out sweep_a_cell.png
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np

import cimlab
from cimlab import records
from cimlab.measure import measure
from cimlab.protocols.iv import IvPlan


def main() -> None:
    """Sweep, then draw what the file holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:?tiles=1&rows=8&cols=8")
    parser.add_argument("--cell", type=int, default=0, help="address")
    parser.add_argument("--run", default="sweep_a_cell.h5", help="run file to write")
    parser.add_argument("--out", default="sweep_a_cell.png")
    options = parser.parse_args()

    plan = IvPlan(v_stop=2.4)
    with cimlab.open(options.station) as array:
        for points in measure(array, "iv", plan, np.array([options.cell]), options.run):
            print(f"\r{100 * points.done:3.0f} %", end="")
    print()

    with records.load(options.run) as run:
        v, current = run.column("points", "v"), run.column("points", "current")
        what = f"cell {options.cell} of {run.origin} {run.kind}"
    figure, axes = plt.subplots(layout="constrained")
    axes.semilogy(v, 1e6 * np.abs(current), ".-")
    axes.set(xlabel="pulse (V)", ylabel="current read afterwards (µA)", title=what)
    figure.savefig(options.out)
    print(f"{v.size} points, run file {options.run}, figure {options.out}")


if __name__ == "__main__":
    main()
