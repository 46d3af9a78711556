"""The checks that every device model makes of its parameters."""

from __future__ import annotations

import math
from itertools import pairwise

from cimlab.core.errors import ConfigError


def positive(model: str, **values: float) -> None:
    """Refuse values that are not finite and > 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{model}: {name} must be a finite number > 0, got {value!r}")


def not_negative(model: str, **values: float) -> None:
    """Refuse values that are not finite and >= 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{model}: {name} must be a finite number >= 0, got {value!r}")


def rising(model: str, **values: float) -> None:
    """Refuse values that are not finite, or not given in strictly rising order."""
    names = list(values)
    for name, value in values.items():
        if not math.isfinite(value):
            raise ConfigError(f"{model}: {name} must be finite, got {value!r}")
    for low, high in pairwise(names):
        if not values[low] < values[high]:
            raise ConfigError(f"{model}: {low} must be smaller than {high}")
