"""Any step of aihwkit as a table of jumps: devices that none of the models here describes.

aihwkit's pulsed devices are a mean step that depends on the weight, with relative Gaussian noise,
between two bounds. Sampled on a grid of weights and of the noise's quantiles, that is a jump
table, which `replay` resamples: the mean cell and its noise from pulse to pulse. What differs from
cell to cell there is lost, as a jump table knows one cell.

    constant   y = 1
    linear     y = 1 - gamma w / bound
    exp        y = max(0, 1 - A exp(+- gamma z)),  z = 2 a w / (w_max - w_min) + b

w' = w +- dw (y + y dw_min_std N(0, 1)); dw_min and the bias up_down make dw of either direction.
The noise of a linear step scales with y only if it is multiplicative (mult_noise). Write noise, a
state of its own, and leakage are not modelled. From the sources of aihwkit (rpucuda/), not run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.files import number
from cimlab.mock_hw.devices.replay import BIN_LEAST, BINS_MOST, Jumps, Replay

Numbers: TypeAlias = Mapping[str, float]
Weights: TypeAlias = NDArray[np.float64]
V_TABLES = 2.0
"""Amplitude that the tables are labelled with, V; `replay` takes the nearest."""


def _constant(words: Numbers, up: bool, w: Weights) -> Weights:
    return np.ones_like(w)


def _linear(words: Numbers, up: bool, w: Weights) -> Weights:
    side, bound = ("gamma_up", "w_max") if up else ("gamma_down", "w_min")
    return 1 - words[side] * w / words[bound]


def _exponential(words: Numbers, up: bool, w: Weights) -> Weights:
    z = 2 * words["a"] * w / (words["w_max"] - words["w_min"]) + words["b"]
    size, gamma = (
        (words["A_up"], words["gamma_up"]) if up else (words["A_down"], -words["gamma_down"])
    )
    return np.maximum(1 - size * np.exp(gamma * z), 0)


_EVERY = ("dw_min", "up_down", "dw_min_std", "w_min", "w_max")
_GAMMAS = ("gamma_up", "gamma_down")
STEPS: Mapping[str, tuple[tuple[str, ...], Callable[[Numbers, bool, Weights], Weights]]] = {
    "ConstantStepDevice": ((), _constant),
    "LinearStepDevice": (_GAMMAS, _linear),
    "ExpStepDevice": ((*_GAMMAS, "a", "b", "A_up", "A_down"), _exponential),
}
"""aihwkit's classes: their own words, and how the step depends on the weight, in nominal steps."""


def replayed(kind: str, arguments: Mapping[str, object], **parameters: float) -> Replay:
    """The mean cell of an aihwkit device as a replay device.

    Args:
        kind: One of STEPS.
        arguments: aihwkit's, by aihwkit's names; those that do not matter here may be there, too.
        parameters: Of the replay device: g_min, g_max (S), sigma_read, v_threshold.

    Raises:
        ConfigError: An argument is missing or impossible.
    """
    own, rule = STEPS[kind]
    for word in ("dw_min_std_add", "dw_min_std_slope"):
        if arguments.get(word):
            raise ConfigError(f"aihwkit device: {word} is not modelled")
    try:
        words = {word: number(f"aihwkit device: {word}", arguments[word]) for word in _EVERY + own}
    except KeyError as error:
        raise ConfigError(f"aihwkit device: {error} is missing") from error
    low, high = words["w_min"], words["w_max"]
    if not low < 0 < high:
        raise ConfigError(f"aihwkit device: bounds {low!r} and {high!r} must lie around 0")
    w = np.linspace(low, high, BINS_MOST)[:, None]
    ends = Replay((Jumps(1.0, (1.0,), (0.0,)), Jumps(-1.0, (1.0,), (0.0,))), **parameters)
    siemens = (ends.g_max - ends.g_min) / (high - low)
    noise = words["dw_min_std"] * _quantiles()
    scales = kind == "ExpStepDevice" or bool(arguments.get("mult_noise", False))
    tables = []
    for up in (True, False):
        bias = min(words["up_down"], 0.0) if up else -max(words["up_down"], 0.0)
        mean = rule(words, up, w)
        step = words["dw_min"] * (1 + bias) * (mean + (mean if scales else 1.0) * noise)
        after = np.clip(w + (step if up else -step), low, high)
        g = ends.g_min + (np.broadcast_to(w, after.shape) - low) * siemens
        dg = (after - w) * siemens
        v = V_TABLES if up else -V_TABLES
        tables.append(Jumps(v, tuple(g.ravel().tolist()), tuple(dg.ravel().tolist())))
    return Replay(tuple(tables), **parameters)


def _quantiles() -> Weights:
    """Of a standard normal, as many as a bin has pairs, with a spread of 1."""
    normal = statistics.NormalDist()
    found = np.array([normal.inv_cdf((k + 0.5) / BIN_LEAST) for k in range(BIN_LEAST)])
    spread: Weights = found / found.std()
    return spread
