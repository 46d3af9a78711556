"""How long readings of an SMU may take: bounds for waiting, not times."""

from __future__ import annotations

from collections.abc import Callable

from cimlab.drivers.instruments.link import TIMEOUT

LINE = 50.0
"""Power line cycles a second, where they are slow."""
CONVERSIONS = 3
"""Integrations of one reading, with auto zero."""
RANGING = 0.05
"""Longest settling and ranging of one reading, s."""
NPLC_MAX = 25.0


def longest(readings: int, dwell: float, nplc: Callable[[], float]) -> float:
    """The longest that so many readings may take, s.

    Args:
        readings: How many.
        dwell: Wait before each, s.
        nplc: Asks for the integration time in power line cycles; it is not asked where a link
            waits long enough in any case.
    """
    if readings * _seconds(dwell, NPLC_MAX) <= TIMEOUT:
        return 0.0
    return readings * _seconds(dwell, nplc())


def _seconds(dwell: float, nplc: float) -> float:
    return dwell + CONVERSIONS * nplc / LINE + RANGING
