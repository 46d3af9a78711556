"""Patterns of target currents: which cells, how much, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.cli.patterns import Levels, targets
from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import ConfigError

SPEC = ArraySpec(2, 16, 8, 8, 8, Limits(), "analog", "emulated", "test array")
LEVELS = Levels(4, 1e-6, 4e-6)


@given(st.sampled_from(["random", "gradient", "checkerboard"]), st.integers(2, 32))
def test_patterns_use_levels_from_lowest_to_highest(pattern: str, count: int) -> None:
    levels = Levels(count, 0.5e-6, 3e-6)
    cells, current = targets(pattern, levels, SPEC, "", 1, 0.1)
    np.testing.assert_array_equal(cells, np.arange(SPEC.size))
    number = (current - levels.low) / (levels.high - levels.low) * (count - 1)
    np.testing.assert_allclose(number, np.round(number), atol=1e-9)
    assert number.min() == pytest.approx(0, abs=1e-9)
    if pattern != "gradient" or count <= SPEC.cols:
        assert number.max() == pytest.approx(count - 1) or pattern == "random"


def test_tiles_choose_the_cells() -> None:
    cells, _ = targets("gradient", LEVELS, SPEC, "1", 0, 0.1)
    np.testing.assert_array_equal(cells, np.arange(128, 256))


def test_random_depends_on_the_seed_alone() -> None:
    first, same, other = (targets("random", LEVELS, SPEC, "", s, 0.1)[1] for s in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("pattern", "tiles", "message"),
    [
        ("stripes", "", "random, gradient, checkerboard"),
        ("none.npy", "", "cannot read the pattern none.npy"),
        ("random", "0,2", "0 to 1"),
        ("random", "a", "numbers separated by commas"),
    ],
)
def test_nonsense_is_refused(pattern: str, tiles: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets(pattern, LEVELS, SPEC, tiles, 0, 0.1)


@pytest.mark.parametrize(
    ("g", "message"),
    [
        (np.zeros((2, 16, 9)), "tiles, rows, cols"),
        (np.zeros(SPEC.shape, int), "wanted are floats"),
        (np.full(SPEC.shape, -1e-6), "negative"),
        (np.full(SPEC.shape, np.nan), "no cell"),
    ],
)
def test_a_file_that_is_no_pattern_is_refused(
    tmp_path: Path, g: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str
) -> None:
    np.save(tmp_path / "pattern.npy", g)
    with pytest.raises(ConfigError, match=message):
        targets(str(tmp_path / "pattern.npy"), LEVELS, SPEC, "", 0, 0.1)


@pytest.mark.parametrize(("low", "high"), [(2e-6, 1e-6), (-1e-6, 1e-6), (0, float("inf"))])
def test_levels_need_a_range(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="0 <= low < high"):
        Levels(4, low, high)
