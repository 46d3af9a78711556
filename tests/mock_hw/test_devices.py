"""Device models: what a pulse and a rest may and must do to a cell."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import MODELS, device
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.philox import CellDraws, Stream, key_of

N = 4000
HOUR = 3600.0


def draws(event=0, n=N, stream=Stream.PULSE):
    cells = np.arange(n, dtype=np.int64)
    return CellDraws(key_of(5), stream, cells, np.full(n, event, np.uint32))


def population(model, n=N):
    return model.born(n, draws(0, n, Stream.BORN))


def volts(v, n=N):
    return np.full(n, v, np.float32)


def still(**settings):
    """A b-RRAM without any spread or noise."""
    quiet = dict.fromkeys(("c2c", "d2d_threshold", "d2d_g_min", "d2d_g_max", "diffusion"), 0.0)
    return device("brram", **(quiet | settings))


@pytest.mark.parametrize("name", sorted(MODELS))
class TestEveryModel:
    @given(st.floats(0.5, 3.3), st.floats(20e-9, 1e-2), st.booleans(), st.integers(0, 99))
    def test_a_pulse_stays_between_where_it_was_and_its_bounds(self, name, v, width, up, event):
        model = device(name)
        g, traits = population(model, 200)
        after = model.pulse(g, traits, volts(v if up else -v, 200), width, draws(event, 200))
        assert after.dtype == np.float32
        assert after.shape == g.shape
        lo, hi = traits[-2], traits[-1]
        slack = 1e-6 * hi
        assert (after >= np.minimum(g, lo) - slack).all()
        assert (after <= np.maximum(g, hi) + slack).all()

    def test_trains_saturate_at_the_bounds_and_come_back(self, name):
        even = {"brram": {"d2d_threshold": 0.0}, "softbounds": {"dw_min_d2d": 0.0}}
        model = device(name, c2c=0.0, **even[name])
        g, traits = population(model, 200)
        for k, (sign, bound) in enumerate(((1, traits[-1]), (-1, traits[-2]), (1, traits[-1]))):
            far = np.abs(bound - g)
            for i in range(6000 if name == "softbounds" else 30):
                v = volts(3.0 * sign, 200)
                g = model.pulse(g, traits, v, 1e-6, draws(k * 10_000 + i, 200))
            assert (np.abs(bound - g) <= 0.05 * far + 1e-9).all()

    def test_same_draws_same_cells(self, name):
        model = device(name)
        g, traits = population(model)
        first = model.pulse(g, traits, volts(2.0), 1e-6, draws(1))
        again = model.pulse(g, traits, volts(2.0), 1e-6, draws(1))
        other = model.pulse(g, traits, volts(2.0), 1e-6, draws(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_parameters_are_frozen(self, name):
        model = device(name)
        with pytest.raises(dataclasses.FrozenInstanceError):
            model.sigma_read = 0.0

    @pytest.mark.parametrize("wrong", [-1e9, math.nan, math.inf])
    def test_impossible_parameters_are_refused_by_name(self, name, wrong):
        for field in dataclasses.fields(MODELS[name]):
            with pytest.raises(ConfigError, match=name):
                device(name, **{field.name: math.nan if field.name == "w_min" else wrong})

    def test_windows_must_not_be_empty(self, name):
        with pytest.raises(ConfigError, match="smaller"):
            device(name, g_min=50e-6)


class TestBulkRram:
    def test_a_set_pulse_of_rate_one_covers_all_but_one_eth_of_the_way_up(self):
        """By hand: at v_set and 1 us the rate is 1, so 42 - (42 - 10)/e = 30.228 uS."""
        model = still()
        _, traits = population(model)
        after = model.pulse(np.full(N, 10e-6, np.float32), traits, volts(2.3), 1e-6, draws())
        assert after == pytest.approx(30.2279e-6, rel=1e-4)

    def test_a_reset_pulse_a_slope_below_threshold_by_hand(self):
        """At 2.25 - 0.5 V the rate is 1/e: 4 + 26 exp(-1/e) = 21.997 uS."""
        model = still()
        _, traits = population(model)
        after = model.pulse(np.full(N, 30e-6, np.float32), traits, volts(-1.75), 1e-6, draws())
        assert after == pytest.approx(21.9972e-6, rel=1e-4)

    def test_four_times_the_width_is_twice_the_rate(self):
        """The exponent is 1/2: a pulse of 4 us does what two of 1 us do."""
        model = still()
        g = np.full(N, 10e-6, np.float32)
        _, traits = population(model)
        long = model.pulse(g, traits, volts(2.0), 4e-6, draws())
        twice = model.pulse(g, traits, volts(2.0), 1e-6, draws())
        twice = model.pulse(twice, traits, volts(2.0), 1e-6, draws())
        assert long == pytest.approx(twice, rel=1e-4)

    @given(st.floats(1.0, 3.2), st.floats(0.05, 0.3), st.booleans())
    def test_a_higher_pulse_moves_every_cell_farther(self, v, more, up):
        model = device("brram")
        g, traits = population(model, 300)
        sign = 1 if up else -1
        low = model.pulse(g, traits, volts(sign * v, 300), 1e-6, draws(3, 300))
        high = model.pulse(g, traits, volts(sign * (v + more), 300), 1e-6, draws(3, 300))
        assert (sign * (high - low) >= -1e-11).all()
        assert (sign * (low - g) >= -1e-11).all()

    def test_set_is_steeper_than_reset(self):
        """PAPER 2, DC cycling: SET steep above 1.7 V, RESET gradual over 2 V."""
        model = still()
        _, traits = population(model)

        def reach(start, sign):
            v = np.arange(0.2, 3.3, 0.01)
            g = np.full(v.size, start, np.float32)
            moved = model.pulse(
                g, traits[:, : v.size], (sign * v).astype(np.float32), 1e-6, draws(0, v.size)
            )
            share = np.abs(moved - g) / np.abs(moved[-1] - g)
            return v[share > 0.9][0] - v[share > 0.1][0]

        assert reach(4e-6, +1) < 0.65
        assert reach(42e-6, -1) > 1.5

    def test_the_ramps_of_the_write_verify_span_the_training_window(self):
        """1.5 V hardly moves a cell, 3 V takes nearly every cell past either end."""
        model = device("brram")
        born, traits = population(model)
        low = model.pulse(born, traits, volts(-3.0), 1e-6, draws(0))
        assert (low < 8.2e-6).mean() > 0.97
        assert (model.pulse(low, traits, volts(1.5), 1e-6, draws(1)) - low).mean() < 1.5e-6
        high = model.pulse(low, traits, volts(3.0), 1e-6, draws(2))
        assert (high > 32.9e-6).mean() > 0.98

    def test_cells_are_born_on(self):
        model = device("brram")
        g, traits = population(model)
        assert (g > (traits[2] + traits[3]) / 2).all()
        assert (g < traits[3]).all()

    def test_cells_differ_as_the_parameters_say(self):
        model = device("brram")
        _, traits = population(model)
        assert traits[0].std() * model.slope_set == pytest.approx(0.08, rel=0.05)
        assert traits[1].std() * model.slope_reset == pytest.approx(0.08, rel=0.05)
        assert np.log(traits[2]).std() == pytest.approx(0.15, rel=0.05)
        assert np.log(traits[3]).std() == pytest.approx(0.05, rel=0.05)
        assert np.median(traits[2]) == pytest.approx(4e-6, rel=0.02)
        assert np.median(traits[3]) == pytest.approx(42e-6, rel=0.01)
        assert np.abs(np.corrcoef(traits) - np.eye(4)).max() < 0.06

    def test_pulses_differ_from_cycle_to_cycle(self):
        model = still(c2c=0.3)
        g = np.full(N, 10e-6, np.float32)
        _, traits = population(model)
        after = model.pulse(g, traits, volts(1.5), 1e-6, draws(4))
        # far below threshold a step is proportional to the rate, which is log-normal
        assert np.log(after - g).std() == pytest.approx(0.3, rel=0.05)

    def test_low_states_drift_up_after_two_hours(self):
        """PAPER 2: over 24 h the medians of low-current states rise slightly, after 2 h."""
        model = device("brram")
        _, traits = population(model)
        for start, rises in ((6e-6, True), (16e-6, False), (30e-6, False)):
            g = np.full(N, start, np.float32)
            hours = [model.relax(g, traits, h * HOUR, draws(0)) for h in (2, 24)]
            early, late = (np.median(x) - start for x in hours)
            assert abs(early) < 0.15e-6
            assert (0.3e-6 < late < 1.55e-6) if rises else (abs(late) < 0.05e-6)

    @given(st.floats(1.0, 1e6), st.floats(1.0, 1e6))
    def test_rest_composes(self, a, b):
        model = still()
        g, traits = population(model, 50)
        g = (g / 5).astype(np.float32)
        at_once = model.relax(g, traits, a + b, draws(0, 50))
        in_two = model.relax(model.relax(g, traits, a, draws(0, 50)), traits, b, draws(1, 50))
        assert in_two == pytest.approx(at_once, rel=1e-4)

    def test_diffusion_grows_with_the_root_of_time(self):
        model = still(diffusion=0.1e-6)
        _, traits = population(model)
        g = np.full(N, 20e-6, np.float32)
        assert (model.relax(g, traits, 9 * HOUR, draws(7)) - g).std() == pytest.approx(
            0.3e-6, rel=0.05
        )

    @pytest.mark.filterwarnings("error")
    def test_extreme_pulses_do_not_overflow(self):
        model = device("brram", slope_set=1e-3, slope_reset=1e-3)
        g, traits = population(model)
        assert model.pulse(g, traits, volts(3.3), 1e-2, draws()) == pytest.approx(traits[3])
        assert model.pulse(g, traits, volts(-3.3), 1e-2, draws()) == pytest.approx(traits[2])


class TestSoftBounds:
    def test_steps_are_those_of_the_preset(self):
        """dw_min 0.002 of a window of 2: 36 uS / 2 * 0.002 = 36 nS at w = 0, c2c 375 %."""
        model = device("softbounds")
        g, traits = population(model, 40_000)
        zero = 4e-6 + 0.75 * 18e-6
        assert g == pytest.approx(zero)
        step = model.pulse(g, traits, volts(2, 40_000), 1e-6, draws(1, 40_000)) - g
        assert step.mean() == pytest.approx(36e-9, rel=0.05)
        assert (step / traits[0]).std() == pytest.approx(3.75, rel=0.03)

    def test_cells_differ_as_the_preset_says(self):
        model = device("softbounds")
        _, traits = population(model, 40_000)
        zero = 17.5e-6
        assert traits[0].std() / 36e-9 == pytest.approx(0.3, rel=0.03)
        assert (traits[2] - zero).std() / 22.5e-6 == pytest.approx(0.24, rel=0.03)
        assert np.median(traits[1]) == pytest.approx(4e-6, rel=0.03)
        assert (traits[1] > 0).all()
        assert (traits[1] < zero).all()

    def test_only_the_sign_above_threshold_matters(self):
        model = device("softbounds")
        g, traits = population(model)
        small = model.pulse(g, traits, volts(1.0), 1e-6, draws(1))
        large = model.pulse(g, traits, volts(3.0), 1e-3, draws(1))
        assert np.array_equal(small, large)
        assert not np.array_equal(small, g)
        assert np.array_equal(model.pulse(g, traits, volts(-0.99), 1e-6, draws(1)), g)

    def test_a_step_by_hand(self):
        """w = 0.5: up 0.002 (1 - 0.5/1.25) = 0.0012, down 0.002 (1 + 0.5/0.75) = 0.003333."""
        model = device("softbounds", c2c=0, dw_min_d2d=0, w_max_d2d=0, w_min_d2d=0)
        _, traits = population(model)
        g = np.full(N, 4e-6 + 1.25 * 18e-6, np.float32)
        up = model.pulse(g, traits, volts(2), 1e-6, draws()) - g
        down = model.pulse(g, traits, volts(-2), 1e-6, draws()) - g
        assert up == pytest.approx(0.0012 * 18e-6, rel=1e-3)
        assert down == pytest.approx(-0.0033333 * 18e-6, rel=1e-3)

    def test_nothing_moves_at_rest(self):
        model = device("softbounds")
        g, traits = population(model)
        assert np.array_equal(model.relax(g, traits, 1e6, draws()), g)


class TestRegistry:
    def test_unknown_models_and_parameters_name_what_there_is(self):
        with pytest.raises(ConfigError, match="brram, softbounds"):
            device("pcm")
        with pytest.raises(ConfigError, match="did you mean 'slope_set'"):
            device("brram", slope_sat=1.0)
        with pytest.raises(ConfigError, match="there are g_min"):
            device("brram", zzzzz=1.0)

    @pytest.mark.parametrize("value", [True, "0.1", None])
    def test_parameters_are_numbers(self, value):
        with pytest.raises(ConfigError, match="must be a number"):
            device("brram", c2c=value)

    def test_a_file_gives_parameters_and_arguments_replace_them(self, tmp_path):
        file = tmp_path / "mine.toml"
        file.write_text('model = "brram"\nc2c = 0.1\nslope_set = 0.3\n')
        model: DeviceModel = device(str(file), slope_set=0.25)
        assert model == device("brram", c2c=0.1, slope_set=0.25)

    @pytest.mark.parametrize(
        "text", ["c2c = 0.1", 'model = "other.toml"', "model = 3", "not toml", 'model = "x"']
    )
    def test_a_wrong_file_is_refused(self, tmp_path, text):
        file = tmp_path / "mine.toml"
        file.write_text(text)
        with pytest.raises(ConfigError):
            device(str(file))

    def test_a_missing_file_is_refused_by_name(self):
        with pytest.raises(ConfigError, match="nowhere.toml"):
            device("nowhere.toml")
