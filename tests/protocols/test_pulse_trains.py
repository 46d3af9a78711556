"""LTP and LTD: which pulses, in which calls, and what the curves say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.protocols import finish
from cimlab.protocols.pulse_trains import PulsesPlan, curvature, pulse_trains
from cimlab.rig import open_array
from tests.protocols.benchlike import BenchLike
from tests.protocols.fake import FakeArray


def test_trains_by_hand():
    common = {"n_up": 3, "n_down": 2, "v_up": 1.5, "v_down": 1.0, "width": 1e-6}
    v, width = PulsesPlan(**common).train()
    assert v.tolist() == [1.5, 1.5, 1.5, -1.0, -1.0]
    assert width == pytest.approx([1e-6] * 5)
    v, width = PulsesPlan(increments="amplitude", v_step=0.25, **common).train()
    assert v.tolist() == [1.5, 1.75, 2.0, -1.0, -1.25]
    assert width == pytest.approx([1e-6] * 5)
    v, width = PulsesPlan(increments="width", width_factor=2.0, **common).train()
    assert v.tolist() == [1.5, 1.5, 1.5, -1.0, -1.0]
    assert width == pytest.approx([1e-6, 2e-6, 4e-6, 1e-6, 2e-6])


def test_every_pulse_is_recorded_with_its_settings():
    array = FakeArray((1, 2, 2))
    plan = PulsesPlan(n_up=3, n_down=2, increments="width", width_factor=2.0, cycles=2)
    events = list(pulse_trains(array, plan, np.arange(4)))
    assert array.calls == ["read"] + ["pulse_and_read"] * 11
    assert [e.index for e in events] == list(range(12))
    assert [e.cycle[0] for e in events] == [0] * 7 + [1] * 5
    assert [e.count[0, 0] for e in events] == [0, 10] + [1] * 10
    assert [e.v[0, 0] for e in events[:7]] == [0, -2.5, 1.8, 1.8, 1.8, -1.1, -1.1]
    assert [e.width[0] for e in events[2:7]] == pytest.approx([1e-6, 2e-6, 4e-6, 1e-6, 2e-6])


def test_a_thousand_pulses_are_one_call_a_cell_where_there_is_a_buffer():
    array = BenchLike()
    plan = PulsesPlan(n_up=500, n_down=500, averages=1)
    events = list(pulse_trains(array, plan, np.arange(4)))
    assert array.calls == ["read", "pulse_and_read", "train"] * 4
    assert [e.current.shape for e in events] == [(1, 1), (1, 1), (1000, 1)] * 4
    assert [cells for verb, cells in array.visits if verb == "train"] == [(0,), (1,), (2,), (3,)]
    # spread over the time of the call, which is the cell's own
    assert (np.diff(events[5].time) > 0).all()
    assert events[2].time[-1] < events[5].time[0]


def test_trains_longer_than_a_call_may_be_are_cut():
    array = BenchLike()
    events = list(pulse_trains(array, PulsesPlan(n_up=1500, n_down=3), np.array([2])))
    assert [e.index for e in events] == [0, 1, 2, 1002]
    assert [len(e.v) for e in events] == [1, 1, 1000, 503]
    assert events[3].v[499:501, 0].tolist() == [1.8, -1.1]


@pytest.mark.parametrize("capabilities", [(), ("train",)])
def test_a_b_rram_moves_through_its_window_and_back(capabilities):
    class Watched(BenchLike):
        low, high = np.full(16, np.inf), np.zeros(16)

        def _pulse(self, v, width, count, cells):
            super()._pulse(v, width, count, cells)
            self.low[cells] = np.minimum(self.low[cells], self.state[cells])
            self.high[cells] = np.maximum(self.high[cells], self.state[cells])

    array = Watched((1, 4, 4), seed=3, capabilities=capabilities)
    result = finish(pulse_trains(array, PulsesPlan(cycles=2, averages=64), np.arange(16)))
    sigma = 1.55e-6 / 8
    # extremes of a hundred reads each
    assert np.abs(result.g_max - array.high).max() < 5 * sigma
    assert np.abs(result.g_min - array.low).max() < 5 * sigma
    assert (np.diff(result.up) > -sigma).all() and (np.diff(result.down) < sigma).all()
    assert result.up.shape == result.down.shape == (51,)
    assert result.up[-1] == result.down[0]
    # identical pulses saturate: far from linear in both directions
    assert 0.1 < result.a_up < 0.4 and 0.1 < result.a_down < 0.4
    assert result.cycles == 2


def test_identical_trains_follow_the_devices_law():
    """Without spread and noise: g' = hi - (hi - g) exp(-rate), rate = exp((v - v_set) / slope)."""
    exact = {"c2c": 0.0, "d2d_threshold": 0.0, "d2d_g_min": 0.0, "d2d_g_max": 0.0}
    array = FakeArray((1, 1, 2), sigma_read=0.0, **exact)
    result = finish(pulse_trains(array, PulsesPlan(averages=1), np.arange(2)))
    rate = np.exp((1.8 - 2.3) / 0.2)
    expected = 42e-6 - (42e-6 - result.up[0]) * np.exp(-rate * np.arange(51))
    assert result.up == pytest.approx(expected, rel=1e-5)
    assert result.a_up == pytest.approx(1 / (50 * rate), rel=0.02)


@given(st.floats(0.02, 20), st.floats(-1e-4, 1e-4), st.floats(1e-6, 1e-4), st.booleans())
def test_curvature_finds_the_a_of_an_exponential(a, offset, height, falls):
    p = np.arange(65) / 64
    g = offset + height * (1 - np.exp(-p / a)) * (-1 if falls else 1)
    assert curvature(g) == pytest.approx(a, rel=0.02)


def test_a_flat_curve_has_no_curvature():
    assert np.isnan(curvature(np.full(9, 1e-5)))
    assert np.isnan(curvature(np.array([1.0, np.nan, 2.0])))
    assert np.isnan(curvature(np.array([1.0, 2.0])))


def test_a_straight_line_has_the_largest_a():
    assert curvature(np.linspace(1e-6, 4e-6, 30)) == pytest.approx(100)


def test_clipped_cells_have_no_window():
    array = FakeArray((1, 2, 2))
    array.stuck[1], array.state[1] = True, 80e-6
    result = finish(pulse_trains(array, PulsesPlan(n_up=3, n_down=3), np.arange(4)))
    assert np.isnan(result.g_max).tolist() == np.isnan(result.g_min).tolist()
    assert np.isnan(result.g_max).tolist() == [False, True, False, False]


def test_model_and_host_agree_on_pulses():
    with open_array("model:?tiles=1&rows=8&cols=8") as array:
        finish(pulse_trains(array, PulsesPlan(n_up=7, n_down=5, cycles=2), np.arange(64)))
        assert (array.counters() == 34).all()
