from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cimlab.nn import DeviceWindow, fresh_pair, rewritten_pair
from cimlab.nn.mapping import FINE

WINDOW = DeviceWindow(1.0, 3.0)
FREE = np.zeros((2, 20), bool)
currents = arrays(np.float64, (2, 20), elements=st.floats(0.5, 3.5))
differences = arrays(np.float64, 20, elements=st.floats(-2, 2))


@given(differences)
def test_fresh_pairs_have_the_difference_and_one_side_low(difference: np.ndarray) -> None:
    plus, minus = fresh_pair(difference, WINDOW)
    np.testing.assert_allclose(plus - minus, difference, atol=1e-12)
    assert (np.minimum(plus, minus) == WINDOW.low).all()
    assert (np.maximum(plus, minus) <= WINDOW.high).all()


@given(currents, differences)
def test_rewritten_pairs_reach_the_difference_with_cells_inside_the_window(
    believed: np.ndarray, difference: np.ndarray
) -> None:
    target, moves = rewritten_pair(believed, difference, FREE, WINDOW)
    np.testing.assert_allclose(target[0] - target[1], difference, atol=1e-12)
    assert (target[~moves] == believed[~moves]).all()
    assert (target[moves] >= WINDOW.low).all()
    assert (target[moves] <= WINDOW.high).all()


@given(currents, differences)
def test_two_cells_move_only_where_one_cannot_do_it(
    believed: np.ndarray, difference: np.ndarray
) -> None:
    _, moves = rewritten_pair(believed, difference, FREE, WINDOW)
    plus_alone, minus_alone = believed[1] + difference, believed[0] - difference
    possible = [(x >= WINDOW.low) & (x <= WINDOW.high) for x in (plus_alone, minus_alone)]
    assert (moves.sum(0) == np.where(possible[0] | possible[1], 1, 2)).all()


def test_the_choice_with_less_current_is_taken() -> None:
    believed = np.array([[2.0], [1.5]])
    target, moves = rewritten_pair(believed, np.array([-0.5]), FREE[:, :1], WINDOW)
    # plus down to 1.0 (sum 2.5), not minus up to 2.5 (sum 4.5)
    assert target[:, 0].tolist() == [1.0, 1.5]
    assert moves[:, 0].tolist() == [True, False]


def test_differences_beyond_the_span_are_cut() -> None:
    target, _ = rewritten_pair(np.array([[1.0], [1.0]]), np.array([9.0]), FREE[:, :1], WINDOW)
    assert target[:, 0].tolist() == [3.0, 1.0]


@given(currents, differences, arrays(np.bool_, (2, 20)))
def test_stuck_cells_are_left_alone_and_their_partners_go_as_far_as_they_can(
    believed: np.ndarray, difference: np.ndarray, stuck: np.ndarray
) -> None:
    target, moves = rewritten_pair(believed, difference, stuck, WINDOW)
    assert not (moves & stuck).any()
    assert (target[~moves] == believed[~moves]).all()
    for side, sign in ((0, 1), (1, -1)):
        alone = stuck[1 - side] & ~stuck[side]
        wanted = believed[1 - side] + sign * difference
        goal = np.clip(wanted, 1.0, 3.0)
        far = np.abs(goal - believed[side]) > 2 * FINE
        # one that reaches the difference moves however little that is
        np.testing.assert_allclose(target[side][alone & moves[side]], goal[alone & moves[side]])
        assert moves[side][alone & (far | (wanted == goal))].all()
        assert not moves[side][alone & ~far & (wanted != goal)].any()
