"""I-V curves: which levels, in which calls, and where cells are seen to switch."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.array import Limits, Trace
from cimlab.protocols import finish
from cimlab.protocols.iv import IvPlan, iv_sweep
from tests.protocols.benchlike import BenchLike
from tests.protocols.fake import FakeArray

LOW, HIGH = 2e-6, 40e-6


class Switches(BenchLike):
    """Cells with exact thresholds: high from +v_on on, low from -v_off on; no noise."""

    def __init__(self, v_on=(1.0, 1.2, 1.4, 1.6), v_off=(0.6, 0.8, 1.0, 1.2), **more):
        super().__init__(sigma_read=0.0, **more)
        self.v_on, self.v_off = np.array(v_on), np.array(v_off)
        self.state[:] = LOW
        self.levels = []

    def _pulse(self, v, width, count, cells):
        v = np.broadcast_to(v, cells.shape)
        self.levels.append(v.copy())
        self.state[cells[v >= self.v_on[cells] - 1e-9]] = HIGH
        self.state[cells[v <= -self.v_off[cells] + 1e-9]] = LOW


def test_levels_of_the_shapes_by_hand():
    def levels(**plan):
        return [part.round(9).tolist() for part in IvPlan(step=0.5, **plan).excursions()]

    assert levels(shape="linear", v_stop=1.0) == [[0.0, 0.5, 1.0]]
    assert levels(shape="double", v_stop=-1.0) == [[0.0, -0.5, -1.0, -0.5, 0.0]]
    assert levels(v_stop=1.0, v_stop_reset=-0.5) == [[0, 0.5, 1, 0.5, 0], [0, -0.5, 0]]
    assert levels(v_start=0.5, v_stop=1.0, v_stop_reset=-1.0) == [
        [0.5, 1.0, 0.5],
        [-0.5, -1.0, -0.5],
    ]
    assert levels(shape="list", levels=(1, 2, 1, 2, -1, 0)) == [[1, 2, 1], [2], [-1, 0]]
    assert levels(shape="linear", v_start=-1.0, v_stop=1.0) == [[-1, -0.5, 0], [0.5, 1.0]]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_excursions_hold_every_level_once_and_turn_once(levels):
    parts = IvPlan(shape="list", levels=tuple(levels)).excursions()
    assert np.concatenate(parts).tolist() == levels
    for part in parts:
        size = np.abs(part)
        peak = size.argmax()
        assert (np.diff(size[: peak + 1]) >= 0).all() and (np.diff(size[peak:]) <= 0).all()
        assert (part >= 0).all() or (part <= 0).all()


@pytest.mark.parametrize("swept", [True, False])
def test_switching_voltages_and_resistances_are_found_exactly(swept):
    array = Switches(capabilities=("sweep",) if swept else ())
    plan = IvPlan(v_stop=2.0, v_stop_reset=-2.0, step=0.2, cycles=3, i_comp=1e-3)
    result = finish(iv_sweep(array, plan, np.arange(4)))
    assert result.v_set == pytest.approx(np.tile(array.v_on, (3, 1)))
    assert result.v_reset == pytest.approx(-np.tile(array.v_off, (3, 1)))
    assert result.r_on == pytest.approx(np.full((3, 4), 1 / HIGH))
    assert result.r_off == pytest.approx(np.full((3, 4), 1 / LOW))
    summary = result.summary()
    assert summary["mode"] == ("dc" if swept else "pulsed")
    assert summary["v_set_median_V"] == pytest.approx(1.3)
    assert summary["r_off_median_Ohm"] == pytest.approx(0.5e6)


def test_a_sweep_is_one_upload_an_excursion_and_one_cell_at_a_time():
    array = Switches()
    finish(iv_sweep(array, IvPlan(step=0.1, i_comp=1e-3), np.arange(4)))
    assert array.calls == ["read", "sweep", "read", "sweep", "read"] * 4
    assert all(len(cells) == 1 for _, cells in array.visits)
    points = list(iv_sweep(Switches(), IvPlan(step=0.1), np.arange(4)))
    assert [p.index for p in points[:5]] == [0, 1, 52, 53, 110]
    swept = points[1]
    up = np.arange(26) / 10
    assert swept.v[:, 0] == pytest.approx(np.concatenate([up, up[-2::-1]]))
    assert (swept.v_read == swept.v[:, 0]).all() and (swept.width == 1e-3).all()
    assert np.isnan(swept.g[0, 0]) and swept.g[1, 0] == pytest.approx(LOW)
    # levels that only read are no pulses
    assert swept.count[:, 0].tolist() == [int(abs(v) > Limits().v_read) for v in swept.v[:, 0]]


def test_pulses_reach_all_cells_of_a_chip_at_once():
    array = FakeArray((1, 4, 4))
    plan = IvPlan(shape="linear", v_stop=1.0, step=0.25)
    events = list(iv_sweep(array, plan, np.arange(16)))
    assert array.calls == ["read"] + ["pulse_and_read"] * 5 + ["read"]
    assert [e.v[0, 0] for e in events] == [0, 0, 0.25, 0.5, 0.75, 1.0, 0]
    assert all(e.v_read == 0.1 for e in events)


@pytest.mark.parametrize("swept", [True, False])
def test_step_back_stops_raising_at_the_compliance(swept):
    """High cells carry 40 uS * v: beyond 45 uA from 1.125 V on, or where they switch, if later."""
    array = Switches(capabilities=("sweep",) if swept else ())
    plan = IvPlan(shape="double", v_stop=2.0, step=0.1, i_comp=45e-6, step_back=True)
    events, steps = [], iv_sweep(array, plan, np.arange(4))
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            result = stop.value
            break
    expected = [1.2, 1.2, 1.4, 1.6]
    assert result.v_set[0] == pytest.approx(expected)
    for cell, top in enumerate(expected):
        mine = [e for e in events if cell in e.cells]
        v = np.concatenate([e.v[:, list(e.cells).index(cell)] for e in mine])
        assert v.max() == pytest.approx(top)
        # up in steps, down in the same steps, and nothing in between is left out
        up = v[: v.argmax() + 1]
        assert np.diff(up[1:]) == pytest.approx(np.full(up.size - 2, 0.1))
        down = v[v.argmax() + 1 :]
        assert down[down > 0] == pytest.approx(np.arange(top - 0.1, 0.05, -0.1))
    assert events[-1].done == 1.0


def test_step_back_of_a_sweep_comes_back_in_one_call():
    array = Switches()
    plan = IvPlan(shape="double", v_stop=2.0, step=0.1, i_comp=45e-6, step_back=True)
    events = list(iv_sweep(array, plan, np.array([0])))
    assert array.calls == ["read"] + ["sweep"] * 14 + ["read"]
    assert events[-2].v[:, 0] == pytest.approx(np.arange(11, -1, -1) / 10)
    assert events[-2].index + len(events[-2].v) == events[-1].index


def test_a_second_sign_comes_back_by_itself():
    """The compliance that one excursion met says nothing about the next."""
    array = Switches(v_off=(1.5,) * 4)
    plan = IvPlan(v_stop=2.0, v_stop_reset=-2.0, step=0.1, i_comp=70e-6, step_back=True, cycles=2)
    result = finish(iv_sweep(array, plan, np.arange(4)))
    assert result.v_set[0] == pytest.approx([1.8, 1.8, 1.8, 1.8])
    assert result.v_reset[1] == pytest.approx([-1.5] * 4)


def test_an_offset_of_the_meter_is_no_switching():
    """4 uA more than flow are 80 uS at 0.05 V, and less and less on the way up."""

    class Offset(Switches):
        def sweep(self, v, i_comp, dwell, cells):
            trace = super().sweep(v, i_comp, dwell, cells)
            return Trace(trace.current + 4e-6 * np.sign(v)[:, None], trace.saturated, trace.cells)

    plan = IvPlan(v_stop=2.0, v_stop_reset=-2.0, step=0.05, i_comp=1e-3)
    result = finish(iv_sweep(Offset(), plan, np.arange(4)))
    assert result.v_set[0] == pytest.approx([1.0, 1.2, 1.4, 1.6])
    assert result.v_reset[0] == pytest.approx([-0.6, -0.8, -1.0, -1.2])


def test_without_steps_there_is_no_switching_voltage():
    array = Switches(v_on=(9.0,) * 4)
    result = finish(iv_sweep(array, IvPlan(v_stop=1.0, step=0.2), np.arange(4)))
    assert np.isnan(result.v_set).all() and np.isnan(result.v_reset).all()
    assert result.r_on == pytest.approx(np.full((1, 4), 1 / LOW))
    assert not {"v_set_median_V", "v_reset_sigma_V"} & set(result.summary())


def test_only_the_first_excursion_of_a_sign_counts():
    array = Switches(capabilities=())
    plan = IvPlan(shape="list", levels=(0.5, 1.1, 0.5, 1.5, -0.5, -2.0, 1.0))
    result = finish(iv_sweep(array, plan, np.array([0, 1, 2])))
    assert result.v_set[0, 0] == 1.1
    assert np.isnan(result.v_set[0, 1:]).all()
    assert result.r_on[0] == pytest.approx([1 / HIGH, 1 / LOW, 1 / LOW])
    assert result.v_reset[0] == pytest.approx([-2.0, -2.0, -2.0])


def test_a_current_that_is_not_positive_has_no_resistance():
    class Dead(Switches):
        def sweep(self, v, i_comp, dwell, cells):
            super().sweep(v, i_comp, dwell, cells)
            nothing = np.zeros((v.size, cells.size))
            return Trace(nothing, nothing > 0, cells)

        def _read(self, v, cells, averages):
            self.state[:] = 0.0
            return super()._read(v, cells, averages)

    result = finish(iv_sweep(Dead(), IvPlan(), np.arange(4)))
    assert np.isnan(result.r_on).all() and np.isnan(result.r_off).all()


def test_the_papers_dc_cycling_is_in_its_window():
    """SET between 0.8 and 2 V, RESET gradual down to -2.8 V (PAPER 2), quasi-static."""
    array = BenchLike((1, 4, 4), seed=5)
    events, steps = [], iv_sweep(array, IvPlan(cycles=2, v_stop=2.0), np.arange(16))
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            result = stop.value
            break
    assert ((result.v_set[1] > 0.8) & (result.v_set[1] <= 2.0)).all()
    assert (result.r_off[1] / result.r_on[1] > 3).all()
    for a, b in pairwise(events):
        assert b.time[0] >= a.time[-1]
