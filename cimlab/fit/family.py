"""What the fit needs to know of a device model: a family of laws, and how to begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from cimlab.core.errors import ConfigError
from cimlab.fit.histories import Array, Histories
from cimlab.fit.moments import log_likelihood, predict
from cimlab.fit.population import Law, Population, Problem

CELLS_LEAST = 3
"""Fewer cells say nothing of their spread."""
READINGS_LEAST = 30
PULSES = "run `cimlab sweep pulses` with both SET and RESET trains (docs/fit.md, the recipe)"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model ready to be fitted to some histories.

    Attributes:
        problem: What is to be maximised.
        start: Where to begin.
        traits: Where each cell begins, (C, p).
        parameters: The model's parameters, in its units, of a population's vector.
        known: Parameters found beforehand: value, and standard error or None.
    """

    problem: Problem
    start: Population
    traits: Array
    parameters: Callable[[Array], dict[str, float]]
    known: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)


def demand(data: Histories) -> None:
    """Refuse histories that no model can be fitted to.

    Raises:
        ConfigError: Says which sweep to run.
    """
    for name, there in (("SET", (data.v > 0).any()), ("RESET", (data.v < 0).any())):
        if not there:
            raise ConfigError(f"the runs hold no {name} pulses; {PULSES}")
    after = data.seen & (data.v != 0) & ~data.fresh
    for name, side in (("SET", after & (data.v > 0)), ("RESET", after & (data.v < 0))):
        if side.sum() < READINGS_LEAST:
            raise ConfigError(
                f"the runs hold {side.sum()} readings after {name} pulses that are not saturated, "
                f"at least {READINGS_LEAST} are needed; {PULSES}"
            )


def steps(data: Histories) -> tuple[Array, NDArray[np.bool_]]:
    """The reading before each step, and where a pulse has a reading before and after, (T, C)."""
    before = np.roll(data.g, 1, axis=0)
    usable = data.seen & ~data.fresh & (data.v != 0) & np.isfinite(before)
    usable[0] = False
    return before, usable


def window(data: Histories) -> tuple[float, float]:
    """Nearly the lowest and the highest reading of all, uS, both positive."""
    low, high = np.nanpercentile(data.g, [2, 98])
    return max(float(low), 0.01 * float(high)), float(high)


def read_sigma(data: Histories) -> float:
    """Sigma of a single conversion, uS, from readings with nothing in between; else a guess.

    Readings that repeat exactly leave it at a ten-thousandth of the range: nothing is known better
    than the converter's codes tell it, and a fit weighs by what is known.
    """
    before = np.roll(data.g, 1, axis=0)
    rest = data.seen & ~data.fresh & (data.v == 0) & np.isfinite(before)
    rest[0] = False
    low, high = window(data)
    if not rest.any():
        return 0.03 * (high - low)
    sigma = np.sqrt(np.mean(((data.g - before) ** 2 * data.averages / 2)[rest]))
    return float(max(sigma, 1e-4 * (high - low)))


def extremes(data: Histories) -> Array:
    """Nearly the lowest and the highest reading of each cell, uS, (C, 2), kept apart."""
    low, high = np.nanpercentile(data.g, [3, 97], axis=0)
    floor, top = window(data)
    low = np.maximum(low, 0.3 * floor)
    return np.stack([low, np.maximum(high, low + 0.05 * (top - floor))], axis=1)


def one_curve(
    data: Histories, law: Law, starts: Array, noises: Array, traits: Array, common: int
) -> Array:
    """Least squares of all cells together, each reading predicted from the one before.

    Args:
        data: The histories.
        law: What a step does.
        starts: Where to begin, (n, .): shared coordinates, then traits; the best end is returned.
        noises: Last shared coordinates, which have no say in means.
        traits: Each cell's traits, (C, p); those that are not fitted come last. Bounds must be
            the cells' own, or a curve that never reaches them would seem best.
        common: How many traits are fitted, the same for all cells.
    """
    before, usable = steps(data)
    low, high = window(data)

    def miss(x: Array) -> Array:
        mine = traits.copy()
        mine[:, :common] = x[x.size - common :]
        moves = law(data, mine[None], np.concatenate([x[: x.size - common], noises])[None])
        bound, keep = np.broadcast_arrays(moves.bound, moves.keep)
        wanted = bound[:, 0] + (before - bound[:, 0]) * keep[:, 0]
        return np.asarray((wanted - data.g)[usable] / (high - low))

    found = [least_squares(miss, x) for x in starts]
    return np.asarray(min(found, key=lambda f: float(f.cost)).x)


def scanned(
    data: Histories, law: Law, shared: Array, traits: Array, which: int, shifts: Array
) -> Array:
    """Each cell's traits (C, p), one of them moved by the shift that suits its readings best."""
    tries = np.repeat(traits[None], shifts.size, axis=0)
    tries[:, :, which] += shifts[:, None]
    moves = law(data, tries, np.tile(shared, (shifts.size, 1)))
    best = log_likelihood(*predict(data, moves)).argmax(axis=0)
    traits = traits.copy()
    traits[:, which] += shifts[best]
    return traits


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least amplitude that moves a cell, V.

    Attributes:
        value: To be used with these histories.
        error: Standard error; None where every amplitude moved the cells, and the threshold may
            be anywhere below.
    """

    value: float
    error: float | None

    @property
    def found(self) -> tuple[float, float | None]:
        """Value and error."""
        return self.value, self.error


def threshold(data: Histories, sides: tuple[int, ...] = (1, -1)) -> Threshold:
    """Between the largest amplitude that moves no cell and the least that does, SET, RESET or both.

    An amplitude changes something if readings before and after it differ by more than two
    readings at rest would; the error is that of a uniform distribution between the two.
    """
    before, usable = steps(data)
    usable &= np.isin(np.sign(data.v), sides)
    amplitude = np.round(np.abs(data.v), 6)
    square = (data.g - before) ** 2 * data.averages / 2
    quiet = read_sigma(data) ** 2
    idle = 0.0
    levels = np.unique(amplitude[usable])
    for level in levels:
        some = square[usable & (amplitude == level)]
        if some.mean() > quiet * (1 + 4 * np.sqrt(2 / some.size)):
            break
        idle = float(level)
    moving = levels[levels > idle]
    if moving.size == 0:
        raise ConfigError(f"no pulse of these runs moves a cell beyond the read noise; {PULSES}")
    if idle == 0.0:
        return Threshold(float(levels[0]), None)
    first = float(moving[0])
    return Threshold((idle + first) / 2, (first - idle) / np.sqrt(12))
