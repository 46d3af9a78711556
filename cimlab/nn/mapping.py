"""Signed weights on pairs of cells: which currents a weight asks for.

A weight is ``scale * (plus - minus)``, with both cells' currents inside the device window at the
read voltage. One weight has many such pairs; the policy here rewrites as few cells as it can,
because every write wears a device and leaves its own programming error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimlab.core.array import Floats, Mask


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
    cell the other one goes as far as it can.

    Args:
        believed: What the cells carry, (2, n) A.
        difference: Wanted plus - minus, (n,) A.
        stuck: True for cells that no pulse moves, (2, n).
        window: Where currents may lie.

    Returns:
        Target currents (2, n) A, and True for the cells to be programmed.
    """
    wanted = np.clip(difference, -window.span, window.span)
    # row 0: the plus cell if it moves alone; row 1: the minus cell
    alone = np.stack([believed[1] + wanted, believed[0] - wanted])
    moves = (alone >= window.low) & (alone <= window.high) & ~stuck
    moves[0] &= ~moves[1] | (alone[0] + believed[1] <= alone[1] + believed[0])
    moves[1] &= ~moves[0]
    neither = ~(moves[0] | moves[1])
    target = np.where(moves, alone, believed)
    if neither.any():
        free = neither & ~stuck
        reach = np.clip(alone, window.low, window.high)
        both = free[0] & free[1]
        target = np.where(free, np.where(both, fresh_pair(wanted, window), reach), target)
        moves |= free
    return target, moves
