"""From histories to a device model: fit one, or several and choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cimlab.core.errors import ConfigError
from cimlab.fit import brram, drift, exponential, jumps, pcm, softbounds
from cimlab.fit.family import PULSES, Prepared
from cimlab.fit.histories import MICRO, Array, Histories, Table, histories, is_retention, stuck
from cimlab.fit.moments import open_loop, predict
from cimlab.fit.population import Estimate, maximise
from cimlab.mock_hw.devices import DeviceModel, device
from cimlab.mock_hw.devices.brram import BulkRram

PREPARE = {
    "softbounds": softbounds.prepare,
    "exponential": exponential.prepare,
    "brram": brram.prepare,
    "pcm": pcm.prepare,
}
"""Models with a likelihood, which can be compared."""
DRIFT = {"brram": drift.drift, "pcm": pcm.drift}
REPLAY = "replay"
VAGUE = 0.5
"""Standard error, over the parameter or its default if that is larger, from which on no run tells
it: the likelihood is a ridge, and its highest point may be anywhere, a threshold at 240 V."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What cells did together, step by step, and what the model says of the same cells.

    Attributes:
        measured: Mean reading of the cells, (T,) S; NaN where not all were read.
        model: Mean of the model's own course from the first reading on, never corrected, (T,) S.
        v: Amplitude of the first cell's pulse, (T,) V.
    """

    measured: Array
    model: Array
    v: Array


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted device model.

    Attributes:
        model: The device; a `DeviceModel`.
        errors: Standard error of each parameter, in its unit; None where no run tells it, and the
            model's default stands.
        cells: Cells that were fitted.
        stuck: Addresses left out because they hardly move.
        readings: That took part.
        saturated: Readings left out because they are only bounds.
        log_likelihood: Of all readings; None for a replay, which has none.
        free: Numbers that were estimated from it.
        converged: Whether the maximum was found.
        deviations: (reading - prediction) / its sigma, flat; standard normal if the model is right.
        curve: The cells' mean course; None where there is none (replay).
        goodness: A few figures: see `_goodness`.
    """

    model: DeviceModel
    errors: Mapping[str, float | None]
    cells: int
    stuck: tuple[int, ...]
    readings: int
    saturated: int
    log_likelihood: float | None
    free: int
    converged: bool
    deviations: Array
    curve: Curve | None
    goodness: Mapping[str, float]

    @property
    def aic(self) -> float | None:
        """Akaike's information criterion, 2 k - 2 ln L; smaller is better."""
        return None if self.log_likelihood is None else 2 * (self.free - self.log_likelihood)

    @property
    def values(self) -> dict[str, float]:
        """The model's parameters, without tables."""
        fields = dataclasses.fields(self.model)  # type: ignore[arg-type]
        return {f.name: getattr(self.model, f.name) for f in fields if f.name != "jumps"}

    @property
    def unidentified(self) -> list[str]:
        """Parameters that no run tells."""
        return [name for name, error in self.errors.items() if error is None]


def fit(tables: Sequence[Table], name: str) -> Fit:
    """Fit a model to the points of some runs.

    Args:
        tables: Of the runs, in the order in which they were measured.
        name: softbounds, exponential, brram, pcm or replay.

    Raises:
        ConfigError: The model is unknown, or the runs do not tell it; says which sweep to run.
    """
    if name not in (*PREPARE, REPLAY):
        raise ConfigError(f"no model {name!r} to fit; there are {', '.join((*PREPARE, REPLAY))}")
    resting = [table for table in tables if is_retention(table)]
    everything = histories([table for table in tables if not is_retention(table)])
    left_out = stuck(everything)
    keep = (everything.v != 0).any(axis=0) & ~left_out
    if not keep.any():
        raise ConfigError(
            "no cell of these runs was pulsed and moved; run `cimlab sweep pulses` (docs/fit.md)"
        )
    data = everything.of(keep)
    facts: dict[str, Any] = {
        "cells": data.cells.size,
        "stuck": tuple(int(cell) for cell in everything.cells[left_out]),
        "saturated": int(sum(table.saturated.sum() for table in tables)),
    }
    if name == REPLAY:
        return _replay(data, facts)
    prepared = PREPARE[name](data)
    estimate = maximise(prepared.problem, prepared.start, prepared.traits)
    values, errors = _named(name, prepared, estimate)
    if name in DRIFT and resting:
        still = histories(resting)
        moving = ~np.isin(still.cells, everything.cells[left_out])
        found = DRIFT[name](still.of(moving), values["sigma_read"])
        if found is not None:
            values |= found.values
            errors |= found.errors
    model = device(name, **_possible(name, values))
    moves = prepared.problem.law(data, estimate.traits[None], estimate.population.shared[None])
    deviation, variance = predict(data, moves)
    standard = (deviation / np.sqrt(variance))[:, 0]
    curve = _curve(data, open_loop(data, moves)[:, 0])
    return Fit(
        model=model,
        errors=errors,
        readings=int(np.isfinite(standard).sum()),
        log_likelihood=estimate.log_likelihood,
        free=int(prepared.problem.free.sum())
        + sum(e is not None for _, e in prepared.known.values()),
        converged=estimate.converged,
        deviations=standard[np.isfinite(standard)],
        curve=curve,
        goodness=_goodness(model, deviation[:, 0], standard, curve),
        **facts,
    )


def choose(tables: Sequence[Table]) -> tuple[str, dict[str, Fit], dict[str, str]]:
    """Fit every model with a likelihood; the name of the one with the smallest AIC.

    Returns:
        The name, all fits by name, and what was said of models that could not be fitted.

    Raises:
        ConfigError: None could be fitted.
    """
    fits, failures = {}, {}
    for name in PREPARE:
        try:
            fits[name] = fit(tables, name)
        except (ConfigError, np.linalg.LinAlgError) as error:
            failures[name] = str(error)
    if not fits:
        raise ConfigError(next(iter(failures.values())))
    best = min(fits, key=lambda name: fits[name].aic or np.inf)
    return best, fits, failures


def _named(
    name: str, prepared: Prepared, estimate: Estimate
) -> tuple[dict[str, float], dict[str, float | None]]:
    """Parameters by name, and their standard errors by propagation.

    What the runs do not tell is the model's default, without an error.

    Raises:
        ConfigError: They do not even tell the window.
    """
    vector, free = estimate.population.vector, prepared.problem.free
    default = dataclasses.asdict(device(name))  # type: ignore[call-overload]
    found = {key: float(value) for key, value in prepared.parameters(vector).items()}
    step = 1e-5
    slopes = []
    for k in range(vector.size):
        up, down = (prepared.parameters(vector + d * np.eye(vector.size)[k]) for d in (step, -step))
        slopes.append([(up[key] - down[key]) / (2 * step) for key in found])
    jacobian = np.array(slopes).T
    covariance = np.where(free & free[:, None], estimate.covariance, 0.0)
    variance = np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
    told = ~(np.abs(jacobian[:, ~free]) > 0).any(axis=1) & (variance > 0)
    values: dict[str, float] = {}
    errors: dict[str, float | None] = dict.fromkeys(default)
    for (key, value), square, known in zip(found.items(), variance, told, strict=True):
        largest = max(abs(value), abs(default[key]))
        known = known and np.sqrt(square) <= VAGUE * largest
        values[key] = value if known else default[key]
        errors[key] = float(np.sqrt(square)) if known else None
    if lacking := [key for key in ("g_min", "g_max") if errors[key] is None]:
        raise ConfigError(f"the runs do not tell {name}'s {' and '.join(lacking)}; {PULSES}")
    for key, (value, error) in prepared.known.items():
        # without an error it is a bound: the default stands unless it lies beyond
        values[key] = value if error is not None else min(value, default[key])
        errors[key] = error
    return values, errors


def _possible(name: str, values: dict[str, float]) -> dict[str, float]:
    """Defaults that do not suit the estimates give way: a rest state lies within the window."""
    low, high = values["g_min"], values["g_max"]
    if name == "brram":
        rest = values.get("g_rest", BulkRram().g_rest)
        values["g_rest"] = float(
            np.clip(rest, low + 1e-3 * (high - low), high - 1e-3 * (high - low))
        )
    return values


def _replay(data: Histories, facts: dict[str, Any]) -> Fit:
    model, errors = jumps.replay(data)
    pairs = sum(len(table.g) for table in model.jumps)
    return Fit(
        model=model,
        errors=errors,
        readings=pairs,
        log_likelihood=None,
        free=0,
        converged=True,
        deviations=np.empty(0),
        curve=None,
        goodness={"tables": len(model.jumps), "jumps": pairs},
        **facts,
    )


def _curve(data: Histories, course: Array) -> Curve:
    together = (data.v == data.v[:, :1]).all(axis=1) & data.seen.all(axis=1)
    # at rest there is no course, and it would begin at a single reading
    together &= data.v[:, 0] != 0
    return Curve(
        np.where(together, np.mean(data.g, axis=1), np.nan) * MICRO,
        np.where(together, np.mean(course, axis=1), np.nan) * MICRO,
        data.v[:, 0],
    )


def _goodness(
    model: DeviceModel, deviation: Array, standard: Array, curve: Curve
) -> dict[str, float]:
    """Figures that tell whether the model suits the readings.

    `chi2` is the mean square of the standardised deviations (1 if the noises are right), `tails`
    the mean of their fourth powers (3), `memory` their correlation from a reading to the next
    (0), `rmse_S` the root mean square of the deviations, and `curve_rmse` that of the mean course
    as a share of the window.
    """
    pairs = standard[1:] * standard[:-1]
    window = model.g_max - model.g_min
    return {
        "chi2": float(np.nanmean(standard**2)),
        "tails": float(np.nanmean(standard**4)),
        "memory": float(np.nanmean(pairs)),
        "rmse_S": float(np.sqrt(np.nanmean(deviation**2))) * MICRO,
        "curve_rmse": float(np.sqrt(np.nanmean((curve.measured - curve.model) ** 2))) / window,
    }
