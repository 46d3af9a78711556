"""Phase-change memory: gradual SET, abrupt RESET, drift (PAPER 6; Joshi et al. 2020).

Read voltages leave a cell alone, and so do pulses below the thresholds. Above them::

    SET    (v >= v_set)     g' = hi - (hi - g) exp(-width / tau_set) + N(0, sigma(g')^2)
    RESET  (v <= -v_reset)  g' = lo + |N(0, sigma(lo)^2)|

SET crystallises a little more of the volume with each pulse, so pulses accumulate; RESET melts
it, whatever the state was. (The pulse that melts has no polarity in the material; here, as
everywhere, v < 0 is RESET.) Programming noise depends on the conductance, in uS::

    sigma = 0.26348 + 1.9650 x - 1.1731 x^2,    x = g / 25 uS

the published noise of a programmed state, taken for each pulse. At rest the amorphous part
relaxes, and the conductance drifts from the value g0 that it had when it was programmed::

    g(t) = g0 ((t0 + t) / t0)^-nu

t seconds after the last pulse that moved the cell, with an exponent nu of its own for every
cell. Two rests, one after the other, are one rest as long as both. The crystallisation time is
not reported and chosen for some twenty pulses of 1 us from end to end. Read noise is Gaussian,
fresh and the same at all conductances, as every model's; the 1/f part of real cells is not there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.devices._check import not_negative, positive, rising, spread
from cimlab.mock_hw.devices.base import Ages, Cells, Draws

NOISE = (0.26348e-6, 1.9650e-6, -1.1731e-6)
"""Programming noise, S, as a polynomial of g / G_NOISE."""
G_NOISE = 25e-6
SPREAD_MAX = 3.0
"""Spreads from cell to cell are Gaussians cut here, in sigmas."""


@dataclass(frozen=True, slots=True)
class Pcm:
    """Parameters of the phase-change memory; a `DeviceModel`.

    Attributes:
        g_min: Median conductance after RESET, S.
        g_max: Median conductance after many SET pulses, S.
        sigma_read: Read noise, S.
        v_set: Least amplitude that crystallises, V.
        v_reset: Least amplitude that melts (magnitude), V.
        tau_set: Pulse time in which SET covers all but one e-th of its way, s.
        noise: Programming noise over the published one.
        nu: Mean exponent of the drift.
        d2d_nu: Sigma of the exponent from cell to cell, relative to the mean; none is negative.
        t0: Time after programming at which the drift sets in, s.
        d2d_g_min: Sigma of ln g_min from cell to cell.
        d2d_g_max: Sigma of ln g_max from cell to cell.
    """

    g_min: float = 0.5e-6
    g_max: float = 25.0e-6
    sigma_read: float = 0.3e-6
    v_set: float = 1.0
    v_reset: float = 2.0
    tau_set: float = 8.0e-6
    noise: float = 1.0
    nu: float = 0.05
    d2d_nu: float = 0.3
    t0: float = 1.0
    d2d_g_min: float = 0.2
    d2d_g_max: float = 0.1

    name: ClassVar[str] = "pcm"

    def __post_init__(self) -> None:
        """Refuse parameters without physical meaning."""
        positive(
            self.name,
            g_min=self.g_min,
            v_set=self.v_set,
            v_reset=self.v_reset,
            tau_set=self.tau_set,
            t0=self.t0,
        )
        not_negative(self.name, sigma_read=self.sigma_read)
        spread(
            self.name,
            noise=self.noise,
            nu=self.nu,
            d2d_nu=self.d2d_nu,
            d2d_g_min=self.d2d_g_min,
            d2d_g_max=self.d2d_g_max,
        )
        rising(self.name, g_min=self.g_min, g_max=self.g_max)

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Cells after RESET; traits are (nu, lo, hi)."""
        z = np.stack([draws.normal(k) for k in range(3)])
        np.clip(z, -SPREAD_MAX, SPREAD_MAX, out=z)
        traits = np.empty((3, n), np.float32)
        traits[0] = np.maximum(self.nu * (1 + self.d2d_nu * z[0]), 0)
        traits[1] = self.g_min * np.exp(self.d2d_g_min * z[1])
        # bounds do not cross, however wide they spread
        least = traits[1] + np.float32(0.05 * (self.g_max - self.g_min))
        traits[2] = np.maximum(self.g_max * np.exp(self.d2d_g_max * z[2]), least)
        return traits[1].copy(), traits

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) in S after one pulse of v (n,) volts, width seconds."""
        _, lo, hi = traits
        melts, z = v < 0, draws.normal(0)
        covered = np.float32(-math.expm1(-width / self.tau_set))
        aim = np.where(melts, lo, g + covered * (hi - g))
        sigma = np.float32(self.noise) * programming_noise(aim)
        moved = np.clip(aim + sigma * np.where(melts, np.abs(z), z), lo, hi)
        felt = (v >= np.float32(self.v_set)) | (v <= np.float32(-self.v_reset))
        after: Cells = np.where(felt, moved, g)
        return after

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Conductances (n,) in S after so many seconds more, age seconds after programming."""
        factor = np.log1p(seconds / (self.t0 + age)) * traits[0]
        drifted: Cells = (g * np.exp(-factor)).astype(np.float32)
        return drifted


def programming_noise(g: Cells) -> Cells:
    """The published sigma of a cell programmed to g (n,) S, in S."""
    x = np.minimum(g / np.float32(G_NOISE), np.float32(1.0))
    constant, linear, square = map(np.float32, NOISE)
    sigma: Cells = constant + x * (linear + x * square)
    return sigma
