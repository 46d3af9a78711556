"""Device models: what a pulse and a rest may and must do to a cell, whatever the model."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import MODELS, device
from cimlab.mock_hw.devices.presets import PRESETS
from cimlab.mock_hw.philox import CellDraws, Stream, key_of
from tests.mock_hw.devices import N, draws, make, population, still, volts

SLOW = {"softbounds": 6000, "exponential": 400, "replay": 100}
"""Pulses that take a cell from bound to bound; 30 for the others."""


@pytest.mark.parametrize("name", sorted(MODELS))
class TestEveryModel:
    @given(st.floats(0.5, 3.3), st.floats(20e-9, 1e-2), st.booleans(), st.integers(0, 99))
    def test_a_pulse_stays_between_where_it_was_and_its_bounds(self, name, v, width, up, event):
        model = make(name)
        g, traits = population(model, 200)
        after = model.pulse(g, traits, volts(v if up else -v, 200), width, draws(event, 200))
        assert after.dtype == np.float32
        assert after.shape == g.shape
        assert np.isfinite(after).all()
        lo, hi = traits[-2], traits[-1]
        slack = 1e-6 * hi
        assert (after >= np.minimum(g, lo) - slack).all()
        assert (after <= np.maximum(g, hi) + slack).all()

    def test_trains_saturate_at_the_bounds_and_come_back(self, name):
        model = still(name)
        g, traits = population(model, 200)
        for k, (sign, bound) in enumerate(((1, traits[-1]), (-1, traits[-2]), (1, traits[-1]))):
            far = np.abs(bound - g)
            for i in range(SLOW.get(name, 30)):
                v = volts(3.0 * sign, 200)
                g = model.pulse(g, traits, v, 1e-6, draws(k * 10_000 + i, 200))
            assert (np.abs(bound - g) <= 0.05 * far + 2e-7).all()

    def test_the_mean_cell_goes_up_at_set_and_down_at_reset(self, name):
        model = make(name)
        _, traits = population(model)
        for share in (0.25, 0.5, 0.75):
            g = traits[-2] + np.float32(share) * (traits[-1] - traits[-2])
            up = model.pulse(g, traits, volts(2.5), 1e-6, draws(1))
            down = model.pulse(g, traits, volts(-2.5), 1e-6, draws(2))
            error = np.std(up - g) / math.sqrt(N), np.std(down - g) / math.sqrt(N)
            assert np.mean(up - g) > 3 * error[0]
            assert np.mean(down - g) < -3 * error[1]

    def test_same_draws_same_cells(self, name):
        model = make(name)
        g, traits = population(model)
        g = (traits[-2] + traits[-1]) / 2
        first = model.pulse(g, traits, volts(2.0), 1e-6, draws(1))
        again = model.pulse(g, traits, volts(2.0), 1e-6, draws(1))
        other = model.pulse(g, traits, volts(2.0), 1e-6, draws(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    @given(st.integers(0, 99), st.integers(1, 50))
    def test_cells_do_not_know_who_is_pulsed_with_them(self, name, seed, parts):
        model = make(name)
        _, traits = population(model, 300)
        rng = np.random.default_rng(seed)
        g = (traits[-2] + rng.random(300, np.float32) * (traits[-1] - traits[-2])).astype("f4")
        v = rng.choice([-2.0, -1.7, 1.8, 2.4], 300).astype(np.float32)
        events = rng.integers(0, 9, 300).astype(np.uint32)

        def drawn(stream, some):
            return CellDraws(key_of(5), stream, some, events[some])

        def after(some):
            pulsed = model.pulse(g[some], traits[:, some], v[some], 1e-6, drawn(Stream.PULSE, some))
            return pulsed, model.relax(g[some], traits[:, some], 50.0, drawn(Stream.RELAX, some))

        whole = after(np.arange(300))
        for some in np.array_split(rng.permutation(300), parts):
            for part, all_of_them in zip(after(some), whole, strict=True):
                assert np.array_equal(part, all_of_them[some])

    def test_a_call_does_not_write_on_what_it_was_given(self, name):
        model = make(name)
        g, traits = population(model)
        v = volts(2.0)
        kept = g.copy(), traits.copy(), v.copy()
        model.pulse(g, traits, v, 1e-6, draws(1))
        model.relax(g, traits, 100.0, draws(2))
        assert all(map(np.array_equal, kept, (g, traits, v)))

    def test_parameters_are_frozen(self, name):
        model = make(name)
        with pytest.raises(dataclasses.FrozenInstanceError):
            model.sigma_read = 0.0

    @pytest.mark.parametrize("wrong", [-1e9, math.nan, math.inf, 1e300, 10**400])
    def test_impossible_parameters_are_refused_by_name(self, name, wrong):
        for field in dataclasses.fields(MODELS[name]):
            # the one parameter that is negative
            value = math.nan if (field.name, wrong) == ("w_min", -1e9) else wrong
            with pytest.raises(ConfigError, match=name):
                device(name, **{field.name: value})

    def test_windows_must_not_be_empty(self, name):
        with pytest.raises(ConfigError, match="smaller"):
            make(name, g_min=50e-6)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_devices(name):
    model = device(name)
    g, traits = population(model, 500)
    low = model.g_min + 0.2 * (model.g_max - model.g_min)
    for k in range(200):
        g = model.pulse(g, traits, volts(2.5, 500), 1e-6, draws(k, 500))
    assert np.median(g) > model.g_max - (low - model.g_min)
    for k in range(200):
        g = model.pulse(g, traits, volts(-2.5, 500), 1e-6, draws(1000 + k, 500))
    assert np.median(g) < low


class TestRegistry:
    def test_unknown_models_and_parameters_name_what_there_is(self):
        with pytest.raises(ConfigError, match="brram, softbounds"):
            device("zzz")
        with pytest.raises(ConfigError, match="did you mean 'exponential:taox-hfox'"):
            device("exponential:taox-hfo2x")
        with pytest.raises(ConfigError, match="did you mean 'slope_set'"):
            device("brram", slope_sat=1.0)
        with pytest.raises(ConfigError, match="there are g_min"):
            device("brram", zzzzz=1.0)

    @pytest.mark.parametrize("value", [True, "0.1", None, [1.0]])
    def test_parameters_are_numbers(self, value):
        with pytest.raises(ConfigError, match="must be a number"):
            device("brram", c2c=value)

    def test_whole_numbers_are_numbers(self):
        assert device("exponential", p_max=128) == device("exponential", p_max=128.0)

    def test_a_preset_may_be_changed(self):
        changed = device("exponential:pcmo", c2c=0.5)
        assert changed == dataclasses.replace(device("exponential:pcmo"), c2c=0.5)

    def test_a_replay_needs_its_tables(self):
        with pytest.raises(ConfigError, match="needs jumps"):
            device("replay")


magnitudes = st.floats(-15, 15).map(lambda x: 10.0**x)


@pytest.mark.parametrize("name", sorted(MODELS))
@given(st.data())
def test_what_is_accepted_stays_finite(name, data):
    """A hostile file's parameters are refused, or make a device that computes."""
    known = [f.name for f in dataclasses.fields(MODELS[name]) if f.name not in ("name", "jumps")]
    changed = data.draw(st.dictionaries(st.sampled_from(known), magnitudes, max_size=4))
    if "w_min" in changed:
        changed["w_min"] = -changed["w_min"]
    try:
        model = make(name, **changed)
    except ConfigError:
        return
    g, traits = population(model, 50)
    for event, v in enumerate((3.0, -3.0, 1.0, -2.0)):
        g = model.pulse(g, traits, volts(v, 50), 1e-6, draws(event, 50))
        g = model.relax(g, traits, 1e5, draws(event, 50), 1.0)
        assert np.isfinite(g).all()
    assert g.dtype == np.float32
    assert (g >= 0).all()
