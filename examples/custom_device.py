"""A device model of your own, in 30 lines, on a chip with converters and limits.

python examples/custom_device.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.devices import Cells, Draws
from cimlab.mock_hw.devices.base import Ages
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.protocols import Ispp, program


@dataclass(frozen=True, slots=True)
class Leaky:
    """A pulse goes a share of the way to its bound; at rest a cell leaks to g_min in tau."""

    g_min: float = 2e-6  # S
    g_max: float = 40e-6
    sigma_read: float = 0.2e-6
    share: float = 0.1  # of the way, by a pulse at the threshold; grows e-fold by 0.5 V
    threshold: float = 1.0  # V
    c2c: float = 0.2  # of a step, from pulse to pulse
    tau: float = 1e6  # s

    name: ClassVar[str] = "leaky"

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """All cells low; traits are each cell's share, 20 % from cell to cell, and its bounds."""
        share = np.float32(self.share) * np.exp(np.float32(0.2) * draws.normal(0))
        low, high = np.full((2, n), [[self.g_min], [self.g_max]], np.float32)
        return low.copy(), np.stack([share, low, high])

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances after one pulse."""
        over = np.abs(v) - np.float32(self.threshold)
        part = traits[0] * np.exp(2 * over) * (1 + np.float32(self.c2c) * draws.normal(0))
        bound = np.where(v > 0, traits[2], traits[1])
        return g + np.where(over >= 0, np.clip(part, 0, 1), 0).astype(np.float32) * (bound - g)

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Conductances after a time without pulses."""
        low = traits[1]
        return low + (g - low) * np.float32(np.exp(-seconds / self.tau))


def main() -> None:
    """Program such cells, and come back after a day."""
    with HalArray(SimulatedHal(Leaky(), tiles=1, rows=16, cols=16, seed=1)) as array:
        cells = np.arange(256)
        target = np.random.default_rng(0).uniform(0.5e-6, 3e-6, cells.size)  # A at 0.1 V
        result = program(array, Ispp(), cells, target)
        print(f"{result.converged.mean():.1%} in band, {result.pulses.mean():.1f} pulses a cell")
        for rest in (0.0, 86_400.0):
            array.clock.sleep(rest)  # virtual: a day takes no time
            error = array.read(0.1, cells, averages=64).current - target
            print(f"after {rest:g} s: mean error {1e6 * error.mean():+.3f} uA")


if __name__ == "__main__":
    main()
