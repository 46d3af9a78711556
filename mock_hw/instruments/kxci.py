"""What the parts of an emulated 4200A-SCS under KXCI share: errors and parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

FAILED = "KXCI command error. (-992)"
NO_ERROR = "No error. (0)"
ACK = "ACK"
INTEGRATION = {"1": 0.1 / 50, "2": 1 / 50, "3": 10 / 50}
"""Seconds of a short, medium and long measurement."""
V_MAX, I_MAX = 210.0, 0.105


class KxciError(Exception):
    """A message that KXCI does not take."""


def words(text: str) -> list[str]:
    """Parameters between commas, without quotes."""
    return [word.strip().strip("'\"") for word in text.split(",")] if text.strip() else []


def number(given: Sequence[str], k: int, low: float = -math.inf, high: float = math.inf) -> float:
    """Parameter k as a number within low .. high."""
    try:
        value = float(given[k])
    except (IndexError, ValueError):
        raise KxciError from None
    if not low <= value <= high:
        raise KxciError
    return value


def whole(given: Sequence[str], k: int, low: int, high: int) -> int:
    """Parameter k as a whole number within low .. high."""
    value = number(given, k, low, high)
    if value != int(value):
        raise KxciError
    return int(value)


def split(command: str) -> tuple[str, int | None, list[str]]:
    """Letters, number and parameters of a two-letter command: ``VR1, 0, 5`` or ``VR 1, 0, 5``."""
    match = re.fullmatch(r"([A-Z]{2})\s*(\d+)?\s*,?\s*(.*)", command, re.DOTALL)
    if match is None:
        raise KxciError
    return match[1], None if match[2] is None else int(match[2]), words(match[3])
