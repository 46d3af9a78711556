"""Soft bounds: steps, spreads and thresholds of aihwkit's presets."""

import numpy as np
import pytest

from cimlab.mock_hw.devices import device
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
