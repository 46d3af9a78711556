"""Replay: pulses resample the jumps that were measured."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import Jumps, Replay, device
from tests.mock_hw.devices import N, draws, jump_table, make, population, still, volts

DOWN = Jumps(-2.0, (20e-6,), (-1e-6,))


def test_one_measured_jump_is_what_happens():
    model = Replay(jumps=(Jumps(2.0, (20e-6,), (1.5e-6,)), DOWN))
    _, traits = population(model)
    assert model.pulse(volts(10e-6), traits, volts(2), 1e-6, draws(0)) == pytest.approx(11.5e-6)
    assert model.pulse(volts(10e-6), traits, volts(-2), 1e-6, draws(0)) == pytest.approx(9e-6)
    # bounds hold
    assert model.pulse(volts(39e-6), traits, volts(2), 1e-6, draws(0)) == pytest.approx(40e-6)


def test_between_two_bins_a_jump_lies_between_their_jumps_of_the_same_rank():
    """Bins at 10 and 30 uS, jumps 1..32 and 101..132 nS: at 15 uS a quarter of the way."""
    nano = np.arange(1, 33) * 1e-9
    g = (10e-6,) * 32 + (30e-6,) * 32
    dg = (*np.random.default_rng(0).permutation(nano).tolist(), *(nano + 100e-9).tolist())
    model = Replay(jumps=(Jumps(2.0, g, dg), DOWN))
    _, traits = population(model)
    for at, first in ((15e-6, 26), (20e-6, 51), (10e-6, 1), (5e-6, 1), (30e-6, 101), (36e-6, 101)):
        jump = model.pulse(volts(at), traits, volts(2), 1e-6, draws(1)) - np.float32(at)
        # at 36 uS float32 has steps of 4 pS
        assert np.unique(np.rint(jump * 1e9)).tolist() == list(range(first, first + 32))
        _, counts = np.unique(np.rint(jump * 1e9), return_counts=True)
        assert np.abs(counts - N / 32).max() < 5 * math.sqrt(N / 32)


def test_the_nearest_amplitude_of_the_polarity_is_used():
    tables = tuple(Jumps(v, (20e-6,), (dg,)) for v, dg in ((1.5, 1e-6), (2.5, 2e-6), (-1, -3e-6)))
    model = Replay(jumps=tables, v_threshold=0.5)
    _, traits = population(model)
    for v, dg in (
        (0.6, 1),
        (1.9, 1),
        (2.1, 2),
        (9, 2),
        (-0.5, -3),
        (-5, -3),
        (0.49, 0),
        (-0.49, 0),
    ):
        after = model.pulse(volts(20e-6), traits, volts(v), 1e-6, draws(0))
        assert after == pytest.approx((20 + dg) * 1e-6, rel=1e-5), v


def test_the_mean_curve_of_the_source_comes_back():
    """Tables of a device that goes a tenth of its way: 30 pulses go 1 - 0.9^30 of it."""
    model = still("replay")
    _, traits = population(model, 2)
    g = volts(4e-6, 2)
    for k in range(30):
        g = model.pulse(g, traits, volts(2, 2), 1e-6, draws(k, 2))
        assert g == pytest.approx(40e-6 - 36e-6 * 0.9 ** (k + 1), abs=0.02 * 36e-6)


def test_the_spread_of_the_source_comes_back():
    model = make("replay")
    _, traits = population(model)
    for at in (12e-6, 20e-6, 31e-6):
        step = model.pulse(volts(at), traits, volts(2), 1e-6, draws(3)) - np.float32(at)
        assert step.mean() == pytest.approx(0.1 * (40e-6 - at), abs=0.06e-6)
        # the bin has a width of a 64th of the range, which adds next to nothing
        assert step.std() == pytest.approx(0.3e-6, rel=0.15)


def test_jumps_are_drawn_with_their_skew():
    """Three jumps in four do nothing, the fourth is large: no Gaussian does that."""
    g = tuple(np.linspace(5e-6, 39e-6, 4000).tolist())
    dg = tuple(np.tile([0.0, 0.0, 0.0, 0.8e-6], 1000).tolist())
    model = Replay(jumps=(Jumps(2.0, g, dg), DOWN))
    _, traits = population(model)
    step = model.pulse(volts(21e-6), traits, volts(2), 1e-6, draws(5)) - np.float32(21e-6)
    large = step > 0.4e-6
    assert large.mean() == pytest.approx(0.25, abs=0.035)
    assert (np.abs(step[~large]) < 0.01e-6).mean() > 0.95


@given(st.integers(1, 3000), st.integers(0, 99))
def test_any_number_of_pairs_makes_a_table(n, seed):
    rng = np.random.default_rng(seed)
    table = Jumps(2.0, tuple(rng.uniform(4e-6, 40e-6, n).tolist()), tuple([1e-6] * n))
    model = Replay(jumps=(table, DOWN))
    _, traits = population(model, 100)
    g = rng.uniform(4e-6, 38e-6, 100).astype(np.float32)
    assert model.pulse(g, traits, volts(2, 100), 1e-6, draws(0, 100)) == pytest.approx(g + 1e-6)


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ((), "one for RESET"),
        ((DOWN,), "one for RESET"),
        ((jump_table(2.0, 0, 10), jump_table(2.0, 0, 10), DOWN), "each amplitude once"),
        ((Jumps(math.nan, (1e-6,), (1e-6,)), Jumps(1.0, (1e-6,), (1e-6,)), DOWN), "magnitude of v"),
        ((Jumps(2.0, (1e-6, 2e-6), (1e-6,)), DOWN), "as many g as dg"),
        ((Jumps(2.0, (), ()), DOWN), "as many g as dg"),
        ((Jumps(2.0, (1e-6,), (math.nan,)), DOWN), "dg of 2 V must be finite"),
        ((Jumps(2.0, (1e300,), (1e-6,)), DOWN), "g of 2 V must be finite"),
        ((*(jump_table(v, 0, 3) for v in range(1, 70)), DOWN), "at most 64"),
    ],
)
def test_what_is_no_table_is_refused(tables, complaint):
    with pytest.raises(ConfigError, match=complaint):
        device("replay", jumps=tables)
