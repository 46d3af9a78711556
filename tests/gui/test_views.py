"""What is shown of the numbers: colours, quantities, marks and estimates."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cimlab.gui.bench import summary
from cimlab.gui.colours import DIVERGING, MAPS, Scale, auto_scale, table
from cimlab.gui.curves import better_range
from cimlab.gui.progress import describe, remaining
from cimlab.gui.quantity import QUANTITIES, STUCK_PULSES, Health, health
from cimlab.gui.snapshot import Frame, Snapshot

VALUES = arrays.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32))


def frame(current: np.ndarray, pulses: int = 0, **rest: object) -> Frame:
    return Frame(1, 0.0, 0, 0.1, current, np.full(current.shape, pulses, np.uint32), **rest)


@given(VALUES, st.booleans(), st.booleans())
def test_higher_values_never_get_a_lower_colour(
    values: np.ndarray, signed: bool, log: bool
) -> None:
    scale = auto_scale(values, signed=signed, log=log and not signed)
    assert scale.low < scale.high
    codes = scale.codes(np.sort(values)).astype(int)
    assert (np.diff(codes) >= 0).all()
    assert codes.min() >= 1  # 0 means that there is nothing


@given(st.floats(1e-3, 1e3), st.floats(1.01, 1e4), st.booleans())
def test_levels_get_the_first_and_the_last_colour(low: float, ratio: float, log: bool) -> None:
    high = low * ratio
    assume(np.float32(high) > np.float32(low))
    ends = np.array([low, high, low / 2, high * 2, np.nan, 0.0], np.float32)
    codes = Scale(low, high, log).codes(ends)
    assert codes.tolist() == [1, 255, 1, 255, 0, 1]


def test_the_middle_of_a_log_scale_is_the_geometric_mean() -> None:
    assert Scale(1.0, 100.0, True).codes(np.array([10.0], np.float32))[0] == 128
    assert Scale(1.0, 100.0, False).codes(np.array([50.5], np.float32))[0] == 128


def test_one_outlier_does_not_spend_the_colours() -> None:
    values = np.append(np.linspace(10, 30, 999), 5000).astype(np.float32)
    assert auto_scale(values, signed=False, log=False).high < 31


@pytest.mark.parametrize("name", MAPS)
def test_maps_grow_lighter_all_the_way(name: str) -> None:
    colours = table(name)[1:]
    red, green, blue = (colours >> shift & 255 for shift in (16, 8, 0))
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(np.convolve(light, np.ones(8) / 8, "valid")) > -0.5).all()
    assert table(DIVERGING)[128] >> 8 & 255 > 200  # nothing is light grey


def test_pairs_are_adjacent_columns_subtracted() -> None:
    current = np.array([[[3e-6, 1e-6, 2e-6, 5e-6, 9e-6]]])
    shown = QUANTITIES["pairs"].of(frame(current), None)
    np.testing.assert_allclose(shown, [[[20.0, -30.0]]], rtol=1e-6)


def test_marks_tell_missed_stuck_and_unread_cells() -> None:
    before = np.array([[[1e-6, 1e-6, 1e-6, 1e-6]]])
    now = np.array([[[1e-6, 2e-6, 1e-6, np.nan]]])
    target = np.array([[[np.nan, np.nan, 2e-6, 2e-6]]])
    marks = health(
        frame(
            now,
            STUCK_PULSES,
            before=before,
            pulses_before=np.zeros(now.shape, np.uint32),
            target=target,
            converged=np.zeros(now.shape, bool),
        )
    )
    assert marks.ravel().tolist() == [
        Health.STUCK,
        Health.FINE,
        Health.MISSED,
        Health.NOT_READ,
    ]
    assert not health(frame(before, STUCK_PULSES)).any()


def _running(**tables: object) -> Snapshot:
    plan = {"epochs": 4, "batches": 100}
    return Snapshot("run", "running", kind="train", plan=plan, modified=1000.0, **tables)


def test_the_time_left_is_judged_by_batches_then_by_epochs() -> None:
    assert remaining(_running()) is None
    steps = {"time": np.array([10.0, 20.0, 30.0]), "step": np.array([0, 25, 50])}
    assert remaining(_running(steps=steps)) == pytest.approx(20 / 50 * 350)
    epochs = {"time": np.array([50.0]), "seconds": np.array([40.0]), "number": np.array([1])}
    later = {"time": np.array([60.0]), "step": np.array([125])}
    assert remaining(_running(steps=later, epochs=epochs)) == pytest.approx(3 * 40 - 10)


def test_a_silent_run_is_said_to_be_silent() -> None:
    assert "nothing new" not in describe(_running(), now=1030.0)
    assert "nothing new for 0:05:00" in describe(_running(), now=1300.0)


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e5, 1e5)))
def test_a_range_holds_its_values_and_has_room_to_grow(values: np.ndarray) -> None:
    low, high = better_range(values, (7e5, 8e5))
    assert low < values.min()
    assert values.max() < high
    assert better_range(values, (low, high)) is None
    assert better_range(np.array([np.nan]), (0, 1)) is None


def test_a_result_is_summarised_by_its_numbers_and_masks() -> None:
    from cimlab.protocols import ProgramResult

    n = np.arange(4)
    mask = np.array([True, True, True, False])
    result = ProgramResult(n, n * 1.0, n * 1.0, n, mask, 7, "host")
    assert summary(result) == "converged 75.0 %, rounds 7, place host"
    assert summary(None) == "ok"
