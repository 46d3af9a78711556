"""What happens at rest: creep and diffusion of the bulk-switching RRAM, from retention runs.

Between two reads, dt seconds apart, a cell below g_rest covers the share 1 - exp(-dt / tau_rest)
of its way there, and every cell diffuses (`cimlab.mock_hw.devices.brram`). The filter is that of
`moments`; the read noise is known from the other runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr

from cimlab.fit.histories import MICRO, Array, Histories
from cimlab.mock_hw.devices.brram import HOUR

NAMES = ("g_rest", "tau_rest", "diffusion")


@dataclass(frozen=True, slots=True)
class Drift:
    """Parameters of the drift.

    Attributes:
        values: By name, in the model's units.
        errors: Standard errors, from the Hessian.
    """

    values: dict[str, float]
    errors: dict[str, float]


def drift(data: Histories, sigma_read: float) -> Drift:
    """Fit the drift to histories of cells at rest; sigma_read in S."""
    read = (sigma_read / MICRO) ** 2

    def loss(x: Array) -> float:
        return -_log_likelihood(data, x, read)

    low, high = np.nanpercentile(data.g, [5, 95])
    tries = [
        minimize(
            loss,
            [low + share * (high - low), np.log(tau), np.log(0.1)],
            method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-4, "maxiter": 2000},
        )
        for share in (0.2, 0.5)
        for tau in (data.time.max(), 10 * data.time.max())
    ]
    best = min(tries, key=lambda found: float(found.fun)).x
    covariance = np.linalg.pinv(hessian(loss, best))
    sigma = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    values = np.array([best[0] * MICRO, np.exp(best[1]), np.exp(best[2]) * MICRO])
    errors = sigma * np.array([MICRO, values[1], values[2]])
    return Drift(
        dict(zip(NAMES, map(float, values), strict=True)),
        dict(zip(NAMES, map(float, errors), strict=True)),
    )


def _log_likelihood(data: Histories, x: Array, read: float) -> float:
    g_rest, tau, diffusion = x[0], np.exp(x[1]), np.exp(x[2])
    fresh = data.fresh | (data.v != 0)
    mean, spread = np.zeros(data.cells.size), np.zeros(data.cells.size)
    known = np.zeros(data.cells.size, bool)
    last = data.time[0]
    total = 0.0
    for t in range(len(data.time)):
        known = known & ~fresh[t]
        dt = np.where(known, np.maximum(data.time[t] - last, 0.0), 0.0)
        last = data.time[t]
        creep = -np.expm1(-dt / tau)
        # the mean of max(g_rest - g, 0), and how many of the possible g lie below
        sigma = np.sqrt(np.maximum(spread, 1e-12))
        z = (g_rest - mean) / sigma
        below = ndtr(z)
        mean = mean + creep * (sigma * z * below + sigma * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
        spread = spread * (1 - creep * below) ** 2 + diffusion**2 * dt / HOUR
        error = read / data.averages[t]
        seen = data.seen[t]
        update = seen & known
        s, e = spread + error, np.where(update, data.g[t] - mean, 0.0)
        total -= 0.5 * float(np.sum(np.where(update, e * e / s + np.log(s), 0.0)))
        gain = np.where(update, spread / s, 0.0)
        first = seen & ~known
        mean = np.where(first, data.g[t], mean + gain * e)
        spread = np.where(first, error, spread * (1 - gain))
        known = known | seen
    return total


def hessian(loss: Callable[[Array], float], x: Array, step: float = 0.02) -> Array:
    """Second derivatives by central differences."""
    n = x.size
    out = np.empty((n, n))
    eye = step * np.eye(n)
    for i in range(n):
        for j in range(i + 1):
            out[i, j] = out[j, i] = (
                loss(x + eye[i] + eye[j])
                - loss(x + eye[i] - eye[j])
                - loss(x - eye[i] + eye[j])
                + loss(x - eye[i] - eye[j])
            ) / (4 * step * step)
    return out
