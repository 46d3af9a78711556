"""Soft-bounds device; the defaults are aihwkit's ReRamSB preset (PAPER 6).

The state is a weight w that maps linearly on the conductance window, w_min -> g_min and
w_max -> g_max. A pulse whose amplitude reaches the threshold moves w by one step, and only its
sign matters; the step shrinks linearly towards the bound it heads for::

    SET    w' = w + step (1 - w / w_max + c2c N(0, 1))
    RESET  w' = w - step (1 - w / w_min + c2c N(0, 1))

The cycle-to-cycle noise is relative to the step at w = 0 and, at the preset's 375 %, larger than
the step: single pulses often go the wrong way and only trains move a cell. Steps and bounds vary
from cell to cell. The preset's separate "write noise" (a hidden persistent state) is not modelled.

At rest nothing moves, unless `relaxation` is set: then cells diffuse as filaments of HfOx do,
with the sigma measured a second after programming (Wan et al. 2022, in the polynomial of
PAPER 6; x = g / 40 uS)::

    sigma(1 s) = 0.348 + 16.03 x - 43.85 x^2 + 45.39 x^3 - 16.8 x^4  uS

and a variance that grows as the logarithm of the time, ln(1 + t / tau). tau = 15 ms makes
sigma grow 1.9-fold from a second to a day, the mean over the window of what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices._check import not_negative, positive, rising, share, spread
from cimlab.mock_hw.devices.base import Ages, Cells, Draws

BOUND_FLOOR = 0.05
"""Least share of a nominal bound that a cell keeps, whatever its spread."""
LOPSIDED = 1000.0
"""Beyond this ratio of the bounds, w = 0 is a bound in single precision."""
RELAXED = (0.348e-6, 16.03e-6, -43.85e-6, 45.39e-6, -16.8e-6)
"""Sigma a second after programming, S, as a polynomial of g / G_RELAXED."""
G_RELAXED = 40e-6
TAU_RELAXED = 0.015


@dataclass(frozen=True, slots=True)
class SoftBounds:
    """Parameters of the soft-bounds device; a `DeviceModel`.

    Attributes:
        g_min: Conductance of the nominal w_min, S.
        g_max: Conductance of the nominal w_max, S.
        sigma_read: Read noise, S.
        v_threshold: Least amplitude (either polarity) that moves a cell, V.
        dw_min: Step at w = 0, weight units.
        dw_min_d2d: Relative sigma of the step from cell to cell.
        dw_min_log_d2d: Sigma of the step's logarithm from cell to cell.
        c2c: Sigma of a step relative to the cell's step at w = 0.
        w_max: Upper bound, weight units, > 0.
        w_max_d2d: Relative sigma of the upper bound from cell to cell.
        w_min: Lower bound, weight units, < 0.
        w_min_d2d: Relative sigma of the lower bound from cell to cell.
        corrupt: Share of cells that no pulse moves from w = 0.
        relaxation: Diffusion at rest over that measured in HfOx; 0 is none.
    """

    g_min: float = 4.0e-6
    g_max: float = 40.0e-6
    sigma_read: float = 1.55e-6
    v_threshold: float = 1.0
    dw_min: float = 0.002
    dw_min_d2d: float = 0.3
    dw_min_log_d2d: float = 0.0
    c2c: float = 3.75
    w_max: float = 1.25
    w_max_d2d: float = 0.24
    w_min: float = -0.75
    w_min_d2d: float = 0.4
    corrupt: float = 0.0
    relaxation: float = 0.0

    name: ClassVar[str] = "softbounds"

    def __post_init__(self) -> None:
        """Refuse parameters without physical meaning."""
        positive(
            self.name,
            g_min=self.g_min,
            v_threshold=self.v_threshold,
            dw_min=self.dw_min,
            w_max=self.w_max,
            minus_w_min=-self.w_min,
        )
        not_negative(self.name, sigma_read=self.sigma_read, c2c=self.c2c)
        spread(
            self.name,
            dw_min_d2d=self.dw_min_d2d,
            dw_min_log_d2d=self.dw_min_log_d2d,
            w_max_d2d=self.w_max_d2d,
            w_min_d2d=self.w_min_d2d,
            relaxation=self.relaxation,
        )
        share(self.name, corrupt=self.corrupt)
        rising(self.name, g_min=self.g_min, g_max=self.g_max)
        if not 1 / LOPSIDED <= -self.w_max / self.w_min <= LOPSIDED:
            raise ConfigError(
                f"softbounds: w_max and -w_min must be within a factor {LOPSIDED:g}, "
                f"got {self.w_max!r} and {self.w_min!r}"
            )

    @property
    def _siemens(self) -> float:
        """Conductance of one weight unit, S."""
        return (self.g_max - self.g_min) / (self.w_max - self.w_min)

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Cells at w = 0; traits are (step in S, lo in S, hi in S)."""
        traits = np.empty((3, n), np.float32)
        unit, zero = self._siemens, self.g_min - self.w_min * self._siemens
        for k, d2d in enumerate((self.dw_min_d2d, self.w_min_d2d, self.w_max_d2d)):
            np.maximum(
                draws.normal(k) * np.float32(d2d) + np.float32(1.0), BOUND_FLOOR, out=traits[k]
            )
        if self.dw_min_log_d2d:
            traits[0] *= np.exp(np.float32(self.dw_min_log_d2d) * draws.normal(0))
        if self.corrupt:
            traits[0] *= draws.uniform(0) >= np.float32(self.corrupt)
        traits *= np.array([[self.dw_min * unit], [self.w_min * unit], [self.w_max * unit]], "f4")
        traits[1:] += np.float32(zero)
        # a conductance is positive, however far the spread puts the bound
        np.maximum(traits[1], np.float32(BOUND_FLOOR * self.g_min), out=traits[1])
        return np.full(n, zero, np.float32), traits

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) in S after one pulse of v (n,) volts; the width does not matter."""
        zero = np.float32(self.g_min - self.w_min * self._siemens)
        bound = np.where(v > 0, traits[2], traits[1])
        step = (bound - g) / np.abs(bound - zero)
        step += draws.normal(0) * np.float32(self.c2c)
        step *= traits[0]
        step *= np.abs(v) >= np.float32(self.v_threshold)
        step += g
        moved: Cells = np.clip(step, traits[1], traits[2], out=step)
        return moved

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Conductances (n,) in S after so many seconds more, age seconds after programming."""
        if not self.relaxation:
            return g
        x = np.clip(g / np.float32(G_RELAXED), np.float32(0.0), np.float32(1.0))
        sigma = np.polynomial.polynomial.polyval(x, np.array(RELAXED, np.float32))
        grown = np.log1p(seconds / (TAU_RELAXED + age)) / math.log1p(1 / TAU_RELAXED)
        moved = g + draws.normal(0) * sigma * np.sqrt(grown) * np.float32(self.relaxation)
        relaxed: Cells = np.clip(moved, traits[1], traits[2]).astype(np.float32)
        return relaxed
