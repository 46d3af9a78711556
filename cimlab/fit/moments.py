"""The filter: what a cell's readings say of a model, its hidden conductance averaged out.

A step moves the hidden conductance g towards a bound b by a random share and adds noise::

    g' = b + (g - b) D + N(0, q),    E D = keep,  var D = scatter

and a reading shows g' with read noise. Mean and variance of g' follow exactly from those of g;
the reading then corrects them as in a Kalman filter, which is exact for Gaussians and nearly so
here: where read noise is small the corrected mean is the reading itself, where it is large a
step is small and its noise sums up to a Gaussian. Each reading's deviation from its prediction,
over its predicted sigma, is then standard normal if the model is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from cimlab.core.array import Mask
from cimlab.fit.histories import Array, Histories

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class Moves:
    """What each step does, broadcasting to (T, K, C) for K sets of parameters of C cells.

    Attributes:
        bound: Where the step leads to in the end, uS.
        keep: Mean share of the distance that remains.
        scatter: Variance of that share.
        noise: Variance added to g, uS^2.
        read: Variance of a single conversion, uS^2.
        low, high: Bounds that cut g' off, uS; None where a step cannot cross them.
    """

    bound: Array
    keep: Array
    scatter: Array
    noise: Array
    read: Array
    low: Array | None = None
    high: Array | None = None


def repeated(keep: Array, scatter: Array, noise: Array, count: Array) -> tuple[Array, Array, Array]:
    """Keep, scatter and noise of count equal steps, one after another."""
    square = keep * keep
    second = square + scatter
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.abs(second - 1) > 1e-9, (1 - second**count) / (1 - second), count)
    return keep**count, second**count - square**count, noise * ratio


def predict(data: Histories, moves: Moves) -> tuple[Array, Array]:
    """Deviations of the readings from their predictions, and the variances of those, (T, K, C).

    Both are NaN where there is no reading, or no earlier one to predict it from.
    """
    bound, keep, scatter, noise, read = np.broadcast_arrays(
        moves.bound, moves.keep, moves.scatter, moves.noise, moves.read
    )
    shape = bound.shape
    deviation, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    mean, spread = np.zeros(shape[1:]), np.zeros(shape[1:])
    known: Mask = np.zeros(shape[2], bool)
    cut = None
    if moves.low is not None and moves.high is not None:
        cut = np.broadcast_to(moves.low, shape), np.broadcast_to(moves.high, shape)
    seen: Mask = data.seen
    some_fresh: Mask = np.asarray(data.fresh.any(axis=1))
    for t in range(shape[0]):
        if some_fresh[t]:
            known &= ~data.fresh[t]
        distance = mean - bound[t]
        mean = bound[t] + distance * keep[t]
        spread = spread * (keep[t] ** 2 + scatter[t]) + distance**2 * scatter[t] + noise[t]
        if cut is not None:
            mean, spread = _clipped(mean, spread, cut[0][0], cut[1][0], data.v[t] != 0)
        now = seen[t]
        error = read[t] / data.averages[t]
        update = now & known
        e, s = data.g[t] - mean, spread + error
        deviation[t] = np.where(update, e, np.nan)
        variance[t] = np.where(update, s, np.nan)
        gain = np.where(update, spread / s, 0.0)
        first = now & ~known
        mean = np.where(first, data.g[t], mean + gain * np.where(update, e, 0.0))
        spread = np.where(first, error, spread * (1 - gain))
        known = known | now
    return deviation, variance


def open_loop(data: Histories, moves: Moves) -> Array:
    """The mean course from the first reading after a beginning on, never corrected, (T, K, C)."""
    bound, keep = np.broadcast_arrays(moves.bound, moves.keep)
    course = np.full(keep.shape, np.nan)
    mean = np.full(keep.shape[1:], np.nan)
    for t in range(len(course)):
        mean = bound[t] + (mean - bound[t]) * keep[t]
        if moves.low is not None and moves.high is not None:
            mean = np.clip(mean, moves.low, moves.high)
        begins = data.fresh[t] | ~np.isfinite(mean)
        course[t] = mean = np.where(
            begins & data.seen[t], data.g[t], np.where(begins, np.nan, mean)
        )
    return course


def _clipped(
    mean: Array, spread: Array, low: Array, high: Array, pulsed: Array
) -> tuple[Array, Array]:
    """Mean and variance of a Gaussian cut off at both bounds, its tails put onto them."""
    sigma = np.sqrt(np.maximum(spread, 1e-12))
    a, b = (low - mean) / sigma, (high - mean) / sigma
    below, above = ndtr(a), ndtr(-b)
    edge_a, edge_b = (np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) for x in (a, b))
    inside = 1 - below - above
    first = inside * mean + sigma * (edge_a - edge_b) + low * below + high * above
    # around the new mean, so that nothing cancels
    da, db, dm = low - first, high - first, mean - first
    second = inside * (dm**2 + spread) + 2 * dm * sigma * (edge_a - edge_b)
    second += spread * (a * edge_a - b * edge_b) + da**2 * below + db**2 * above
    return np.where(pulsed, first, mean), np.where(pulsed, np.maximum(second, 0.0), spread)


def log_likelihood(deviation: Array, variance: Array) -> Array:
    """Of each set of parameters and cell, (K, C)."""
    terms = deviation**2 / variance + np.log(variance) + LOG_2PI
    total: Array = -0.5 * np.nansum(terms, axis=0)
    return total
