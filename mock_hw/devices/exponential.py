"""Exponential update curves: the behavioural device of NeuroSim (Chen et al., TCAD 2018; PAPER 6).

The state is a position P on a curve of p_max pulses between two bounds; each pulse whose
amplitude reaches the threshold advances it by one, and only its sign matters::

    SET    G = g_min + B (1 - exp(-P / a_ltp))             P -> P + 1
    RESET  G = g_max - B (1 - exp((P - p_max) / a_ltd))    P -> P - 1
    B = (g_max - g_min) / (1 - exp(-p_max / a))

Finding P of a conductance, moving on by one pulse and computing the conductance again is, in
closed form, a step that shrinks linearly with the way covered::

    step = B (1 - exp(-1 / a)) - (G - g_min) (1 - exp(-1 / a))

and that is what is computed: no logarithm a pulse, and no singularity where the curve is straight
(a >> p_max). From pulse to pulse the step varies by N(0, (c2c (g_max - g_min))^2), from cell to
cell the curvatures and the bounds do.

NeuroSim names curvatures by a label of nonlinearity; `curvature` is that relation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.mock_hw.devices._check import positive, rising, spread
from cimlab.mock_hw.devices.base import Ages, Cells, Draws

LABEL_LARGEST = 9.0
LABEL_SLOPE = 10.10153
"""Label over the largest distance of the curve from its chord (both axes 0 to 1)."""
SPREAD_MAX = 3.0
"""Spreads from cell to cell are Gaussians cut here, in sigmas."""
A_LEAST = 0.01
"""Least a / p_max: the first pulse goes all the way."""


def curvature(label: float) -> float:
    """The a / p_max of NeuroSim's label of nonlinearity, 0 < label <= 9.

    The label is proportional to the largest distance D between the curve and its chord. With
    u = p_max / a and both axes from 0 to 1 the distance is largest where the slope is 1, at
    x = ln(u / (1 - exp(-u))) / u, and there D = 1 / (1 - exp(-u)) - 1 / u - x. NeuroSim holds a
    table instead (`getParamA`), from which the factor and this relation were found: they give
    each of its 900 entries within 3 parts in 100,000.
    """
    if not 0 < label <= LABEL_LARGEST:
        raise ValueError(f"a label of nonlinearity is above 0 and at most 9, not {label}")
    low, high = math.log(1e-6), math.log(1e3)  # of u; D rises with u
    for _ in range(100):
        middle = (low + high) / 2
        if LABEL_SLOPE * _bulge(math.exp(middle)) < label:
            low = middle
        else:
            high = middle
    return math.exp(-low)


def _bulge(u: float) -> float:
    """Largest distance of the curve of p_max / a = u from its chord."""
    if u < 1e-3:  # the series; the differences below would cancel
        return u / 8
    whole = -math.expm1(-u)
    return 1 / whole - 1 / u - math.log(u / whole) / u


@dataclass(frozen=True, slots=True)
class Exponential:
    """Parameters of the exponential device; a `DeviceModel`.

    Attributes:
        g_min: Median low bound, S.
        g_max: Median high bound, S.
        sigma_read: Read noise, S.
        v_threshold: Least amplitude (either polarity) that moves a cell, V.
        p_max: Pulses from one bound to the other.
        a_ltp: Constant of the SET curve, pulses; large is straight.
        a_ltd: Constant of the RESET curve, pulses; large is straight.
        c2c: Sigma of a step as a share of g_max - g_min.
        d2d_a: Sigma of ln a_ltp and ln a_ltd from cell to cell.
        d2d_g_min: Sigma of ln g_min from cell to cell.
        d2d_g_max: Sigma of ln g_max from cell to cell.
    """

    g_min: float = 4.0e-6
    g_max: float = 40.0e-6
    sigma_read: float = 1.55e-6
    v_threshold: float = 1.0
    p_max: float = 64.0
    a_ltp: float = 160.0
    a_ltd: float = 160.0
    c2c: float = 0.02
    d2d_a: float = 0.1
    d2d_g_min: float = 0.1
    d2d_g_max: float = 0.05

    name: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        """Refuse parameters without physical meaning."""
        positive(
            self.name,
            g_min=self.g_min,
            v_threshold=self.v_threshold,
            p_max=self.p_max,
            a_ltp=self.a_ltp,
            a_ltd=self.a_ltd,
        )
        spread(
            self.name,
            sigma_read=self.sigma_read,
            c2c=self.c2c,
            d2d_a=self.d2d_a,
            d2d_g_min=self.d2d_g_min,
            d2d_g_max=self.d2d_g_max,
        )
        rising(self.name, g_min=self.g_min, g_max=self.g_max)

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Cells at their low bound; traits are (SET step at lo, its slope, RESET's two, lo, hi).

        Steps in S at the bound that a curve starts from; slopes are their loss a S of way.
        """
        z = np.stack([draws.normal(k) for k in range(4)]).astype(np.float64)
        np.clip(z, -SPREAD_MAX, SPREAD_MAX, out=z)
        lo = self.g_min * np.exp(self.d2d_g_min * z[2])
        hi = self.g_max * np.exp(self.d2d_g_max * z[3])
        # bounds do not cross, however wide they spread
        hi = np.maximum(hi, lo + 0.05 * (self.g_max - self.g_min))
        traits = np.empty((6, n), np.float32)
        for k, a in enumerate((self.a_ltp, self.a_ltd)):
            pulses = np.maximum(a * np.exp(self.d2d_a * z[k]), A_LEAST * self.p_max)
            slope = -np.expm1(-1 / pulses)
            traits[2 * k] = (hi - lo) * slope / -np.expm1(-self.p_max / pulses)
            traits[2 * k + 1] = slope
        traits[4], traits[5] = lo, hi
        return traits[4].copy(), traits

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) in S after one pulse of v (n,) volts; the width does not matter."""
        first_up, slope_up, first_down, slope_down, lo, hi = traits
        step = np.where(v > 0, first_up - (g - lo) * slope_up, (hi - g) * slope_down - first_down)
        step += draws.normal(0) * (np.float32(self.c2c) * (hi - lo))
        moved = np.clip(g + step, lo, hi)
        after: Cells = np.where(np.abs(v) >= np.float32(self.v_threshold), moved, g)
        return after

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Nothing moves at rest."""
        return g
