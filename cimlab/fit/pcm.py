"""Phase-change memory as a law of the fit (`cimlab.mock_hw.devices.pcm`).

Coordinates: ln tau_set, ln noise, ln sigma_read | ln of each cell's bounds | ln of their spreads.
The programming noise is that of the conductance where the reading before the pulse puts it.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.optimize import minimize

from cimlab.fit.drift import Drift, hessian
from cimlab.fit.family import (
    CELLS_LEAST,
    Prepared,
    demand,
    extremes,
    one_curve,
    read_sigma,
    threshold,
)
from cimlab.fit.histories import MICRO, Array, Histories
from cimlab.fit.moments import Moves, repeated
from cimlab.fit.population import Population, Problem
from cimlab.mock_hw.devices.pcm import Pcm, programming_noise

FOLDED = float(np.sqrt(2 / np.pi))
"""Mean of |N(0, 1)|."""


def law(v_least: tuple[float, float], data: Histories, traits: Array, shared: Array) -> Moves:
    """Moves of the cells for pulses that reach v_least (SET, RESET) volts."""
    sets, melts = (data.v >= v_least[0])[:, None], (data.v <= -v_least[1])[:, None]
    tau, noise = np.exp(shared[:, :1]), np.exp(shared[:, 1:2])
    low, high = np.exp(traits[..., 0]), np.exp(traits[..., 1])
    stays = np.exp(-np.where(sets, data.width[:, None], 0.0) / (tau * MICRO))
    before = np.nan_to_num(np.roll(data.g, 1, axis=0), nan=float(np.nanmedian(data.g)))[:, None]
    up = noise * _sigma(np.clip(high + (before - high) * stays, low, high))
    down = noise * _sigma(low)
    bound = np.where(melts, low + FOLDED * down, high)
    keep = np.where(melts, 0.0, np.where(sets, stays, 1.0))
    extra = np.where(melts, (1 - FOLDED**2) * down**2, np.where(sets, up**2, 0.0))
    count = np.where(sets, data.count[:, None], 1)
    keep, scatter, extra = repeated(keep, np.zeros(1), extra, count)
    return Moves(bound, keep, scatter, extra, np.exp(2 * shared[:, 2:3]), low, high)


def _sigma(g: Array) -> Array:
    """Published programming noise, uS, of g uS."""
    return programming_noise((g * MICRO).astype(np.float32)).astype(np.float64) / MICRO


def prepare(data: Histories) -> Prepared:
    """The problem, with a first guess from all cells' common curve."""
    demand(data)
    v_set, v_reset = threshold(data, (1,)), threshold(data, (-1,))
    mine = functools.partial(law, (v_set.value, v_reset.value))
    traits = np.log(extremes(data))
    sigma = read_sigma(data)
    width = float(np.median(data.width[data.v > 0])) / MICRO
    starts = np.log([[width * n] for n in (2, 8, 30)])
    x = one_curve(data, mine, starts, np.log([1.0, sigma]), traits, common=0)
    shared = np.array([x[0], 0.0, np.log(2 * sigma)])
    free = np.ones(7, bool)
    free[5:] = len(traits) >= CELLS_LEAST
    start = Population(shared, np.median(traits, axis=0), np.log([0.2, 0.1]))
    problem = Problem(data, mine, np.arange(2), (1, 2), free)
    known = {"v_set": v_set.found, "v_reset": v_reset.found}
    return Prepared(problem, start, traits, parameters, known)


def parameters(vector: Array) -> dict[str, float]:
    """The model's parameters, in its units."""
    tau, noise, sigma, low, high, d2d_low, d2d_high = np.exp(vector)
    return {
        "g_min": low * MICRO,
        "g_max": high * MICRO,
        "sigma_read": sigma * MICRO,
        "tau_set": tau * MICRO,
        "noise": noise,
        "d2d_g_min": d2d_low,
        "d2d_g_max": d2d_high,
    }


def drift(data: Histories, sigma_read: float) -> Drift | None:
    """Mean and spread of the cells' exponents; None if too few cells tell.

    g = g0 ((t0 + t) / t0)^-nu from the first reading of a rest, t0 at its default: a run does not
    say how long ago a cell was programmed. Each cell's exponent is a weighted least squares of
    ln g; the population's mean and spread are by maximum likelihood, each cell with its error.
    """
    t0 = Pcm().t0
    read = (sigma_read / MICRO) ** 2 / data.averages
    still = data.seen & (data.v == 0) & (data.g > 5 * np.sqrt(read))
    nu, error = np.full((2, data.cells.size), np.nan)
    for c in range(data.cells.size):
        at = np.flatnonzero(still[:, c])
        if at.size < 3:
            continue
        x = -np.log1p((data.time[at, c] - data.time[at[0], c]) / t0)
        weight = data.g[at, c] ** 2 / read[at, c]
        x -= np.average(x, weights=weight)
        information = float((weight * x**2).sum())
        if information > 0:
            nu[c] = (weight * x) @ np.log(data.g[at, c]) / information
            error[c] = 1 / np.sqrt(information)
    known = np.isfinite(nu)
    if known.sum() < CELLS_LEAST:
        return None
    nu, error = nu[known], error[known]

    def loss(x: Array) -> float:
        total = np.exp(2 * x[1]) + error**2
        return float(0.5 * np.sum((nu - x[0]) ** 2 / total + np.log(total)))

    start = np.array([np.median(nu), np.log(nu.std() + 1e-4)])
    x = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6}).x
    sigma = np.sqrt(np.maximum(np.diag(np.linalg.pinv(hessian(loss, x, 1e-3))), 0.0))
    spread = float(np.exp(x[1]))
    relative = spread / float(x[0])
    return Drift(
        {"nu": float(x[0]), "d2d_nu": relative},
        {"nu": float(sigma[0]), "d2d_nu": relative * float(np.hypot(sigma[1], sigma[0] / x[0]))},
    )
