"""Maximum likelihood over a population of cells: shared parameters, and traits that spread.

Each cell c has traits t_c ~ N(mean, diag(spread^2)) and all share parameters s. The likelihood of
a cell's readings (`moments`) is expanded to second order in (t_c, s), the traits are integrated
out in closed form, and the sum over cells is maximised over (s, mean, ln spread); this is
repeated around the new point until nothing moves: the Laplace approximation of the marginal
likelihood. With hundreds of readings a cell it is close to exact. The curvature is the Fisher
information of the predictions, which needs first derivatives only. How it changes with s matters
where s is itself a noise (a fit of p traits to n readings would make it too small by p/2n), so
that derivative is kept for those.

Standard errors are from the Hessian of the marginal log-likelihood at its maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from cimlab.fit.histories import Array, Histories
from cimlab.fit.moments import Moves, log_likelihood, predict

Law: TypeAlias = Callable[[Histories, Array, Array], Moves]
"""(data, traits (K, C, p), shared (K, q)) -> moves of the cells."""

STEP = 1e-5
"""Of difference quotients; all coordinates are numbers near one."""
REACH = 0.4
"""Largest change of a coordinate in one iteration."""
RESTED = 1e-3
"""Movement below which the maximum is found."""
SLACK = 1e-2
"""Loss of log-likelihood that rounding may cause."""
FLAT = 1e-4
"""Curvature below which a direction is told by nothing: a sigma of 100, of numbers near one."""
POOR = 5.0
"""Median deviations below the median log-likelihood at which a cell may be in the wrong place."""
BLOCK = 128
"""Cells predicted at a time, for the memory's sake."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """Second-order expansion of each cell's log-likelihood around (traits, shared).

    Attributes:
        value: (C,).
        slope: (C, p + q).
        information: (C, p + q, p + q), positive semi-definite.
        drift: Change of the traits' information with each noise, (len(noises), C, p, p).
    """

    value: Array
    slope: Array
    information: Array
    drift: Array


@dataclass(frozen=True, slots=True)
class Population:
    """A population's parameters, in the coordinates of its law.

    Attributes:
        shared: (q,).
        mean: Of the traits, (p,).
        spread: ln sigma of the traits, one for each group, (groups,).
    """

    shared: Array
    mean: Array
    spread: Array

    @property
    def vector(self) -> Array:
        """All in one, (q + p + groups,)."""
        return np.concatenate([self.shared, self.mean, self.spread])

    def like(self, vector: Array) -> Population:
        """The same with other numbers."""
        q, p = self.shared.size, self.mean.size
        return Population(vector[:q], vector[q : q + p], vector[q + p :])


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be maximised.

    Attributes:
        data: Histories of the cells.
        law: What a step does.
        groups: Which spread each trait has, (p,).
        noises: Which shared parameters are noises.
        free: Which of the population's numbers are estimated, (q + p + groups,).
    """

    data: Histories
    law: Law
    groups: NDArray[np.int64]
    noises: Sequence[int]
    free: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What came out.

    Attributes:
        population: The maximum.
        covariance: Of its vector, from the Hessian; NaN for what was not free.
        traits: Each cell's most probable traits, (C, p).
        log_likelihood: Marginal, all cells.
        iterations: Used.
        converged: Whether it came to rest.
    """

    population: Population
    covariance: Array
    traits: Array
    log_likelihood: float
    iterations: int
    converged: bool


def maximise(problem: Problem, start: Population, traits: Array, iterations: int = 100) -> Estimate:
    """Maximise the marginal likelihood from a start and each cell's first guess (C, p)."""
    # threads would spend their time waiting for each other: matrices here are tiny
    with threadpool_limits(1):
        return _maximised(problem, start, traits, iterations)


def _maximised(problem: Problem, start: Population, traits: Array, iterations: int) -> Estimate:
    traits, _ = _settled(problem, start, traits, rounds=30)
    here, at = start, expand(problem, traits, start.shared)
    merit, reach, n = _merit(problem, at, here, traits), REACH, 0
    for n in range(1, iterations + 1):  # noqa: B007 - reported
        there = _climb(problem, at, here, traits, reach)
        moved = _modes(problem, at, here, there, traits)
        moved = np.clip(moved, traits - REACH, traits + REACH)
        moved = _rescued(problem, there, *_settled(problem, there, moved, rounds=3))
        size = np.abs(there.vector - here.vector).max()
        ahead = expand(problem, moved, there.shared)
        gain = _merit(problem, ahead, there, moved) - merit
        if gain < -SLACK:
            reach = size / 4
        else:
            here, traits, at, merit = there, moved, ahead, merit + gain
            reach = min(REACH, 2 * reach)
        if size < RESTED:
            break
    covariance = _covariance(problem, at, here, traits)
    value = float(_marginal(problem, at, here, here, traits).sum())
    return Estimate(here, covariance, traits, value, n, n < iterations)


def _settled(problem: Problem, here: Population, traits: Array, rounds: int) -> tuple[Array, Array]:
    """Each cell's most probable traits, by Newton steps that each cell takes or refuses alone.

    Returns:
        The traits (C, p), and the logarithm of their probability with the readings, (C,).
    """
    p = traits.shape[1]
    precision = np.exp(-2 * here.spread[problem.groups])
    reach = np.full(len(traits), REACH)

    def derivatives(t: Array) -> tuple[Array, Array, Array]:
        value, slope, information = _derivatives(problem, t, here.shared)
        away = here.mean - t
        value = value - 0.5 * (away**2 * precision).sum(axis=1)
        return value, slope[:, :p] + precision * away, information[:, :p, :p] + np.diag(precision)

    value, slope, curvature = derivatives(traits)
    for _ in range(rounds):
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        size = np.abs(step).max(axis=1)
        if size.max() < RESTED:
            break
        step *= np.minimum(1.0, reach / np.maximum(size, reach))[:, None]
        ahead = derivatives(traits + step)
        better = ahead[0] >= value
        reach = np.where(better, 2 * np.minimum(reach, size), np.minimum(reach, size) / 4)
        traits = np.where(better[:, None], traits + step, traits)
        value = np.where(better, ahead[0], value)
        slope = np.where(better[:, None], ahead[1], slope)
        curvature = np.where(better[:, None, None], ahead[2], curvature)
        if reach.max() < RESTED:
            break
    return traits, value


def _rescued(problem: Problem, here: Population, traits: Array, value: Array) -> Array:
    """The same, but cells that lag far behind the others start again from the population's mean."""
    middle = np.median(value)
    poor = value < middle - POOR * np.median(np.abs(value - middle))
    if not poor.any():
        return traits
    fewer = replace(problem, data=problem.data.of(poor))
    again, better = _settled(fewer, here, np.tile(here.mean, (poor.sum(), 1)), rounds=20)
    traits = traits.copy()
    traits[poor] = np.where((better > value[poor])[:, None], again, traits[poor])
    return traits


def expand(problem: Problem, traits: Array, shared: Array) -> Expansion:
    """Expand around each cell's traits (C, p) and the shared parameters (q,)."""
    value, slope, information = _derivatives(problem, traits, shared)
    p = traits.shape[1]
    drift = []
    for j in problem.noises:
        step = np.zeros(shared.size)
        step[j] = 0.05
        up = _derivatives(problem, traits, shared + step)[2][:, :p, :p]
        down = _derivatives(problem, traits, shared - step)[2][:, :p, :p]
        drift.append((up - down) / 0.1)
    return Expansion(value, slope, information, np.array(drift).reshape(-1, len(traits), p, p))


def _derivatives(problem: Problem, traits: Array, shared: Array) -> tuple[Array, Array, Array]:
    parts = []
    for first in range(0, len(traits), BLOCK):
        some = np.zeros(len(traits), bool)
        some[first : first + BLOCK] = True
        parts.append(_block(problem.law, problem.data.of(some), traits[some], shared))
    value, slope, information = (np.concatenate(part) for part in zip(*parts, strict=True))
    return value, slope, information


def _block(law: Law, data: Histories, traits: Array, shared: Array) -> tuple[Array, Array, Array]:
    p, q = traits.shape[1], shared.size
    k = 1 + p + q
    steps = STEP * np.eye(k)[:, 1:]
    moves = law(data, traits + steps[:, None, :p], shared + steps[:, p:])
    deviation, variance = predict(data, moves)
    value = log_likelihood(deviation[:, :1], variance[:, :1])[0]
    e, s = np.nan_to_num(deviation[:, 0]), np.nan_to_num(variance[:, 0], nan=1.0)
    de = np.nan_to_num(deviation[:, 1:] - deviation[:, :1]) / STEP
    ds = np.nan_to_num(variance[:, 1:] - variance[:, :1]) / STEP / s[:, None]
    weight = (e**2 / s - 1) / 2
    slope = -np.einsum("tc,tkc->ck", e / s, de) + np.einsum("tc,tkc->ck", weight, ds)
    de /= np.sqrt(s)[:, None]
    information = np.einsum("tkc,tlc->ckl", de, de, optimize=True)
    information += 0.5 * np.einsum("tkc,tlc->ckl", ds, ds, optimize=True)
    return value, slope, information


def _marginal(
    problem: Problem, at: Expansion, here: Population, there: Population, traits: Array
) -> Array:
    """Log-likelihood of each cell at another population, its traits integrated out, (C,)."""
    p = traits.shape[1]
    shift = there.shared - here.shared
    precision, pull, matrix = _posterior(problem, at, here, there, traits)
    solved = np.linalg.solve(matrix, pull[..., None])[..., 0]
    away = there.mean - traits
    value = at.value + at.slope[:, p:] @ shift
    value -= 0.5 * np.einsum("k,ckl,l->c", shift, at.information[:, p:, p:], shift)
    value += 0.5 * (pull * solved).sum(axis=1) - 0.5 * np.linalg.slogdet(matrix)[1]
    value += 0.5 * np.log(precision).sum() - 0.5 * (away**2 * precision).sum(axis=1)
    result: Array = value
    return result


def _posterior(
    problem: Problem, at: Expansion, here: Population, there: Population, traits: Array
) -> tuple[Array, Array, Array]:
    """Prior precision (p,), gradient (C, p) and curvature (C, p, p) of the traits' posterior."""
    p = traits.shape[1]
    shift = there.shared - here.shared
    precision = np.exp(-2 * there.spread[problem.groups])
    information = at.information[:, :p, :p] + np.einsum(
        "j,jckl->ckl", shift[list(problem.noises)], at.drift
    )
    pull = at.slope[:, :p] - at.information[:, :p, p:] @ shift
    pull += precision * (there.mean - traits)
    return precision, pull, information + np.diag(precision)


def _merit(problem: Problem, at: Expansion, here: Population, traits: Array) -> float:
    """Log-likelihood with the traits where they are, less what integrating them out costs."""
    _, pull, matrix = _posterior(problem, at, here, here, traits)
    solved = np.linalg.solve(matrix, pull[..., None])[..., 0]
    gained = 0.5 * (pull * solved).sum()
    return float(_marginal(problem, at, here, here, traits).sum() - gained)


def _modes(
    problem: Problem, at: Expansion, here: Population, there: Population, traits: Array
) -> Array:
    _, pull, matrix = _posterior(problem, at, here, there, traits)
    modes: Array = traits + np.linalg.solve(matrix, pull[..., None])[..., 0]
    return modes


def _climb(
    problem: Problem, at: Expansion, here: Population, traits: Array, reach: float
) -> Population:
    """The maximum of the expanded marginal likelihood, within reach."""
    free, start = problem.free, here.vector

    def loss(x: Array) -> float:
        vector = start.copy()
        vector[free] = x
        return -float(_marginal(problem, at, here, here.like(vector), traits).sum())

    x = start[free]
    bounds = [(float(value) - reach, float(value) + reach) for value in x]
    found = minimize(loss, x, method="L-BFGS-B", bounds=bounds)
    vector = start.copy()
    vector[free] = found.x
    return here.like(vector)


def _covariance(problem: Problem, at: Expansion, here: Population, traits: Array) -> Array:
    """Inverse Hessian of the free numbers, large along ridges; NaN elsewhere."""
    where = np.flatnonzero(problem.free).tolist()
    h = 1e-3

    def value(i: int, di: float, j: int, dj: float) -> float:
        vector = here.vector.copy()
        vector[i] += di
        vector[j] += dj
        return float(_marginal(problem, at, here, here.like(vector), traits).sum())

    hessian = np.empty((len(where), len(where)))
    for a, i in enumerate(where):
        for b, j in enumerate(where[: a + 1]):
            mixed = value(i, h, j, h) - value(i, h, j, -h) - value(i, -h, j, h)
            hessian[a, b] = hessian[b, a] = -(mixed + value(i, -h, j, -h)) / (4 * h * h)
    full = np.full((here.vector.size, here.vector.size), np.nan)
    curvature, directions = np.linalg.eigh(hessian)
    # along a ridge rounding decides the sign, and nothing is known
    full[np.ix_(where, where)] = (directions / np.maximum(curvature, FLAT)) @ directions.T
    return full
