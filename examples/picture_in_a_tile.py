"""Write-verify a picture into a tile, and show it: as wanted, as read, and what is off.

python examples/picture_in_a_tile.py --station model: --out picture_in_a_tile.png
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import cimlab
from cimlab.protocols import Ispp, WriteVerify, program

LOW, HIGH = 0.82e-6, 3.29e-6
"""The paper's window at 0.1 V, A."""


def rings(rows: int, cols: int) -> NDArray[np.float64]:
    """A picture with every grey, (rows, cols) from 0 to 1."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j]
    return 0.5 + 0.5 * np.cos(9 * np.hypot(x, y)) * np.exp(-(x**2 + y**2))


def main() -> None:
    """Program the first tile by two protocols."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:?tiles=1&rows=64&cols=64")
    parser.add_argument("--out", default="picture_in_a_tile.png")
    options = parser.parse_args()

    figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
    for plan, (shown, off) in zip((WriteVerify(), Ispp.precise()), axes, strict=True):
        with cimlab.open(options.station) as array:
            _, rows, cols = array.spec.shape
            cells = np.arange(rows * cols)  # the first tile
            wanted = LOW + (HIGH - LOW) * rings(rows, cols).ravel()
            result = program(array, plan, cells, wanted)
            current = array.read(plan.v_read, cells, averages=64).current
        error = current - wanted
        name = type(plan).__name__
        image = shown.imshow(1e6 * current.reshape(rows, cols), cmap="gray", vmin=0.8, vmax=3.3)
        figure.colorbar(image, ax=shown, label="current at 0.1 V (µA)")
        image = off.imshow(1e6 * error.reshape(rows, cols), cmap="RdBu", vmin=-1, vmax=1)
        figure.colorbar(image, ax=off, label="error (µA)")
        shown.set_title(f"{name}: {result.pulses.mean():.1f} pulses a cell")
        off.set_title(f"RMS {1e6 * np.sqrt(np.mean(error**2)):.3f} µA")
        print(
            f"{name}: {result.converged.mean():.1%} in band, {result.pulses.mean():.1f} pulses a "
            f"cell, RMS error {1e6 * np.sqrt(np.mean(error**2)):.3f} uA"
        )
    figure.savefig(options.out)


if __name__ == "__main__":
    main()
