"""What a map can show: views of one frame, as numbers in the unit on screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import Frame

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One way to look at a frame.

    Attributes:
        title: For the menu and the colour bar.
        unit: As printed.
        signed: True where zero lies in the middle of the colours.
        of: Values (tiles, rows, cols, or cols // 2 for pairs) of a frame; None if it has none.
    """

    title: str
    unit: str
    signed: bool
    of: Callable[[Frame], Values | None]


def _float(values: NDArray[np.generic]) -> Values:
    return np.asarray(values, np.float32)


def conductance(frame: Frame) -> Values:
    """Conductances in uS."""
    return _float(frame.current * (1e6 / frame.v_read))


def _current(frame: Frame) -> Values:
    return _float(frame.current * 1e6)


def _pairs(frame: Frame) -> Values:
    g = conductance(frame)
    even = g.shape[2] // 2 * 2
    return g[:, :, 0:even:2] - g[:, :, 1:even:2]


def _missing(frame: Frame) -> Values | None:
    if frame.target is None:
        return None
    return _float((frame.target - frame.current) * (1e6 / frame.v_read))


def _change(frame: Frame) -> Values | None:
    if frame.before is None:
        return None
    return _float((frame.current - frame.before) * (1e6 / frame.v_read))


def _pulses(frame: Frame) -> Values:
    return _float(frame.pulses)


QUANTITIES: dict[str, Quantity] = {
    "conductance": Quantity("Conductance g", "\N{MICRO SIGN}S", False, conductance),
    "current": Quantity("Current", "\N{MICRO SIGN}A", False, _current),
    "pairs": Quantity("Pairs: g\u207a \u2212 g\u207b", "\N{MICRO SIGN}S", True, _pairs),
    "missing": Quantity("Target \u2212 actual", "\N{MICRO SIGN}S", True, _missing),
    "change": Quantity("Change since first map", "\N{MICRO SIGN}S", True, _change),
    "pulses": Quantity("Pulses received", "", False, _pulses),
}


class Health(IntEnum):
    """What is remarkable about a cell."""

    FINE = 0
    NOT_READ = 1
    MISSED = 2
    STUCK = 3


HEALTH_WORDS = {
    Health.FINE: "",
    Health.NOT_READ: "not read",
    Health.MISSED: "missed its target",
    Health.STUCK: "does not move",
}

STUCK_PULSES = 20
"""A cell that got so many pulses since the first map ..."""
STUCK_CHANGE = 0.02
"""... and whose current changed by less than this share is shown as one that does not move."""


def health(frame: Frame) -> NDArray[np.uint8]:
    """`Health` of every cell, (tiles, rows, cols).

    A hint for the eye, made of what the record holds: verdicts of the last programming, and
    pulses that changed nothing. A cell that was pulsed up and down again looks the same.
    """
    marks = np.zeros(frame.current.shape, np.uint8)
    if frame.before is not None and frame.pulses_before is not None:
        pulsed = frame.pulses.astype(np.int64) - frame.pulses_before >= STUCK_PULSES
        same = np.abs(frame.current - frame.before) <= STUCK_CHANGE * np.abs(frame.before)
        marks[pulsed & same] = Health.STUCK
    if frame.target is not None and frame.converged is not None:
        marks[np.isfinite(frame.target) & ~frame.converged] = Health.MISSED
    marks[np.isnan(frame.current)] = Health.NOT_READ
    return marks
