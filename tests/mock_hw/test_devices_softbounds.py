"""Soft bounds: steps, spreads and thresholds of aihwkit's presets."""

import numpy as np
import pytest

from cimlab.mock_hw.devices import device, rest
from tests.mock_hw.devices import N, draws, population, volts


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

    def test_noise_does_not_shrink_towards_a_bound(self):
        """The presets have additive noise (aihwkit: mult_noise is False)."""
        model = device("softbounds", dw_min_d2d=0, w_max_d2d=0, w_min_d2d=0)
        _, traits = population(model, 40_000)
        for start in (10e-6, 38e-6):
            g = volts(start, 40_000)
            step = model.pulse(g, traits, volts(2, 40_000), 1e-6, draws(1, 40_000)) - g
            assert step.std() == pytest.approx(3.75 * 36e-9, rel=0.02)

    def test_steps_of_the_array_are_log_normal_and_a_tenth_of_its_cells_are_dead(self):
        model = device("softbounds:array-hfo2")
        g, traits = population(model, 40_000)
        dead = traits[0] == 0
        assert dead.mean() == pytest.approx(0.098, abs=0.006)
        steps = np.log(traits[0][~dead] / (0.4622 * 18e-6))
        assert steps.std() == pytest.approx(0.7125, rel=0.02)
        assert abs(steps.mean()) < 0.02
        after = model.pulse(g, traits, volts(2, 40_000), 1e-6, draws(1, 40_000))
        assert np.array_equal(after == g, dead)


class TestRelaxation:
    @pytest.mark.parametrize(("g", "sigma"), [(10e-6, 2.2585e-6), (20e-6, 2.0243e-6)])
    def test_a_second_after_programming_sigma_is_the_published_one(self, g, sigma):
        """x = 0.25: 0.348 + 4.0075 - 2.7406 + 0.7092 - 0.0656 = 2.2585 uS; x = 0.5: 2.0243."""
        model = device("softbounds", relaxation=1.0, w_max_d2d=0, w_min_d2d=0)
        _, traits = population(model, 40_000)
        after = model.relax(volts(g, 40_000), traits, 1.0, draws(0, 40_000))
        assert after.std() == pytest.approx(sigma, rel=0.02)
        assert after.mean() == pytest.approx(g, abs=0.05e-6)

    def test_a_day_after_programming_it_is_nearly_twice_that(self):
        """ln(1 + 86400 / 0.015) / ln(1 + 1 / 0.015) = 15.567 / 4.2146; its root is 1.9219."""
        model = device("softbounds", relaxation=0.5, w_max_d2d=0, w_min_d2d=0)
        _, traits = population(model, 40_000)
        after = model.relax(volts(20e-6, 40_000), traits, 86_400.0, draws(0, 40_000))
        assert after.std() == pytest.approx(0.5 * 1.9219 * 2.0243e-6, rel=0.02)

    def test_rests_compose(self):
        """Not cell by cell, as each rest has its own noise, but as a distribution."""
        model = device("softbounds", relaxation=0.2, w_max_d2d=0, w_min_d2d=0)
        _, traits = population(model, 40_000)
        g = volts(20e-6, 40_000)
        rested, age = np.zeros_like(g), np.zeros(g.size)
        for k, seconds in enumerate((0.1, 0.9, 99.0, 900.0)):
            g = rest(model, g, traits, rested, age, seconds, draws(k, 40_000)).copy()
        whole = model.relax(volts(20e-6, 40_000), traits, 1000.0, draws(9, 40_000))
        assert g.std() == pytest.approx(whole.std(), rel=0.03)
        assert g.std() == pytest.approx(0.2 * 2.0243e-6 * np.sqrt(11.107 / 4.2146), rel=0.03)
