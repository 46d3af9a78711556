"""Patterns of target currents for `cimlab program`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, ArraySpec
from cimlab.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Levels:
    """Equally spaced target currents.

    Attributes:
        count: Number of levels.
        low: Lowest, A.
        high: Highest, A.
    """

    count: int
    low: float
    high: float

    def __post_init__(self) -> None:
        """ConfigError unless low and high are a rising pair of currents."""
        if not 0 <= self.low < self.high < np.inf:
            raise ConfigError(f"levels need 0 <= low < high, not {self.low:g} and {self.high:g} A")


def targets(
    pattern: str, levels: Levels, spec: ArraySpec, tiles: str, seed: int, v_read: float
) -> tuple[Addresses, NDArray[np.float64]]:
    """Cells to program and their target currents.

    Args:
        pattern: "random", "gradient" (along the columns), "checkerboard", or the name of a .npy
            file of conductances (tiles, rows, cols) in S; NaN there leaves a cell alone.
        levels: Of the three built-in patterns.
        spec: The array.
        tiles: Comma-separated numbers; "" for all.
        seed: Of "random".
        v_read: Turns the file's conductances into currents, V.

    Returns:
        Addresses (n,) and currents (n,) A.
    """
    current = _from_file(Path(pattern), spec) * v_read if pattern.endswith(".npy") else None
    if current is None:
        steps = np.linspace(levels.low, levels.high, levels.count)
        current = steps[_level_numbers(pattern, levels.count, spec, seed)]
    wanted = np.isfinite(current)
    chosen = _tiles(tiles, spec)
    wanted[[tile for tile in range(spec.tiles) if tile not in chosen]] = False
    cells = np.flatnonzero(wanted).astype(np.int64)
    if not cells.size:
        raise ConfigError("the pattern names no cell to program")
    return cells, current.reshape(-1)[cells]


def _level_numbers(pattern: str, count: int, spec: ArraySpec, seed: int) -> NDArray[np.int64]:
    if pattern == "random":
        return np.random.default_rng(seed).integers(count, size=spec.shape)
    _, row, column = np.indices(spec.shape)
    if pattern == "gradient":
        return np.asarray(column * count // spec.cols)
    if pattern == "checkerboard":
        return np.asarray((row + column) % 2 * (count - 1))
    raise ConfigError(
        f"unknown pattern {pattern!r}: random, gradient, checkerboard, or a .npy file"
    )


def _from_file(path: Path, spec: ArraySpec) -> NDArray[np.float64]:
    try:
        g = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the pattern {path}: {error}") from error
    if g.shape != spec.shape or g.dtype.kind != "f":
        raise ConfigError(
            f"{path} holds {g.dtype} {g.shape}, wanted are floats {spec.shape}: tiles, rows, cols"
        )
    if (g < 0).any():
        raise ConfigError(f"{path} holds negative conductances")
    return np.asarray(g, np.float64)


def _tiles(text: str, spec: ArraySpec) -> set[int]:
    if not text:
        return set(range(spec.tiles))
    try:
        chosen = {int(part) for part in text.split(",")}
    except ValueError as error:
        raise ConfigError(f"tiles are numbers separated by commas, not {text!r}") from error
    if not chosen <= set(range(spec.tiles)):
        raise ConfigError(f"tiles {text} are not all among 0 to {spec.tiles - 1}")
    return chosen
