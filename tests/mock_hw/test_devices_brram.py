"""Bulk-switching RRAM: what the paper says of it, and numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.mock_hw.devices import device
from tests.mock_hw.devices import HOUR, N, draws, population, still, volts


class TestBulkRram:
    def test_a_set_pulse_of_rate_one_covers_all_but_one_eth_of_the_way_up(self):
        """By hand: at v_set and 1 us the rate is 1, so 42 - (42 - 10)/e = 30.228 uS."""
        model = still("brram")
        _, traits = population(model)
        after = model.pulse(np.full(N, 10e-6, np.float32), traits, volts(2.3), 1e-6, draws())
        assert after == pytest.approx(30.2279e-6, rel=1e-4)

    def test_a_reset_pulse_a_slope_below_threshold_by_hand(self):
        """At 2.25 - 0.5 V the rate is 1/e: 4 + 26 exp(-1/e) = 21.997 uS."""
        model = still("brram")
        _, traits = population(model)
        after = model.pulse(np.full(N, 30e-6, np.float32), traits, volts(-1.75), 1e-6, draws())
        assert after == pytest.approx(21.9972e-6, rel=1e-4)

    def test_four_times_the_width_is_twice_the_rate(self):
        """The exponent is 1/2: a pulse of 4 us does what two of 1 us do."""
        model = still("brram")
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
        model = still("brram")
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
        model = still("brram", c2c=0.3)
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
        model = still("brram")
        g, traits = population(model, 50)
        g = (g / 5).astype(np.float32)
        at_once = model.relax(g, traits, a + b, draws(0, 50))
        in_two = model.relax(model.relax(g, traits, a, draws(0, 50)), traits, b, draws(1, 50))
        assert in_two == pytest.approx(at_once, rel=1e-4)

    def test_diffusion_grows_with_the_root_of_time(self):
        model = still("brram", diffusion=0.1e-6)
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
