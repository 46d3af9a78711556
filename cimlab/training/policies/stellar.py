"""Sign- and threshold-based updates (STELLAR, Zhang et al., Science 2023).

No accumulator: after a batch, every weight whose gradient is larger than a threshold gets one
blind pulse against the gradient's sign, whatever its size. Errors go back through the array.

Differences: STELLAR takes signs of inputs and thresholded errors image by image, for whole
columns at a time; here the sign is that of a batch's gradient, and the threshold is a share of
the layer's largest gradient that rises to 1 in the course of the run: a pulse is always a pulse,
so fewer of them are the only way to finer steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cimlab.training.updater import Update, Updater

from .nandakumar import BLIND

LEAST = 0.2
"""Gradient that earns a pulse, over the layer's largest, at the beginning."""


class SignPulses(Updater):
    """One pulse for a large gradient."""

    settings: ClassVar[Mapping[str, Any]] = BLIND
    _least = LEAST

    def begin(self, done: float) -> Update:
        """The threshold rises."""
        self._least = LEAST + (1 - LEAST) * done
        return Update()

    def step(self) -> Update:
        """Digital parameters learn as ever; pulses follow the signs of the weights' gradients."""
        gradient = self._take_gradients()
        self.optimizer.step()
        large = np.concatenate(
            [np.abs(gradient[p]) > self._least * np.abs(gradient[p]).max() for p in self._parts]
        )
        hit = np.flatnonzero(large)
        step = self._trigger.threshold * self._limit[hit]
        return self._write_within(hit, -np.sign(gradient[hit]) * step)
