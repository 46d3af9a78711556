"""Retention: when cells are read, and what is made of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.clock import VirtualClock
from cimlab.protocols import finish
from cimlab.protocols.characterisation import log_counts, log_spaced
from cimlab.protocols.retention import RetentionPlan, retention
from cimlab.rig import open_array
from tests.protocols.fake import FakeArray

HOUR = 3600.0


class Drifting(FakeArray):
    """g = g0 (t / 1 s)^-nu since the array's first moment, exactly."""

    def __init__(self, nu, **more):
        super().__init__((1, 1, len(nu)), sigma_read=0.0, **more)
        self.nu, self.fresh = np.array(nu), np.full(len(nu), 20e-6)

    def _read(self, v, cells, averages):
        self.state[:] = self.fresh * np.maximum(self.time.now(), 1.0) ** -self.nu
        return super()._read(v, cells, averages)


def test_times_are_log_spaced_from_first_to_last():
    times = RetentionPlan(t_first=1.0, t_last=1000.0, per_decade=2).times
    assert times == pytest.approx([0, 1, 10**0.5, 10, 10**1.5, 100, 10**2.5, 1000])
    assert RetentionPlan(t_first=5.0, t_last=5.0).times.tolist() == [0.0, 5.0]


@given(st.floats(1e-3, 1e5), st.floats(1, 1e6), st.integers(1, 20))
def test_log_spacing_keeps_both_ends_and_its_density(first, factor, per_decade):
    x = log_spaced(first, first * factor, per_decade)
    assert x[0] == pytest.approx(first) and x[-1] == pytest.approx(first * factor)
    assert (np.diff(x) > 0).all()
    assert (np.diff(np.log10(x)) <= 1 / per_decade + 1e-9).all()


@given(st.integers(1, 10**6), st.integers(1, 10))
def test_log_counts_rise_from_one_to_the_last(last, per_decade):
    counts = log_counts(last, per_decade)
    assert counts[0] == 1 and counts[-1] == last
    assert all(b > a for a, b in pairwise(counts))
    assert all(b <= a * 10 ** (1 / per_decade) + 1.5 for a, b in pairwise(counts))


def test_reads_are_made_when_they_are_due():
    array = Drifting([0.0])
    array.time.sleep(123.0)
    plan = RetentionPlan(t_first=0.5, t_last=5e4, per_decade=3)
    events = list(retention(array, plan, np.array([0])))
    assert np.concatenate([e.time for e in events]) == pytest.approx(plan.times)
    assert array.time.now() == pytest.approx(123 + 5e4)


def test_a_read_that_is_late_is_made_late_and_says_so():
    class Slow(Drifting):
        def read(self, v, cells=None, averages=1):
            self.time.sleep(3.0)
            return super().read(v, cells, averages)

    array = Slow([0.1])
    events = list(retention(array, RetentionPlan(t_last=100.0, per_decade=1), np.array([0])))
    assert [e.time[0] for e in events] == pytest.approx([3, 6, 13, 103])


def test_the_drift_exponent_is_exact():
    nu = [-0.02, 0.0, 0.005, 0.1]
    array = Drifting(nu)
    array.converters = type(array.converters)(0.1, 3.3, 1e-3, (1e-4,))
    result = finish(retention(array, RetentionPlan(), np.arange(4)))
    assert result.nu == pytest.approx(nu, abs=1e-7)
    assert result.summary()["nu_median"] == pytest.approx(0.0025, rel=1e-5)


def test_what_is_clipped_or_not_positive_has_no_exponent():
    array = Drifting([0.05, 0.05, 0.05])
    array.fresh[:] = [200e-6, 0.0, 20e-6]
    result = finish(retention(array, RetentionPlan(), np.arange(3)))
    assert np.isnan(result.nu).tolist() == [True, True, False]
    one = finish(retention(Drifting([0.1]), RetentionPlan(t_first=2.0, t_last=2.0), np.array([0])))
    assert np.isnan(one.nu).all() and "nu_median" not in one.summary()


@pytest.mark.parametrize("hours", [2, 24, 400])
def test_the_model_drifts_like_the_device(hours):
    """Low cells creep to g_rest with tau_rest (200 h), high ones stay (PAPER 2)."""
    with open_array("model:?tiles=1&rows=64&cols=64&seed=7") as array:
        assert isinstance(array.clock, VirtualClock)
        cells = np.arange(4096)
        array.pulse(-2.8, 1e-6, 10, cells)
        array.pulse(2.8, 1e-6, 10, cells[2048:])
        plan = RetentionPlan(t_last=hours * HOUR, per_decade=1, averages=256)
        result = finish(retention(array, plan, cells))
    creep = -np.expm1(-hours / 200)
    first, last = result.g[0], result.g[-1]
    moved = first[:2048] + creep * (15e-6 - first[:2048])
    # the walk, and both averaged reads, whose noise creep makes smaller
    sigma = np.hypot(0.05e-6 * np.sqrt(hours), 1.55e-6 / 16 * np.sqrt(2))
    alive = last[:2048] < 30e-6  # but for cells that are stuck high
    off = (last[:2048] - moved)[alive]
    assert abs(off.mean()) < 5 * sigma / np.sqrt(off.size) + 0.01e-6
    assert off.std() == pytest.approx(sigma, rel=0.15)
    high = np.median(last[2048:] / first[2048:])
    assert high == pytest.approx(1.0, abs=0.01)
