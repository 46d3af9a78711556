"""Multiplicative updates of logarithmic weights (LNS-Madam, Zhao et al., arXiv 2106.13914).

A weight is a sign, which never changes, and an exponent on a grid of 1 / FACTOR octaves. Madam
moves the exponent against the gradient over its running root mean square::

    e  <-  e - rate * sign(w) * g / sqrt(v),    v  <-  b v + (1 - b) g^2

so a large weight takes large steps and a small one small steps. A weight is written, verified,
when its exponent has come nearer to another level of the grid.

Differences: the exponents' accumulator is in double precision instead of 16 bits; activations and
errors are not logarithmic but what the converters make of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Floats
from cimlab.training.checkpoint import Arrays
from cimlab.training.updater import Update, Updater
from cimlab.training.writing import Writer

FACTOR = 2
"""Levels an octave."""
OCTAVES = 8.0
"""From the largest weight to the smallest."""
DECAY = 0.999
BOUND = 10.0
"""Largest gradient over its root mean square."""
HYSTERESIS = 0.75
"""Levels by which an exponent must have moved for a write; half would be the nearest level."""


class LogarithmicWeights(Updater):
    """Signs stay, exponents learn."""

    settings: ClassVar[Mapping[str, Any]] = {
        "program": "ispp",
        "schedule": "cosine",
        "rate": 20.0,
        "weight_decay": 0.0,
    }

    _steps = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sign = np.where(self._weights < 0, -1.0, 1.0)
        self._exponent = self._octaves(self._weights)
        self._level = self._exponent.copy()
        self._square = np.zeros(self.size)

    def initialise(self, writer: Writer) -> Update:
        """Weights on the grid go to the cells."""
        self._level = np.rint(self._exponent * FACTOR) / FACTOR
        self._weights[:] = self._wanted()
        return super().initialise(writer)

    def step(self) -> Update:
        """Digital parameters learn as ever, exponents by Madam."""
        gradient = self._take_gradients().astype(np.float64)
        rate = self._rates()
        self.optimizer.step()
        self._steps += 1
        self._square += (1 - DECAY) * (gradient**2 - self._square)
        mean = np.sqrt(self._square / (1 - DECAY**self._steps))
        relative = np.clip(gradient / np.maximum(mean, 1e-30), -BOUND, BOUND)
        self._exponent -= rate * self._sign * relative
        np.clip(self._exponent, -OCTAVES, 0.0, out=self._exponent)
        hit = np.flatnonzero(np.abs(self._exponent - self._level) * FACTOR > HYSTERESIS)
        self._level[hit] = np.rint(self._exponent[hit] * FACTOR) / FACTOR
        return self._write_within(hit, (self._wanted() - self._master)[hit])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See Updater."""
        return super().arrays() | {
            "sign": self._sign,
            "exponent": self._exponent.copy(),
            "level": self._level.copy(),
            "square": self._square.copy(),
            "steps": np.array([self._steps]),
        }

    def restore(self, arrays: Arrays) -> None:
        """See Updater."""
        super().restore(arrays)
        self._sign[:], self._exponent[:] = arrays["sign"], arrays["exponent"]
        self._level[:], self._square[:] = arrays["level"], arrays["square"]
        self._steps = int(arrays["steps"][0])

    def _wanted(self) -> Floats:
        return self._sign * self._limit * np.exp2(self._level)

    def _octaves(self, weights: Floats) -> NDArray[np.float64]:
        """Exponents of weights (n,), 0 at the largest that fits."""
        share = np.maximum(np.abs(weights) / self._limit, 2.0**-OCTAVES)
        octaves: NDArray[np.float64] = np.log2(share)
        return octaves

    def _rates(self) -> Floats:
        """The recipe's rate now, of each weight, in octaves."""
        rates = {id(p): g["lr"] for g in self.optimizer.param_groups for p in g["params"]}
        each = [np.full(la.weight.numel(), rates[id(la.weight)]) for la in self.layers]
        return np.concatenate(each) / self._limit
