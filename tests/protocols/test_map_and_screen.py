"""Maps of variation, and screening: every flaw is found, and no sound cell is called flawed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.board.hal_array import HalArray
from cimlab.core.array import Reading
from cimlab.core.health import Health, HealthMap
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.protocols import finish
from cimlab.protocols.device_map import MapPlan, device_map
from cimlab.protocols.screen import ScreenPlan, classify, screen
from tests.protocols.benchlike import BenchLike
from tests.protocols.fake import FakeArray

EXACT = {"sigma_read": 0.0, "c2c": 0.0, "d2d_threshold": 0.0, "d2d_g_min": 0.0, "d2d_g_max": 0.0}


@pytest.mark.parametrize("seed", range(3))
def test_screening_finds_the_stuck_cells_of_a_chip_exactly(seed):
    hal = SimulatedHal(device("brram"), tiles=2, seed=seed, imperfections=Imperfections(stuck=0.05))
    stuck, g = ~hal._alive, hal.state["g"].copy()
    # two cells lose contact; the chip does not know
    stuck[[17, 4000]], g[[17, 4000]] = True, 0.0
    hal._alive[[17, 4000]], hal.state["g"][[17, 4000]] = False, 0.0
    truth = np.select(
        [~stuck, g == 0, g > 20e-6],
        [Health.CLEAN, Health.OPEN, Health.STUCK_HIGH],
        Health.STUCK_LOW,
    )
    result = finish(screen(HalArray(hal), ScreenPlan(), np.arange(8192)))
    assert np.array_equal(result.health.states.ravel(), truth)
    summary = result.summary()
    assert summary["clean"] == np.count_nonzero(~stuck)
    assert summary["open"] == 2 and summary["formed"] == 0
    assert summary["stuck_high"] + summary["stuck_low"] == np.count_nonzero(stuck) - 2 > 300


def test_what_was_not_asked_for_is_untested_and_stays_usable():
    array = FakeArray((1, 2, 2))
    array.stuck[1], array.state[1] = True, 42e-6
    result = finish(screen(array, ScreenPlan(), np.array([0, 1])))
    assert result.health.states.shape == (1, 2, 2)
    assert result.health.states.ravel().tolist() == [0, Health.STUCK_HIGH, 255, 255]
    assert result.health.usable.ravel().tolist() == [True, False, True, True]
    assert result.health.identity == "fake"
    assert result.health.utc.endswith("+00:00")
    assert array.counted.tolist() == [20, 20, 0, 0]


def test_a_cell_that_conducts_only_since_its_set_train_was_formed():
    array = FakeArray((1, 1, 2), **EXACT)
    array.state[:] = [0.01e-6, 30e-6]
    result = finish(screen(array, ScreenPlan(), np.arange(2)))
    assert result.health.states.ravel().tolist() == [Health.FORMED, Health.CLEAN]


def test_lines_that_are_marked_bad_get_no_pulse():
    class Marked(BenchLike):
        def _read(self, v, cells, averages):
            reading = super()._read(v, cells, averages)
            where = np.arange(self.spec.size) if cells is None else cells
            current = np.where(where == 2, np.nan, reading.current)
            return Reading(current, v, reading.saturated, cells)

        def _pulse(self, v, width, count, cells):
            assert 2 not in cells
            super()._pulse(v, width, count, cells)

    for capabilities in ((), ("sweep", "train")):
        array = Marked(capabilities=capabilities)
        events, steps = [], screen(array, ScreenPlan(), np.arange(4))
        while True:
            try:
                events.append(next(steps))
            except StopIteration as stop:
                result = stop.value
                break
        assert result.health.states.ravel().tolist() == [0, 0, Health.OPEN, 0]
        assert [(e.index, e.cells[0]) for e in events if e.cells[0] == 2] == [(0, 2)]
        assert events[-1].done == 1.0


@pytest.mark.parametrize(
    ("g", "health"),
    [
        ((30, 40, 5), Health.CLEAN),
        ((0.5, 40, 5), Health.FORMED),
        ((0.5, 40, 0.2), Health.FORMED),
        ((30, 31, 29), Health.STUCK_HIGH),
        ((8, 40, 41), Health.STUCK_HIGH),
        ((4, 5, 4), Health.STUCK_LOW),
        ((30, 5, 4), Health.STUCK_LOW),
        ((0.2, 0.9, 0.1), Health.OPEN),
        ((np.nan, np.nan, np.nan), Health.OPEN),
    ],
)
def test_classes_by_hand(g, health):
    """Defaults: open below 1 uS, a swing of 5 uS, high above 20 uS."""
    assert classify(ScreenPlan(), np.array(g)[:, None] * 1e-6).tolist() == [health]


@given(st.lists(st.tuples(*[st.floats(0, 50e-6)] * 3), min_size=1, max_size=20))
def test_a_cell_is_usable_exactly_if_it_conducts_and_swings(g):
    g = np.array(g).T
    plan = ScreenPlan()
    states = classify(plan, g)
    usable = (g[1] - g[2] >= plan.swing_min) & (g.max(axis=0) >= plan.g_open)
    assert (np.isin(states, (Health.CLEAN, Health.FORMED)) == usable).all()


def test_a_health_map_counts_and_masks():
    states = np.array([[[0, 1, 2], [3, 4, 255]]], np.uint8)
    health = HealthMap(states, "chip 7", "2026-11-23T00:00:00.000+00:00")
    assert [health.count(state) for state in Health] == [1] * 6
    assert health.usable.tolist() == [[[True, True, False], [False, False, True]]]


def test_a_map_finds_the_spread_that_was_put_there():
    """Bounds spread by 15 % and 5 %, and trains long enough to reach them."""
    array = FakeArray((1, 64, 64), seed=1)
    array.converters = type(array.converters)(0.1, 3.3, 10e-6, (1e-4,))
    plan = MapPlan(v_set=3.0, v_reset=3.0, n_set=20, n_reset=20)
    result = finish(device_map(array, plan, np.arange(4096)))
    assert (array.counted == 40).all()
    low, high = array.traits[2], array.traits[3]
    error = 1.55e-6 / 8
    assert np.std(result.g_on - high) == pytest.approx(error, rel=0.05)
    assert np.std(result.g_off - low) == pytest.approx(error, rel=0.05)
    summary = result.summary()
    assert summary["g_on_sigma_S"] == pytest.approx(np.hypot(high.std(), error), rel=0.02)
    assert summary["g_off_median_S"] == pytest.approx(np.median(low), rel=0.02)
    assert summary["window_median"] == pytest.approx(10.5, rel=0.02)


def test_clipped_cells_have_no_place_in_the_spread():
    array = FakeArray((1, 1, 3), **EXACT)
    array.stuck[0], array.state[0] = True, 90e-6
    result = finish(device_map(array, MapPlan(), np.arange(3)))
    for g in (result.g_first, result.g_on, result.g_off):
        assert np.isnan(g).tolist() == [True, False, False]
    assert result.summary()["g_on_sigma_S"] == 0.0
