"""The soft-bounds device as a law of the fit (`cimlab.mock_hw.devices.softbounds`).

Coordinates: where w = 0 lies (uS), ln c2c, ln sigma_read | each cell's step at w = 0 and its
bounds, uS | ln of their spreads. Weights have no scale of their own: w_max - w_min is that of
the model's defaults.
"""

from __future__ import annotations

import functools

import numpy as np

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
from cimlab.mock_hw.devices.softbounds import SoftBounds

SCALE = SoftBounds().w_max - SoftBounds().w_min
STEP_LEAST = 1e-4
"""uS; a step of no size would leave the noise, which is relative to it, without meaning."""


def law(v_least: float, data: Histories, traits: Array, shared: Array) -> Moves:
    """Moves of the cells for pulses that reach v_least volts; others change nothing."""
    up, felt = (data.v > 0)[:, None], (np.abs(data.v) >= v_least)[:, None]
    zero, c2c = shared[:, :1], np.exp(shared[:, 1:2])
    step, low, high = np.maximum(traits[..., 0], STEP_LEAST), traits[..., 1], traits[..., 2]
    bound = np.where(up, high, low)
    share = np.where(felt, step / np.maximum(np.abs(bound - zero), STEP_LEAST), 0.0)
    noise = np.where(felt, (step * c2c) ** 2, 0.0)
    count = np.where(felt, data.count[:, None], 1)
    keep, scatter, noise = repeated(1 - share, np.zeros(1), noise, count)
    return Moves(bound, keep, scatter, noise, np.exp(2 * shared[:, 2:3]), low, high)


def prepare(data: Histories) -> Prepared:
    """The problem, with a first guess from all cells' common curve."""
    demand(data)
    v_least = threshold(data)
    mine = functools.partial(law, v_least.value)
    own = extremes(data)
    low, high = np.median(own, axis=0)
    traits = np.concatenate([np.zeros((len(own), 1)), own], axis=1)
    middle = (low + high) / 2
    starts = [[middle, step * (high - low)] for step in (0.003, 0.02, 0.1)]
    sigma = read_sigma(data)
    noises = np.log([1.0, sigma])
    x = one_curve(data, mine, np.array(starts), noises, traits, common=1)
    step = float(np.clip(x[1], 1e-3 * (high - low), 0.5 * (high - low)))
    traits[:, 0] = step
    shared = np.array([np.clip(x[0], low, high), 0.0, np.log(2 * sigma)])
    spread = np.log([0.3 * step, 0.2 * low + 0.02 * high, 0.1 * high])
    free = np.ones(9, bool)
    free[6:] = len(own) >= CELLS_LEAST
    start = Population(shared, np.median(traits, axis=0), spread)
    problem = Problem(data, mine, np.arange(3), (1, 2), free)
    return Prepared(problem, start, traits, parameters, {"v_threshold": v_least.found})


def parameters(vector: Array) -> dict[str, float]:
    """The model's parameters, in its units."""
    zero, step, low, high = vector[[0, 3, 4, 5]]
    unit = (high - low) / SCALE
    w_min, w_max = (low - zero) / unit, (high - zero) / unit
    spread = np.exp(vector[6:])
    return {
        "g_min": low * MICRO,
        "g_max": high * MICRO,
        "sigma_read": np.exp(vector[2]) * MICRO,
        "dw_min": step / unit,
        "dw_min_d2d": spread[0] / step,
        "c2c": np.exp(vector[1]),
        "w_max": w_max,
        "w_max_d2d": spread[2] / (high - zero),
        "w_min": w_min,
        "w_min_d2d": spread[1] / (zero - low),
    }
