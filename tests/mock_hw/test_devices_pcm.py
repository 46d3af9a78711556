"""Phase-change memory: gradual SET, abrupt RESET, programming noise and drift, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.mock_hw.devices import device, rest
from tests.mock_hw.devices import HOUR, N, draws, population, still, volts


def test_set_accumulates():
    """A pulse of 1 us covers 1 - exp(-1/8) = 0.117503: from 5 uS 7.350 uS, then 9.424 uS."""
    model = still("pcm")
    _, traits = population(model)
    once = model.pulse(volts(5e-6), traits, volts(1.5), 1e-6, draws(0))
    twice = model.pulse(once, traits, volts(1.5), 1e-6, draws(1))
    assert once == pytest.approx(7.35006e-6, rel=1e-5)
    assert twice == pytest.approx(9.42399e-6, rel=1e-5)


@given(st.floats(1e-8, 1e-4), st.floats(1e-8, 1e-4))
def test_two_pulses_are_one_as_long_as_both(a, b):
    model = still("pcm")
    g, traits = population(model, 5)
    both = model.pulse(g, traits, volts(2, 5), a + b, draws(0, 5))
    one = model.pulse(g, traits, volts(2, 5), a, draws(0, 5))
    assert model.pulse(one, traits, volts(2, 5), b, draws(1, 5)) == pytest.approx(both, rel=1e-5)


def test_reset_melts_whatever_was_there():
    model = device("pcm")
    _, traits = population(model)
    for start in (1e-6, 10e-6, 24e-6):
        after = model.pulse(volts(start), traits, volts(-2.5), 1e-6, draws(1))
        above = after - traits[1]
        assert (above >= 0).all()
        # |N(0, 1)| has the mean 0.798; sigma at 0.5 uS, x = 0.02: 0.3023 uS
        assert above.mean() == pytest.approx(0.798 * 0.302e-6, rel=0.04)


@pytest.mark.parametrize(("v", "moves"), [(0.99, 0), (1.0, 1), (-1.99, 0), (-2.0, 1)])
def test_pulses_below_the_thresholds_do_nothing(v, moves):
    model = device("pcm")
    _, traits = population(model)
    g = volts(10e-6)
    assert np.array_equal(model.pulse(g, traits, volts(v), 1e-6, draws(0)), g) != moves


@pytest.mark.parametrize(("aim", "sigma"), [(5.0, 0.609557), (12.5, 0.952705)])
def test_programming_noise_depends_on_the_conductance(aim, sigma):
    """x = 0.2: 0.26348 + 0.393 - 0.046924 = 0.609556 uS; x = 0.5: 0.952705 uS."""
    model = still("pcm", noise=1.0)
    _, traits = population(model, 40_000)
    # so short a pulse aims at where the cell is
    after = model.pulse(
        volts(aim * 1e-6, 40_000), traits, volts(2, 40_000), 1e-15, draws(0, 40_000)
    )
    assert after.std() == pytest.approx(sigma * 1e-6, rel=0.02)
    assert after.mean() == pytest.approx(aim * 1e-6, abs=0.02e-6)


def test_drift_by_hand():
    """nu = 0.05, t0 = 1 s: after 9 s 10^-0.05 = 0.891251, after 9,999 s 10^-0.2 = 0.630957."""
    model = still("pcm")
    _, traits = population(model)
    g = volts(20e-6)
    assert model.relax(g, traits, 9.0, draws(0)) == pytest.approx(17.82502e-6, rel=1e-5)
    assert model.relax(g, traits, 9999.0, draws(0)) == pytest.approx(12.61915e-6, rel=1e-5)


def test_cells_drift_at_their_own_pace():
    model = device("pcm")
    _, traits = population(model, 40_000)
    left = model.relax(volts(20e-6, 40_000), traits, 9999.0, draws(0, 40_000)) / 20e-6
    nu = -np.log10(left) / 4
    assert nu.mean() == pytest.approx(0.05, rel=0.01)
    assert nu.std() == pytest.approx(0.015, rel=0.03)
    assert nu.min() >= 0


def keep(n=N):
    """What the owner of cells keeps for their rests."""
    return np.zeros(n, np.float32), np.zeros(n)


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=6))
def test_rests_compose(parts):
    model = device("pcm")
    _, traits = population(model, 50)
    g = start = volts(20e-6, 50)
    kept = keep(50)
    for k, seconds in enumerate(parts):
        g = rest(model, g, traits, *kept, seconds, draws(k, 50)).copy()
    assert kept[1] == pytest.approx(sum(parts))
    whole = rest(model, start, traits, *keep(50), sum(parts), draws(9, 50))
    assert g == pytest.approx(whole, rel=1e-5)


def test_a_pulse_restarts_the_drift_and_one_below_threshold_does_not():
    model = still("pcm")
    _, traits = population(model, 3)
    kept = keep(3)
    g = rest(model, volts(20e-6, 3), traits, *kept, HOUR, draws(0, 3)).copy()
    v = np.array([1.5, 0.5, -2.5], np.float32)
    g = model.pulse(g, traits, v, 1e-6, draws(1, 3))
    before = g.copy()
    g = rest(model, g, traits, *kept, 9.0, draws(2, 3))
    fresh, old = 10**-0.05, (3610 / 3601) ** -0.05
    assert g / before == pytest.approx([fresh, old, fresh], rel=1e-5)
    assert kept[1] == pytest.approx([9, 3609, 9])
