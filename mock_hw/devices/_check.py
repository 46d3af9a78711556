"""The checks that every device model makes of its parameters.

Models compute in single precision, so what a hostile file says must stay far from its ends:
beyond these bounds no parameter means anything.
"""

from __future__ import annotations

import math
from itertools import pairwise

from cimlab.core.errors import ConfigError

LARGEST = 1e15
"""Magnitudes above this are refused, and positive numbers below its inverse."""
SPREAD_LARGEST = 10.0
"""Relative and logarithmic spreads above this are refused."""


def positive(model: str, **values: float) -> None:
    """Refuse values that are not finite and > 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and 1 / LARGEST <= value <= LARGEST):
            raise ConfigError(
                f"{model}: {name} must be a finite number > 0, {1 / LARGEST:g} to {LARGEST:g}, "
                f"got {value!r}"
            )


def not_negative(model: str, **values: float) -> None:
    """Refuse values that are not finite and >= 0."""
    _between(model, LARGEST, values)


def spread(model: str, **values: float) -> None:
    """Refuse relative or logarithmic sigmas that are negative or beyond any device."""
    _between(model, SPREAD_LARGEST, values)


def share(model: str, **values: float) -> None:
    """Refuse values that are not between 0 and 1."""
    _between(model, 1.0, values)


def rising(model: str, **values: float) -> None:
    """Refuse values that are not finite, or not given in strictly rising order."""
    names = list(values)
    for name, value in values.items():
        if not (math.isfinite(value) and abs(value) <= LARGEST):
            raise ConfigError(f"{model}: {name} must be finite, got {value!r}")
    for low, high in pairwise(names):
        # as the cells see them
        if not values[low] * (1 + 1e-6) < values[high]:
            raise ConfigError(f"{model}: {low} must be smaller than {high}")


def _between(model: str, most: float, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and 0 <= value <= most):
            raise ConfigError(
                f"{model}: {name} must be a finite number >= 0, at most {most:g}, got {value!r}"
            )
