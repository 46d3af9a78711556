"""From points of known devices to their parameters."""

from dataclasses import fields

import numpy as np
import pytest

from cimlab.core.errors import ConfigError
from cimlab.fit.fitting import fit
from cimlab.fit.synthetic import Lab, characterise, trains
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.devices.brram import BulkRram

HIDDEN = BulkRram(
    g_min=5e-6,
    g_max=38e-6,
    sigma_read=1.2e-6,
    v_set=2.2,
    v_reset=2.1,
    slope_set=0.17,
    c2c=0.25,
    d2d_threshold=0.06,
    g_rest=13e-6,
    tau_rest=5e5,
)


@pytest.fixture(scope="module")
def whole():
    """The whole recipe on 40 cells, two of them stuck."""
    lab = Lab(HIDDEN, 40, seed=11)
    lab.stuck[[4, 17]] = True
    characterise(lab)
    return lab, fit(lab.tables, "brram")


def test_every_parameter_is_found_within_its_error(whole):
    _, found = whole
    assert found.converged and found.unidentified == []
    pulls = {
        f.name: (getattr(found.model, f.name) - getattr(HIDDEN, f.name)) / found.errors[f.name]
        for f in fields(HIDDEN)
    }
    assert {name: pull for name, pull in pulls.items() if abs(pull) > 3.5} == {}
    # neither all of them far off, nor errors that are far too large
    assert 0.4 < np.sqrt(np.mean(np.square(list(pulls.values())))) < 1.7


def test_errors_are_small_enough_to_be_of_use(whole):
    _, found = whole
    for name, most in (("c2c", 0.05), ("sigma_read", 0.03), ("g_max", 0.02), ("slope_set", 0.02)):
        assert found.errors[name] < most * getattr(HIDDEN, name)


def test_goodness_of_fit_says_that_the_model_is_right(whole):
    _, found = whole
    assert found.goodness["chi2"] == pytest.approx(1.0, abs=0.05)
    assert found.goodness["tails"] == pytest.approx(3.0, abs=0.4)
    assert abs(found.goodness["memory"]) < 0.05
    assert found.goodness["curve_rmse"] < 0.02


def test_stuck_cells_are_left_out_and_counted(whole):
    _, found = whole
    assert found.stuck == (4, 17) and found.cells == 38


def small(cells=12, **changes):
    """One width, one amplitude a side: tells little."""
    lab = Lab(BulkRram(**changes), cells, seed=5)
    lab.run(np.append(-2.6, trains(1.9, 1.6, 0.0, 15, 15, cycles=2)))
    return lab


def test_what_no_run_tells_stays_at_its_default_and_is_said():
    found = fit(small(slope_set=0.3, width_exponent=0.9).tables, "brram")
    assert set(found.unidentified) == {
        "slope_set",
        "width_exponent",
        "g_rest",
        "tau_rest",
        "diffusion",
    } | ({"slope_reset"} if found.errors["slope_reset"] is None else set())
    default = BulkRram()
    for name in ("slope_set", "width_exponent", "tau_rest"):
        assert getattr(found.model, name) == pytest.approx(getattr(default, name), rel=1e-12)
    assert found.errors["c2c"] is not None


@pytest.mark.parametrize("name", ["brram", "exponential"])
@pytest.mark.parametrize("seed", [1, 3])
def test_a_ridge_of_the_likelihood_is_left_for_the_default(name, seed):
    """One cell, identical pulses: a threshold and its slope can rise together, to 240 V."""
    lab = Lab(BulkRram(), 1, seed=seed)
    lab.run(np.append(-2.6, trains(1.9, 1.6, 0.0, 30, 30, cycles=2)))
    found, default = fit(lab.tables, name), device(name)
    ridge = {"brram": {"v_reset", "slope_reset", "slope_set"}, "exponential": {"p_max"}}[name]
    assert ridge <= set(found.unidentified)
    for parameter in found.unidentified:
        assert getattr(found.model, parameter) == getattr(default, parameter)
    for parameter, error in found.errors.items():
        value = abs(getattr(found.model, parameter))
        assert error is None or error <= 0.5 * max(value, abs(getattr(default, parameter)))


@pytest.mark.slow
def test_a_window_that_no_run_tells_is_refused():
    """Pulses so weak that no cell comes near its low end."""
    lab = Lab(BulkRram(), 6, seed=0)
    lab.run(trains(1.5, 1.2, 0.0, 30, 15))
    with pytest.raises(ConfigError, match="tell softbounds's g_min; run `cimlab sweep pulses`"):
        fit(lab.tables, "softbounds")


def test_readings_without_noise_can_be_fitted():
    """Two readings with nothing in between repeat exactly: no spread to begin from."""
    lab = small(6, sigma_read=0.0)
    lab.run(np.zeros(20))
    found = fit(lab.tables, "brram")
    assert found.model.sigma_read < 0.05e-6
    assert found.model.v_set == pytest.approx(BulkRram().v_set, abs=0.1)


def test_saturated_readings_are_left_out_and_counted():
    lab = Lab(BulkRram(), 12, seed=5)
    lab.run(np.append(-2.6, trains(1.9, 1.6, 0.02, 15, 15, cycles=2)), i_max=3.9e-6)
    clipped = int(sum(table.saturated.sum() for table in lab.tables))
    found = fit(lab.tables, "brram")
    assert clipped > 50 and found.saturated == clipped
    assert found.readings < 12 * 61 - clipped
    assert abs(found.model.v_reset - 2.25) < 4 * found.errors["v_reset"]


@pytest.mark.parametrize(
    ("v", "says"),
    [
        (np.full(40, 2.0), "no RESET pulses; run `cimlab sweep pulses`"),
        (np.full(40, -2.0), "no SET pulses; run `cimlab sweep pulses`"),
        (np.array([2.0, -2.0]), "at least 30 are needed; run `cimlab sweep pulses`"),
        (np.zeros(40), "no cell of these runs was pulsed and moved; run `cimlab sweep pulses`"),
    ],
)
@pytest.mark.parametrize("model", ["brram", "exponential", "replay"])
def test_too_little_data_says_which_sweep_to_run(v, says, model):
    lab = Lab(BulkRram(), 8)
    lab.run(v)
    with pytest.raises(ConfigError, match=says):
        fit(lab.tables, model)


def test_unknown_model():
    with pytest.raises(ConfigError, match="there are softbounds, exponential, brram, pcm, replay"):
        fit(small().tables, "bram")


CASES = {
    "exponential": ({"a_ltp": 25.0, "a_ltd": 40.0}, 2.0, 70),
    "softbounds": ({"dw_min": 0.03, "c2c": 0.8, "w_max_d2d": 0.05, "w_min_d2d": 0.05}, 2.0, 90),
    "pcm": ({}, 2.5, 30),
}


@pytest.mark.parametrize(
    "name",
    ["exponential", "pcm", pytest.param("softbounds", marks=pytest.mark.slow)],
)
def test_other_models(name):
    changes, v, n = CASES[name]
    truth = device(name, **changes)
    lab = Lab(truth, 32, seed=2)
    lab.run(np.append(-v, np.tile(np.r_[np.full(n, v), np.full(min(n, 60), -v)], 2)))
    lab.run(np.r_[np.arange(0.6, 2.6, 0.1), -np.arange(0.6, 2.6, 0.1)])
    lab.run(np.zeros(50), averages=1)
    found = fit(lab.tables, name)
    for parameter in ("g_max", "sigma_read"):
        assert getattr(found.model, parameter) == pytest.approx(getattr(truth, parameter), rel=0.08)
    noise = "noise" if name == "pcm" else "c2c"
    assert getattr(found.model, noise) == pytest.approx(getattr(truth, noise), rel=0.1)
    assert found.goodness["chi2"] == pytest.approx(1.0, abs=0.06)


def test_replay_moves_as_the_device_did():
    lab = small(cells=64, d2d_threshold=0.02)
    lab.run(np.zeros(50), averages=1)
    found = fit(lab.tables, "replay")
    assert {table.v for table in found.model.jumps} == {1.9, -1.6}
    again = Lab(found.model, 64, seed=9)
    again.run(np.append(np.full(10, -1.6), np.full(15, 1.9)))
    # LTP from the bottom: the twin's mean course against the measured one
    measured = lab.tables[0].current.reshape(-1, 64).mean(axis=1)[31:46]
    twin = again.tables[0].current.reshape(-1, 64).mean(axis=1)[10:]
    assert np.sqrt(np.mean((measured - twin) ** 2)) < 0.06 * measured.max()
    assert found.errors["sigma_read"] is not None and found.aic is None
