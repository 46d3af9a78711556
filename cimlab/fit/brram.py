"""The bulk-switching RRAM as a law of the fit (`cimlab.mock_hw.devices.brram`).

Coordinates: ln slope_set, ln slope_reset, width_exponent, ln c2c, ln sigma_read | each cell's SET
and RESET threshold (V) and ln of its bounds | ln of their spreads, the thresholds' shared.
"""

from __future__ import annotations

import numpy as np

from cimlab.fit.family import (
    CELLS_LEAST,
    Prepared,
    demand,
    extremes,
    one_curve,
    read_sigma,
    scanned,
)
from cimlab.fit.histories import MICRO, Array, Histories
from cimlab.fit.moments import Moves, repeated
from cimlab.fit.population import Population, Problem
from cimlab.mock_hw.devices.brram import WIDTH_REFERENCE, BulkRram
from cimlab.mock_hw.devices.kernels import RATE_MAX

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
SAME = 1.05
"""Widths within this factor say nothing of the exponent; nor do amplitudes of the slope."""


def law(data: Histories, traits: Array, shared: Array) -> Moves:
    """Moves of the cells; the share of a pulse is averaged over the noise of its rate."""
    t, c = np.nonzero(data.v != 0)
    v, width = data.v[t, c], data.width[t, c]
    slope = np.exp(np.where(v > 0, shared[:, :1], shared[:, 1:2]))
    threshold = np.where(v > 0, traits[:, c, 0], traits[:, c, 1])
    log_rate = (np.abs(v) - threshold) / slope
    log_rate += shared[:, 2:3] * np.log(width / WIDTH_REFERENCE)
    noise = np.exp(shared[:, 3:4]) * NODES[:, None, None]
    shares = np.exp(-np.exp(np.minimum(log_rate + noise, RATE_MAX)))
    mean = np.tensordot(WEIGHTS, shares, 1)
    variance = np.tensordot(WEIGHTS, (shares - mean) ** 2, 1)
    mean, variance, _ = repeated(mean, variance, np.zeros(1), data.count[t, c])
    keep = np.ones((data.v.shape[0], len(shared), data.v.shape[1]))
    scatter = np.zeros_like(keep)
    keep[t, :, c], scatter[t, :, c] = mean.T, variance.T
    bound = np.exp(np.where((data.v > 0)[:, None], traits[:, :, 3], traits[:, :, 2]))
    return Moves(bound, keep, scatter, np.zeros(1), np.exp(2 * shared[:, 4:5]))


def prepare(data: Histories) -> Prepared:
    """The problem, with a first guess from all cells' common curve."""
    demand(data)
    free = _free(data)
    default = BulkRram()
    traits = np.zeros((data.cells.size, 4))
    traits[:, 2:] = np.log(extremes(data))
    amplitude = np.abs(data.v[data.v != 0])
    starts = [
        [np.log(0.2), np.log(0.3), 0.3, v, v] for v in np.quantile(amplitude, [0.35, 0.6, 0.85])
    ]
    x = one_curve(data, law, np.array(starts), np.log([0.3, 1.0]), traits, common=2)
    # guesses of the noises that are too large forgive the other guesses
    shared = np.array([*x[:3], np.log(0.6), np.log(3 * read_sigma(data))])
    fixed = [np.log(default.slope_set), np.log(default.slope_reset), default.width_exponent]
    shared[:3] = np.where(free[:3], shared[:3], fixed)
    spread = np.log([0.1, 0.15, 0.1])
    if not free[9:].all():
        spread = np.log([default.d2d_threshold, default.d2d_g_min, default.d2d_g_max])
    start = Population(shared, np.append(x[3:], np.median(traits[:, 2:], axis=0)), spread)
    traits[:, :2] = x[3:]
    for side in (0, 1):
        traits = scanned(data, law, shared, traits, side, np.linspace(-0.4, 0.4, 9))
    problem = Problem(data, law, np.array([0, 0, 1, 2]), (3, 4), free)
    return Prepared(problem, start, traits, parameters)


def _free(data: Histories) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """What these histories can tell: slopes need amplitudes, the exponent widths."""
    free = np.ones(12, bool)
    for k, side in enumerate((data.v > 0, data.v < 0)):
        free[k] = np.ptp(np.log(np.abs(data.v[side]))) > np.log(SAME)
    free[2] = np.ptp(np.log(data.width[data.v != 0])) > np.log(SAME)
    free[9:] = data.cells.size >= CELLS_LEAST
    return free


def parameters(vector: Array) -> dict[str, float]:
    """The model's parameters, in its units."""
    slope_set, slope_reset, c2c, sigma = np.exp(vector[[0, 1, 3, 4]])
    g_min, g_max = np.exp(vector[7:9]) * MICRO
    d2d = np.exp(vector[9:])
    return {
        "g_min": g_min,
        "g_max": g_max,
        "sigma_read": sigma * MICRO,
        "v_set": vector[5],
        "v_reset": vector[6],
        "slope_set": slope_set,
        "slope_reset": slope_reset,
        "width_exponent": vector[2],
        "c2c": c2c,
        "d2d_threshold": d2d[0],
        "d2d_g_min": d2d[1],
        "d2d_g_max": d2d[2],
    }
