"""Bulk-switching RRAM ("b-RRAM"), the device of the paper (PAPER 2).

The state is the conductance g at 0.1 V. A pulse moves g towards a bound of the cell, by a
share that grows exponentially with the amplitude and as a power of the width::

    SET    (v > 0):  g' = hi - (hi - g) exp(-rate)
    RESET  (v < 0):  g' = lo + (g - lo) exp(-rate)
    ln rate = (|v| - threshold) / slope + exponent ln(width / 1 us) + c2c N(0, 1)

so both directions are gradual and saturate softly near the ends of the window (0.4 - 4 uA at
0.1 V), a pulse far below threshold does almost nothing, and no pulse leaves the window. SET is
steeper than RESET, as in the paper's DC cycling (SET steep above 1.7 V, RESET gradual over
2 V); the slopes and thresholds themselves are not reported and are settings. They are chosen
so that the ramps 1.5 -> 3 V of the write-verify span the window at pulses of 1 us, and so that
the paper's write-verify shows its measured programming error (`cimlab.protocols.write_verify`).

Device to device, thresholds and both bounds vary; cycle to cycle, the rate of each pulse does
(log-normal). The devices are forming-free and born ON: a virgin cell conducts in the upper
part of its window (the value is not reported; here a uniform share 0.6 - 0.9 of it).

Relaxation: 24 h retention is stable but for low-current medians that drift up slightly after
2 h. Cells below `g_rest` creep towards it with the time constant `tau_rest`, and every cell
diffuses. Both laws compose: two hours in one step or in many give the same distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.devices._check import not_negative, positive, rising, spread
from cimlab.mock_hw.devices.base import Ages, Cells, Draws
from cimlab.mock_hw.devices.kernels import brram_pulse

HOUR = 3600.0
WIDTH_REFERENCE = 1e-6
SPREAD_MAX = 3.0
"""Bounds and thresholds spread as a Gaussian cut here, in sigmas: dead cells are modelled apart."""


@dataclass(frozen=True, slots=True)
class BulkRram:
    """Parameters of the bulk-switching RRAM; a `DeviceModel`.

    Attributes:
        g_min: Median low bound, S.
        g_max: Median high bound, S.
        sigma_read: Read noise, S; 0.155 uA at 0.1 V (measured, PAPER 2).
        v_set: Amplitude at which a SET pulse of 1 us has rate 1, V.
        v_reset: The same for RESET (magnitude), V.
        slope_set: Amplitude for a factor e in rate, V.
        slope_reset: The same for RESET, V.
        width_exponent: Power of the pulse width in the rate.
        c2c: Sigma of ln rate from pulse to pulse.
        d2d_threshold: Sigma of the thresholds from cell to cell, V.
        d2d_g_min: Relative sigma of the low bound from cell to cell.
        d2d_g_max: Relative sigma of the high bound from cell to cell.
        g_rest: Where low states creep to, S.
        tau_rest: Time constant of that creep, s.
        diffusion: Sigma of a cell's random walk over an hour, S.
    """

    g_min: float = 4.0e-6
    g_max: float = 42.0e-6
    sigma_read: float = 1.55e-6
    v_set: float = 2.3
    v_reset: float = 2.25
    slope_set: float = 0.20
    slope_reset: float = 0.50
    width_exponent: float = 0.5
    c2c: float = 0.3
    d2d_threshold: float = 0.08
    d2d_g_min: float = 0.15
    d2d_g_max: float = 0.05
    g_rest: float = 15.0e-6
    tau_rest: float = 200 * HOUR
    diffusion: float = 0.05e-6

    name: ClassVar[str] = "brram"

    def __post_init__(self) -> None:
        """Refuse parameters without physical meaning."""
        positive(
            self.name,
            g_min=self.g_min,
            v_set=self.v_set,
            v_reset=self.v_reset,
            slope_set=self.slope_set,
            slope_reset=self.slope_reset,
            tau_rest=self.tau_rest,
        )
        not_negative(
            self.name,
            sigma_read=self.sigma_read,
            width_exponent=self.width_exponent,
            d2d_threshold=self.d2d_threshold,
            diffusion=self.diffusion,
        )
        spread(self.name, c2c=self.c2c, d2d_g_min=self.d2d_g_min, d2d_g_max=self.d2d_g_max)
        rising(self.name, g_min=self.g_min, g_rest=self.g_rest, g_max=self.g_max)

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Virgin cells, ON; traits are (SET offset, RESET offset, lo, hi), offsets in ln rate."""
        traits = np.empty((4, n), np.float32)
        for k in range(4):
            np.clip(draws.normal(k), -SPREAD_MAX, SPREAD_MAX, out=traits[k])
        traits[0] *= self.d2d_threshold / self.slope_set
        traits[1] *= self.d2d_threshold / self.slope_reset
        traits[2] = np.exp(traits[2] * np.float32(self.d2d_g_min)) * np.float32(self.g_min)
        traits[3] = np.exp(traits[3] * np.float32(self.d2d_g_max)) * np.float32(self.g_max)
        share = np.float32(0.6) + np.float32(0.3) * draws.uniform(0)
        return traits[2] + share * (traits[3] - traits[2]), traits

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) in S after one pulse of v (n,) volts, width seconds."""
        power, out = np.empty_like(g), np.empty_like(g)
        brram_pulse(
            g, v, traits, draws.normal(0), self.law(width), power.view(np.int32), power, out
        )
        return out

    def law(self, width: float) -> Cells:
        """What a pulse of that width does, (5,): ln rate is linear in the volts.

        Slopes of SET and RESET (1/V, signed), their offsets, and the sigma from pulse to pulse.
        """
        stretch = self.width_exponent * math.log(width / WIDTH_REFERENCE)
        offsets = (
            stretch - self.v_set / self.slope_set,
            stretch - self.v_reset / self.slope_reset,
        )
        slopes = (1 / self.slope_set, -1 / self.slope_reset)
        return np.array([*slopes, *offsets, self.c2c], np.float32)

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Conductances (n,) in S after so many seconds at rest."""
        creep = np.float32(-math.expm1(-seconds / self.tau_rest))
        moved = g + creep * np.maximum(np.float32(self.g_rest) - g, np.float32(0.0))
        moved += draws.normal(0) * np.float32(self.diffusion * math.sqrt(seconds / HOUR))
        rested: Cells = np.clip(moved, traits[2], traits[3], out=moved)
        return rested
