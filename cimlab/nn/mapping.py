"""Signed weights on pairs of cells: which currents a weight asks for.

A weight is ``scale * (plus - minus)``, with both cells' currents inside the device window at the
read voltage. One weight has many such pairs; the policy here rewrites as few cells as it can,
because every write wears a device and leaves its own programming error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from cimlab.core.array import Floats, Mask

FINE = 0.02
"""Share of the window that no write resolves."""


@dataclass(frozen=True, slots=True)
class DeviceWindow:
    """Currents that cells are programmed to, A at the read voltage (PAPER 2: 0.82 - 3.29 uA)."""

    low: float = 0.82e-6
    high: float = 3.29e-6

    @property
    def span(self) -> float:
        """Largest difference of a pair, A."""
        return self.high - self.low


def fresh_pair(difference: Floats, window: DeviceWindow) -> Floats:
    """Currents (2, n) of pairs with that difference (n,) A, the smaller side at the low end."""
    clipped = np.clip(difference, -window.span, window.span)
    return window.low + np.stack([np.maximum(clipped, 0), np.maximum(-clipped, 0)])


def rewritten_pair(
    believed: Floats, difference: Floats, stuck: Mask, window: DeviceWindow
) -> tuple[Floats, Mask]:
    """New currents of pairs, moving one cell of a pair where one can do it alone.

    Where either could, the choice that leaves the smaller currents is taken: less current is less
    noise of the converter. Where neither can, both are rewritten as a fresh pair; beside a stuck
    cell the other one goes as far as it can, unless that is less than a write resolves (`FINE`).

    Args:
        believed: What the cells carry, (2, n) A.
        difference: Wanted plus - minus, (n,) A.
        stuck: True for cells that no pulse moves, (2, n).
        window: Where currents may lie.

    Returns:
        Target currents (2, n) A, and True for the cells to be programmed.
    """
    target, moves = np.empty(believed.shape), np.empty(believed.shape, np.bool_)
    _rewrite(believed, difference, stuck, window.low, window.high, target, moves)
    return target, moves


@numba.njit(cache=True, nogil=True)
def rewritten(plus, minus, difference, stuck_plus, stuck_minus, low, high):  # type: ignore[no-untyped-def]
    """`rewritten_pair` for one pair: new plus and minus, and whether each is programmed."""
    wanted = min(max(difference, low - high), high - low)
    plus_alone, minus_alone = minus + wanted, plus - wanted
    plus_can = low <= plus_alone <= high and not stuck_plus
    minus_can = low <= minus_alone <= high and not stuck_minus
    if plus_can and (not minus_can or plus_alone + minus <= minus_alone + plus):
        return plus_alone, minus, True, False
    if minus_can:
        return plus, minus_alone, False, True
    if not (stuck_plus or stuck_minus):
        return low + max(wanted, 0.0), low + max(-wanted, 0.0), True, True
    # one that has gone as far as it can is left alone
    least = FINE * (high - low)
    goal_plus, goal_minus = min(max(plus_alone, low), high), min(max(minus_alone, low), high)
    move_plus = not stuck_plus and abs(goal_plus - plus) > least
    move_minus = not stuck_minus and abs(goal_minus - minus) > least
    return (
        goal_plus if move_plus else plus,
        goal_minus if move_minus else minus,
        move_plus,
        move_minus,
    )


@numba.njit(cache=True, nogil=True)
def _rewrite(believed, difference, stuck, low, high, target, moves):  # type: ignore[no-untyped-def]
    for i in range(difference.size):
        target[0, i], target[1, i], moves[0, i], moves[1, i] = rewritten(
            believed[0, i], believed[1, i], difference[i], stuck[0, i], stuck[1, i], low, high
        )
