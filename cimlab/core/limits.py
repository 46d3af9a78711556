"""Comparing what is asked with what is allowed, so that NaN is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .answers import Addresses, Floats, Mask
from .errors import ConfigError, LimitError
from .spec import Limits

_HINT = "stay inside; limits are the tighter of the array's own and [array.limits] of the station"
_ROUNDING = 1e-9
"""Share by which a sum of steps may miss a limit it means to reach; far below any converter's."""


def tighter(a: Limits, b: Limits) -> Limits:
    """The limits that satisfy both.

    Raises:
        ConfigError: No pulse width satisfies both.
    """
    both = Limits(
        v_set=min(a.v_set, b.v_set),
        v_reset=min(a.v_reset, b.v_reset),
        v_read=min(a.v_read, b.v_read),
        width_min=max(a.width_min, b.width_min),
        width_max=min(a.width_max, b.width_max),
        count_max=min(a.count_max, b.count_max),
    )
    if both.width_min > both.width_max:
        raise ConfigError(
            f"no pulse width is allowed: width_min {both.width_min:g} s is above "
            f"width_max {both.width_max:g} s"
        )
    return both


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array of that shape broadcasts to the other without growing it."""
    return len(shape) <= len(to) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False)
    )


def every(mask: Mask) -> bool:
    """Whether all of mask is True: for some hundred entries many times sooner than `all`."""
    return 0 not in mask.tobytes()


def ascending(cells: Addresses, size: int) -> bool:
    """True if cells are addresses (n,) below size, sorted, none twice."""
    if cells.ndim != 1:
        return False
    if not cells.size:
        return True
    return every(cells[1:] > cells[:-1]) and cells.item(0) >= 0 and cells.item(-1) < size


def between(name: str, value: float, low: float, high: float, unit: str) -> None:
    """LimitError unless low <= value <= high, which NaN is not."""
    if not low - _ROUNDING * abs(low) <= value <= high + _ROUNDING * abs(high):
        raise LimitError(f"{name} {value:g} {unit} is outside {low:g} .. {high:g} {unit}: {_HINT}")


def all_between(
    name: str, values: NDArray[np.generic] | Floats, low: float, high: float, unit: str
) -> None:
    """`between` for each of values."""
    if values.size:  # minimum and maximum hand NaN on, so two comparisons see it too
        between(name, values.min(), low, high, unit)
        between(name, values.max(), low, high, unit)
