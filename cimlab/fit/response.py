"""From a device model to what model-predicted programming needs of it (`protocols/predicted`).

The model's own pulse function is asked, on cells of its own population: whatever the law, a cell's
step is fitted by a share of the way to a bound. It is the model of a fit or a file that is
asked, never the device that is programmed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError
from cimlab.fit.synthetic import Generator
from cimlab.mock_hw.devices import DeviceModel
from cimlab.protocols.predicted import Response, Side

CELLS, SEED = 2000, 0
"""That are asked."""
NOTHING = 1e-3
"""Amplitude that moves no cell, V."""
STEP = 0.05
"""Between two amplitudes that are asked about, V."""
MARGIN = 0.25
"""Above the threshold of a device whose steps do not depend on the amplitude, V."""
RATE_LEAST, RATE_MOST = 2e-4, 7.0
"""Weaker pulses do nothing worth a pulse; stronger ones all lead to the bound."""


def response(
    model: DeviceModel, width: float, set_stop: float = 3.0, reset_stop: float = 3.0
) -> Response:
    """What pulses do to a device.

    Args:
        model: Fitted, or from a device file.
        width: Of the pulses, s.
        set_stop: Largest SET amplitude, V.
        reset_stop: Largest RESET amplitude, V.

    Raises:
        ConfigError: No amplitude up to its stop moves the device.
    """
    asked = _Asked(model, width)
    return Response(
        up=_side(asked, 1, set_stop),
        down=_side(asked, -1, reset_stop),
        width=width,
        sigma_read=model.sigma_read,
    )


class _Asked:
    """Cells of a model, put to conductances that span the window, and pulsed once."""

    def __init__(self, model: DeviceModel, width: float) -> None:
        self._model, self._width = model, width
        _, self._traits = model.born(CELLS, self._draws(0))
        window = model.g_max - model.g_min
        share = np.random.default_rng(SEED).uniform(0.1, 0.8, CELLS)
        self.g = (model.g_min + share * window).astype(np.float32)
        # a pulse that moves nothing but what lies beyond a cell's own bounds
        self.g = self.pulse(NOTHING).astype(np.float32)

    def _draws(self, k: int) -> Generator:
        return Generator(np.random.default_rng((SEED, k)), CELLS)

    def pulse(self, v: float, repeat: int = 1) -> NDArray[np.float64]:
        """Conductances after one pulse, (CELLS,) S.

        All amplitudes meet the same noise, so that they differ by what they do.
        """
        volts = np.full(CELLS, v, np.float32)
        after = self._model.pulse(self.g, self._traits, volts, self._width, self._draws(repeat))
        return after.astype(np.float64)


def _side(asked: _Asked, sign: int, stop: float) -> Side:
    levels = np.arange(STEP, stop + STEP / 2, STEP).clip(max=stop)
    lines = np.array([_line(asked.g, asked.pulse(sign * v)) for v in levels])
    rates = -np.log(np.clip(lines[:, 0], np.exp(-RATE_MOST), None))
    # an amplitude is worth knowing if it does more than all smaller ones
    best = np.maximum.accumulate(np.concatenate([[RATE_LEAST], rates[:-1]]))
    rising = rates > best * 1.02
    if not rising.any():
        raise ConfigError(
            f"no {'SET' if sign > 0 else 'RESET'} pulse up to {stop:g} V moves this device"
        )
    v, rate = levels[rising], rates[rising]
    if v.size == 1:
        v = np.minimum(v + MARGIN, stop)
    # the bound shows best where the pulse goes far, but not where it saturates
    good = lines[rising][np.abs(rate - 1.0).argmin()]
    bound = float(good[1] / (1 - good[0]))
    middle = float(v[np.abs(rate - 0.4).argmin()])
    scatter, spread = _variation(asked, sign * middle, bound)
    return Side(
        v=tuple(v.tolist()), rate=tuple(rate.tolist()), bound=bound, scatter=scatter, spread=spread
    )


def _line(before: NDArray[np.float32], after: NDArray[np.float64]) -> tuple[float, float]:
    """Slope (what a pulse keeps of a distance) and intercept, S, of after over before."""
    slope, intercept = np.polyfit(before.astype(np.float64), after, 1)
    return float(slope), float(intercept)


def _variation(asked: _Asked, v: float, bound: float) -> tuple[float, float]:
    """Sigma of ln R from pulse to pulse and from cell to cell, of two pulses of the same cells."""
    left = np.abs(bound - asked.g)
    first, second = (
        np.log(left / np.maximum(np.abs(bound - asked.pulse(v, repeat)), 0.01 * left))
        for repeat in (1, 2)
    )
    mean = max(float((first + second).mean() / 2), RATE_LEAST)
    total = float((first.var() + second.var()) / 2) / mean**2
    cells = float(np.clip(np.cov(first, second)[0, 1] / mean**2, 0.0, total))
    # relative variances as those of a log-normal
    return float(np.sqrt(np.log1p(total - cells))), float(np.sqrt(np.log1p(cells)))
