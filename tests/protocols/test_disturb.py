"""Disturb: exactly so many pulses of exactly that amplitude."""

import dataclasses

import numpy as np
import pytest

from cimlab.protocols import finish
from cimlab.protocols.disturb import DisturbPlan, disturb
from cimlab.rig import open_array
from tests.protocols.fake import FakeArray

EXACT = {"sigma_read": 0.0, "c2c": 0.0, "d2d_threshold": 0.0, "d2d_g_min": 0.0, "d2d_g_max": 0.0}


def test_reads_come_after_log_spaced_counts_and_calls_stay_within_the_limit():
    array = FakeArray((1, 1, 2))
    array.spec = dataclasses.replace(
        array.spec, limits=dataclasses.replace(array.spec.limits, count_max=40)
    )
    events = list(disturb(array, DisturbPlan(count=200, per_decade=1, v=1.0), np.arange(2)))
    assert [int(e.count[0, 0]) for e in events] == [0, 1, 5, 28, 166]
    assert array.counted.tolist() == [200, 200]
    assert array.calls == ["read"] + ["pulse_and_read"] * 3 + ["pulse"] * 4 + ["pulse_and_read"]
    assert [e.v[0, 0] for e in events] == [0, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("kind", "v", "expected"),
    [("read", 3.0, 0.1), ("half_select", 3.0, 1.5), ("half_select", -2.0, -1.0)],
)
def test_the_amplitude(kind, v, expected):
    plan = DisturbPlan(kind=kind, v=v, count=3)
    assert plan.v_disturb == expected
    result = finish(disturb(FakeArray((1, 1, 1)), plan, np.array([0])))
    assert result.v == expected
    assert result.summary()["v_disturb_V"] == expected


def test_half_selected_cells_shift_by_the_devices_law():
    """After n pulses: hi - (hi - g) exp(-n rate), rate = exp((1.5 - 2.3) / 0.2)."""
    array = FakeArray((1, 1, 2), **EXACT)
    array.state[:] = [10e-6, 41.9e-6]
    result = finish(disturb(array, DisturbPlan(count=100), np.arange(2)))
    rate = np.exp((1.5 - 2.3) / 0.2)
    expected = 42e-6 - (42e-6 - 10e-6) * np.exp(-rate * result.pulses)
    assert result.g[:, 0] == pytest.approx(expected, rel=1e-4)
    assert result.disturbed.tolist() == [True, False]
    assert result.change[0] == pytest.approx(expected[-1] - 10e-6, rel=1e-3)
    assert result.summary()["disturbed"] == 1


def test_the_model_counts_what_disturbs_it():
    with open_array("model:?tiles=1&rows=8&cols=8") as array:
        plan = DisturbPlan(kind="read", count=50, averages=256)
        result = finish(disturb(array, plan, np.arange(64)))
        assert (array.counters() == 50).all()
    assert not result.disturbed.any()
    assert np.abs(result.change).max() < 5 * np.sqrt(2) * 1.55e-6 / 16
