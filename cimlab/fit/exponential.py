"""NeuroSim's exponential device as a law of the fit (`cimlab.mock_hw.devices.exponential`).

Coordinates: ln p_max, ln c2c, ln sigma_read | ln a_ltp, ln a_ltd, ln of each cell's bounds | ln of
their spreads, the curvatures' shared.
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


def law(v_least: float, data: Histories, traits: Array, shared: Array) -> Moves:
    """Moves of the cells for pulses that reach v_least volts; others change nothing."""
    up, felt = (data.v > 0)[:, None], (np.abs(data.v) >= v_least)[:, None]
    p_max, c2c = np.exp(shared[:, :1]), np.exp(shared[:, 1:2])
    low, high = np.exp(traits[..., 2]), np.exp(traits[..., 3])
    span = high - low
    a_up, a_down = np.exp(traits[..., 0]), np.exp(traits[..., 1])
    # where a curve would end if the cell's bound did not cut it off
    top = low + span / -np.expm1(-p_max / a_up)
    bottom = high - span / -np.expm1(-p_max / a_down)
    bound = np.where(up, top, bottom)
    keep = np.where(felt, np.where(up, np.exp(-1 / a_up), np.exp(-1 / a_down)), 1.0)
    noise = np.where(felt, (c2c * span) ** 2, 0.0)
    count = np.where(felt, data.count[:, None], 1)
    keep, scatter, noise = repeated(keep, np.zeros(1), noise, count)
    return Moves(bound, keep, scatter, noise, np.exp(2 * shared[:, 2:3]), low, high)


def prepare(data: Histories) -> Prepared:
    """The problem, with a first guess from all cells' common curve."""
    demand(data)
    v_least = threshold(data)
    mine = functools.partial(law, v_least.value)
    own = np.log(extremes(data))
    traits = np.concatenate([np.zeros((len(own), 2)), own], axis=1)
    sigma = read_sigma(data)
    starts = np.log([[p, a * p, a * p] for p in (15, 60, 250) for a in (0.3, 2.0)])
    noises = np.log([0.05, sigma])
    x = one_curve(data, mine, starts, noises, traits, common=2)
    traits[:, :2] = x[1:]
    shared = np.array([x[0], np.log(0.05), np.log(2 * sigma)])
    free = np.ones(10, bool)
    free[7:] = len(own) >= CELLS_LEAST
    start = Population(shared, np.median(traits, axis=0), np.log([0.2, 0.15, 0.1]))
    problem = Problem(data, mine, np.array([0, 0, 1, 2]), (1, 2), free)
    return Prepared(problem, start, traits, parameters, {"v_threshold": v_least.found})


def parameters(vector: Array) -> dict[str, float]:
    """The model's parameters, in its units."""
    p_max, c2c, sigma, a_ltp, a_ltd, low, high, *d2d = np.exp(vector)
    return {
        "g_min": low * MICRO,
        "g_max": high * MICRO,
        "sigma_read": sigma * MICRO,
        "p_max": p_max,
        "a_ltp": a_ltp,
        "a_ltd": a_ltd,
        "c2c": c2c,
        "d2d_a": d2d[0],
        "d2d_g_min": d2d[1],
        "d2d_g_max": d2d[2],
    }
