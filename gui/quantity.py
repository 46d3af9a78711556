"""What a map can show: views of one frame, as numbers in the unit on screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import Frame
from cimlab.records import WeightMap

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One way to look at a frame.

    Attributes:
        title: For the menu and the colour bar.
        unit: As printed.
        signed: True where zero lies in the middle of the colours.
        of: Values of a frame, (tiles, rows, cols), or cols // 2 for pairs of columns; None if it
            has none. The second argument says which weights the cells carry, if that is known.
    """

    title: str
    unit: str
    signed: bool
    of: Callable[[Frame, WeightMap | None], Values | None]


def _float(values: NDArray[np.generic]) -> Values:
    return np.asarray(values, np.float32)


def conductance(frame: Frame, _: WeightMap | None = None) -> Values:
    """Conductances in uS."""
    return _float(frame.current * (1e6 / frame.v_read))


def _current(frame: Frame, _: WeightMap | None) -> Values:
    return _float(frame.current * 1e6)


def _pairs(frame: Frame, weights: WeightMap | None) -> Values:
    if weights is not None:
        return _on_pairs(frame, weights, 1e6 / frame.v_read)
    g = conductance(frame)
    even = g.shape[2] // 2 * 2
    return g[:, :, 0:even:2] - g[:, :, 1:even:2]


def _weight(frame: Frame, weights: WeightMap | None) -> Values | None:
    return None if weights is None else _on_pairs(frame, weights, weights.scale)


def _on_pairs(
    frame: Frame, weights: WeightMap, scale: NDArray[np.float64] | float
) -> NDArray[np.float32]:
    """Scaled differences of the pairs' currents, shown on both of their cells."""
    plus, minus = frame.current.reshape(-1)[weights.cells]
    values = np.full(frame.current.size, np.nan, np.float32)
    values[weights.cells] = scale * (plus - minus)
    return values.reshape(frame.current.shape)


def _missing(frame: Frame, _: WeightMap | None) -> Values | None:
    if frame.target is None:
        return None
    return _float((frame.target - frame.current) * (1e6 / frame.v_read))


def _change(frame: Frame, _: WeightMap | None) -> Values | None:
    if frame.before is None:
        return None
    return _float((frame.current - frame.before) * (1e6 / frame.v_read))


def _pulses(frame: Frame, _: WeightMap | None) -> Values:
    return _float(frame.pulses)


QUANTITIES: dict[str, Quantity] = {
    "conductance": Quantity("Conductance g", "\N{MICRO SIGN}S", False, conductance),
    "current": Quantity("Current", "\N{MICRO SIGN}A", False, _current),
    "pairs": Quantity("Pairs: g\u207a \u2212 g\u207b", "\N{MICRO SIGN}S", True, _pairs),
    "weight": Quantity("Weight", "", True, _weight),
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


def cell_words(
    frame: Frame, cell: tuple[int, int, int], mark: Health, weights: WeightMap | None
) -> str:
    """What there is to say of one cell, (tile, row, column)."""
    current, volts = float(frame.current[cell]), frame.v_read
    parts = ["tile {}, row {}, column {}:".format(*cell)]
    if np.isfinite(current):
        parts.append(f"g = {1e6 * current / volts:.3f} \N{MICRO SIGN}S")
        parts.append(f"I = {1e6 * current:.4f} \N{MICRO SIGN}A at {volts:.3g} V")
    parts.append(f"{int(frame.pulses[cell])} pulses")
    if frame.target is not None and np.isfinite(frame.target[cell]):
        parts.append(f"target {1e6 * float(frame.target[cell]):.4f} \N{MICRO SIGN}A")
    if weights is not None:
        parts.append(_weight_words(frame, cell, weights))
    if mark:
        parts.append(HEALTH_WORDS[mark])
    return f"{parts[0]}  {',  '.join(parts[1:])}"


def _weight_words(frame: Frame, cell: tuple[int, int, int], weights: WeightMap) -> str:
    """Which weight the cell is part of, and what it is worth."""
    address = np.ravel_multi_index(cell, frame.current.shape)
    found = np.argwhere(weights.cells == address)
    if not found.size:
        return "carries no weight"
    side, k = found[0]
    name, index = weights.place(int(k))
    plus, minus = frame.current.reshape(-1)[weights.cells[:, k]]
    value = float(weights.scale[k] * (plus - minus))
    sign = "\N{SUPERSCRIPT MINUS}" if side else "\N{SUPERSCRIPT PLUS SIGN}"
    return f"g{sign} of {name}[{', '.join(map(str, index))}] = {value:.4f}"
