"""NeuroSim's exponential device: its curves, its labels and its presets, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.mock_hw.devices import device
from cimlab.mock_hw.devices.exponential import curvature
from tests.mock_hw.devices import draws, population, still, volts


def train(model, v, count, g, traits):
    """Conductances of the first cell before and after each of count pulses."""
    curve = [float(g[0])]
    for k in range(count):
        g = model.pulse(g, traits, volts(v, g.size), 1e-6, draws(k, g.size))
        curve.append(float(g[0]))
    return np.array(curve)


@given(st.floats(2.0, 500.0), st.floats(2.0, 500.0))
def test_a_train_is_the_published_curve(a_ltp, a_ltd):
    """G_LTP = B (1 - exp(-P / A)) + Gmin and G_LTD = -B (1 - exp((P - Pmax) / A)) + Gmax."""
    model = still("exponential", p_max=50.0, a_ltp=a_ltp, a_ltd=a_ltd)
    _, traits = population(model, 1)
    p = np.arange(51.0)

    def b(a):
        return 36e-6 / (1 - math.exp(-50 / a))

    up = train(model, 2.0, 50, traits[4], traits)
    down = train(model, -2.0, 50, traits[5], traits)
    assert up == pytest.approx(4e-6 + b(a_ltp) * (1 - np.exp(-p / a_ltp)), rel=2e-5)
    # P falls from p_max to 0
    assert down == pytest.approx(40e-6 - b(a_ltd) * (1 - np.exp(-p / a_ltd)), rel=2e-5, abs=1e-10)


def test_a_step_by_hand():
    """p_max = a = 10: B = 36 / (1 - 1/e) = 56.951 uS; the first step B (1 - e^-0.1) = 5.4197 uS.

    From 20 uS: 5.4197 - 16 (1 - e^-0.1) = 3.8971 up; down 5.4197 - 20 (1 - e^-0.1) = 3.5164.
    """
    model = still("exponential", p_max=10, a_ltp=10, a_ltd=10)
    _, traits = population(model, 4)
    g = volts(4e-6, 4)
    assert model.pulse(g, traits, volts(2, 4), 1e-6, draws(0, 4)) == pytest.approx(9.4197e-6, 1e-4)
    g = volts(20e-6, 4)
    up = model.pulse(g, traits, volts(2, 4), 1e-6, draws(0, 4)) - g
    down = model.pulse(g, traits, volts(-2, 4), 1e-6, draws(0, 4)) - g
    assert up == pytest.approx(3.8971e-6, rel=1e-4)
    assert down == pytest.approx(-3.5164e-6, rel=1e-4)


def test_noise_is_a_share_of_the_range_at_every_pulse():
    model = still("exponential", c2c=0.02)
    _, traits = population(model)
    for start in (15e-6, 25e-6):
        step = model.pulse(volts(start), traits, volts(2), 1e-6, draws(3)) - np.float32(start)
        assert step.std() == pytest.approx(0.02 * 36e-6, rel=0.04)


def test_only_the_sign_above_threshold_matters():
    model = device("exponential")
    g, traits = population(model)
    small = model.pulse(g, traits, volts(1.0), 1e-6, draws(1))
    assert np.array_equal(small, model.pulse(g, traits, volts(3.0), 1e-3, draws(1)))
    assert not np.array_equal(small, g)
    for v in (0.99, -0.99):
        assert np.array_equal(model.pulse(g, traits, volts(v), 1e-6, draws(1)), g)


def test_cells_differ_as_the_parameters_say():
    model = device("exponential", a_ltp=40.0, a_ltd=20.0, d2d_a=0.2)
    g, traits = population(model, 40_000)
    assert np.array_equal(g, traits[4])
    assert np.log(traits[4]).std() == pytest.approx(0.1, rel=0.03)
    assert np.log(traits[5]).std() == pytest.approx(0.05, rel=0.03)
    for slope, a in ((traits[1], 40.0), (traits[3], 20.0)):
        found = -1 / np.log1p(-slope.astype(np.float64))
        assert np.median(found) == pytest.approx(a, rel=0.01)
        assert np.log(found).std() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize(
    ("label", "a"),
    [(0.04, 31.566827), (0.63, 1.997332), (1.0, 1.251653), (2.4, 0.499181), (4.88, 0.200303)],
)
def test_labels_of_nonlinearity_are_neurosims(label, a):
    """Entries of the table in NeuroSim's getParamA (MLP+NeuroSim 3.0, formula.cpp)."""
    assert curvature(label) == pytest.approx(a, abs=1e-6 * max(1, a * 20))


def test_a_label_is_the_largest_distance_from_the_chord():
    """Worked on a grid: label 2.4 is a curve that bulges 2.4 / 10.10153 = 0.23759 of the range."""
    x = np.linspace(0, 1, 100_001)
    a = curvature(2.4)
    curve = (1 - np.exp(-x / a)) / (1 - math.exp(-1 / a))
    assert (curve - x).max() == pytest.approx(0.237588, abs=1e-6)


@pytest.mark.parametrize("label", [0.0, -1.0, 9.01, math.nan])
def test_labels_out_of_range_are_refused(label):
    with pytest.raises(ValueError, match="label"):
        curvature(label)


def test_presets_are_the_lines_of_the_table():
    """Ag:a-Si: 97 levels, 26 Mohm, on/off 12.5: 38.46 nS and 3.077 nS; A 0.499181 * 97 = 48.42."""
    silver = device("exponential:ag-asi")
    assert silver.g_max == pytest.approx(38.4615e-9, rel=1e-5)
    assert silver.g_min == pytest.approx(3.07692e-9, rel=1e-5)
    assert silver.a_ltp == pytest.approx(48.4206, rel=1e-5)
    assert silver.a_ltd == pytest.approx(19.4294, rel=1e-5)
    assert (silver.p_max, silver.c2c) == (97, 0.035)
    # 128 levels, label 0.04: 31.566827 * 128 = 4040.55
    assert device("exponential:taox-hfox").a_ltp == pytest.approx(4040.55, rel=1e-5)


def test_trains_reach_the_other_bound_after_p_max_pulses_and_stay():
    model = still("exponential", p_max=20, a_ltp=5, a_ltd=5)
    _, traits = population(model, 1)
    curve = train(model, 2.0, 25, traits[4], traits)
    assert curve[20] == pytest.approx(40e-6, rel=1e-5)
    assert curve[19] < 39.99e-6
    assert (curve[20:] <= 40e-6 * (1 + 1e-6)).all()
