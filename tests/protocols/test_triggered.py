"""Writing after a batch: only what must move, verified or blind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.protocols import Blind, Ispp, blind, moved, program_pairs
from tests.protocols.fake import FakeArray


def test_only_cells_that_must_move_are_touched():
    array = FakeArray()
    pairs = np.array([[10, 11], [4, 5], [100, 101]])
    estimate = np.array([[1.0, 2.0], [1.5, 1.5], [3.0, 1.0]]) * 1e-6
    target = np.array([[1.0, 2.5], [1.6, 1.4], [2.0, 1.0]]) * 1e-6
    result = program_pairs(array, Ispp(), pairs, estimate, target, least=0.2e-6)
    assert result.cells.tolist() == [11, 100]
    assert result.target == pytest.approx([2.5e-6, 2.0e-6])
    assert set(np.flatnonzero(array.counted)) <= {11, 100}


def test_pairs_keep_their_own_targets_in_any_order():
    array = FakeArray()
    pairs = np.random.default_rng(0).permutation(256).reshape(128, 2)
    target = np.random.default_rng(1).uniform(1e-6, 3e-6, (128, 2))
    result = program_pairs(array, Ispp.precise(), pairs, np.zeros((128, 2)), target)
    assert result.converged.all()
    now = array.state[pairs] * 0.1
    assert np.abs(now - target).max() < 0.3e-6


def test_nothing_to_move_is_no_transaction():
    array = FakeArray()
    result = program_pairs(array, Ispp(), [[0, 1]], [[1e-6, 1e-6]], [[1e-6, 1e-6]])
    assert result.cells.size == 0
    assert array.calls == []


@given(st.floats(-5e-6, 5e-6), st.floats(-5e-6, 5e-6), st.floats(0, 1e-6))
def test_moved_is_a_strict_threshold(estimate, target, least):
    assert moved(estimate, target, least) == (abs(target - estimate) > least)


class TestBlind:
    plan = Blind(step_set=0.1e-6, step_reset=0.2e-6, count_max=5)

    def test_pulses_by_hand(self):
        """0.24/0.1 -> 2 up; -0.5/0.2 -> 2 down (half to even); 0.04 -> none; 9 -> at most 5."""
        array = FakeArray()
        delta = np.array([0.24, -0.5, 0.04, 9.0, -0.7]) * 1e-6
        result = blind(array, self.plan, [0, 1, 2, 3, 4], delta)
        assert result.pulses.tolist() == [2, -2, 0, 5, -4]
        assert result.expected == pytest.approx(np.array([0.2, -0.4, 0, 0.5, -0.8]) * 1e-6)
        assert array.counted[:5].tolist() == [2, 2, 0, 5, 4]
        assert array.calls == ["pulse"]

    def test_no_pulse_is_no_transaction(self):
        array = FakeArray()
        result = blind(array, self.plan, [0, 1], 0.01e-6)
        assert array.calls == []
        assert not result.pulses.any()

    @given(st.lists(st.floats(-3e-6, 3e-6), min_size=1, max_size=20))
    def test_what_is_left_over_is_at_most_half_a_pulse_unless_it_was_capped(self, delta):
        delta = np.array(delta)
        result = blind(FakeArray(), self.plan, np.arange(delta.size), delta)
        step = np.where(delta > 0, 0.1e-6, 0.2e-6)
        capped = np.abs(result.pulses) == 5
        assert (capped | (np.abs(delta - result.expected) <= 0.5001 * step)).all()

    @pytest.mark.parametrize("sign", [1, -1])
    def test_the_default_steps_are_the_devices_in_mid_window(self, sign):
        array = FakeArray((1, 64, 64))
        array.state[:] = 20e-6
        blind(array, Blind(), np.arange(4096), sign * 0.1e-6)
        change = (array.state - 20e-6) * 0.1
        assert change.mean() == pytest.approx(sign * 0.1e-6, rel=0.2)

    def test_wrong_requests_touch_nothing(self):
        array = FakeArray()
        with pytest.raises(ConfigError, match="rising"):
            blind(array, self.plan, [1, 0], 1e-6)
        with pytest.raises(ConfigError, match="finite"):
            blind(array, self.plan, [0, 1], np.nan)
        assert array.calls == []

    def test_an_error_grounds_the_array(self):
        array = FakeArray()

        def broken(*_arguments, **_names):
            raise RuntimeError("no")

        array.pulse = broken
        with pytest.raises(RuntimeError):
            blind(array, self.plan, [0], 1e-6)
        assert array.calls == ["ground"]
