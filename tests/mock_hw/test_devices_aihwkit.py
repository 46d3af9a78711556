"""Devices as aihwkit's, against its published presets and its published update rule."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import device, from_aihwkit, to_aihwkit
from tests.mock_hw.devices import draws, make, population, volts

RERAM_SB = {
    "dw_min": 0.002,
    "up_down": 0.0,
    "w_max": 1.25,
    "w_min": -0.75,
    "mult_noise": False,
    "dw_min_dtod": 0.3,
    "up_down_dtod": 0.01,
    "w_max_dtod": 0.24,
    "w_min_dtod": 0.4,
    "dw_min_std": 3.75,
    "write_noise_std": 56,
}
ARRAY_HFO2 = {
    "enforce_consistency": True,
    "dw_min_dtod_log_normal": True,
    "dw_min": 0.4622,
    "up_down": 0.0,
    "w_max": 1.0,
    "w_min": -1.0,
    "mult_noise": False,
    "dw_min_dtod": 0.7125,
    "up_down_dtod": 0.01,
    "w_max_dtod": 0.43,
    "w_min_dtod": 0.60,
    "dw_min_std": 0.2174,
    "corrupt_devices_prob": 0.098,
    "reference_std": 0.05,
}


def aihwkit_step(w, up, arguments):
    """A mean update of LinearStepDevice, additive noise, as its documentation and sources say."""
    up_down = arguments["up_down"]
    if up:
        scale = arguments["dw_min"] * (1 + min(up_down, 0.0))
        w = w + scale * (1 - arguments["gamma_up"] * w / arguments["w_max"])
    else:
        scale = arguments["dw_min"] * (1 - max(up_down, 0.0))
        w = w - scale * (1 - arguments["gamma_down"] * w / arguments["w_min"])
    return min(max(w, arguments["w_min"]), arguments["w_max"])


class TestSoftBounds:
    @pytest.mark.parametrize(
        ("kind", "arguments", "name"),
        [
            ("SoftBoundsReferenceDevice", RERAM_SB, "softbounds"),
            ("SoftBoundsReferenceDevice", ARRAY_HFO2, "softbounds:array-hfo2"),
        ],
    )
    def test_published_presets_are_the_presets_here(self, kind, arguments, name):
        """Numbers of PAPER 6 and of aihwkit's presets/devices.py."""
        assert from_aihwkit(kind, arguments) == device(name)
        _, back = to_aihwkit(device(name))
        for word in set(back) & set(arguments) - {"up_down_dtod", "write_noise_std"}:
            assert back[word] == arguments[word], word

    @given(st.floats(1e-4, 1.0), st.floats(0, 2), st.booleans(), st.floats(0, 5))
    def test_there_and_back(self, dw_min, d2d, log_normal, c2c):
        spread = {"dw_min_d2d": 0.0, "dw_min_log_d2d": 0.0}
        spread["dw_min_log_d2d" if log_normal else "dw_min_d2d"] = d2d
        model = device("softbounds", dw_min=dw_min, c2c=c2c, g_min=1e-6, corrupt=0.1, **spread)
        assert from_aihwkit(*to_aihwkit(model), g_min=1e-6) == model


class TestExponential:
    def test_a_curve_by_hand(self):
        """p_max = a = 10: q = 0.367879, s = 0.0951626: dw 0.205929, gamma 0.462117 = tanh(1/2)."""
        kind, arguments = to_aihwkit(device("exponential", p_max=10, a_ltp=10, a_ltd=10))
        assert kind == "LinearStepDevice"
        assert arguments["dw_min"] == pytest.approx(0.205929, rel=1e-5)
        assert arguments["gamma_up"] == pytest.approx(0.462117, rel=1e-5)
        assert arguments["up_down"] == 0

    @given(st.floats(5, 200), st.floats(0.1, 100), st.floats(0.1, 100), st.integers(0, 2**20 - 1))
    def test_aihwkits_rule_walks_the_same_way(self, p_max, a_ltp, a_ltd, ups):
        model = device(
            "exponential",
            p_max=p_max,
            a_ltp=a_ltp * p_max,
            a_ltd=a_ltd * p_max,
            c2c=0,
            d2d_a=0,
            d2d_g_min=0,
            d2d_g_max=0,
        )
        _, arguments = to_aihwkit(model)
        g, traits = population(model, 1)
        w = -1.0
        for k in range(20):
            up = bool(ups >> k & 1)
            g = model.pulse(g, traits, volts(2 if up else -2, 1), 1e-6, draws(k, 1))
            w = aihwkit_step(w, up, arguments)
            assert float(g[0]) == pytest.approx(4e-6 + (w + 1) / 2 * 36e-6, rel=1e-4)

    @given(st.floats(5, 200), st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0, 0.5))
    def test_there_and_back(self, p_max, a_ltp, a_ltd, c2c):
        model = device(
            "exponential", p_max=p_max, a_ltp=a_ltp * p_max, a_ltd=a_ltd * p_max, c2c=c2c
        )
        back = from_aihwkit(*to_aihwkit(model))
        for name in ("p_max", "a_ltp", "a_ltd", "c2c", "d2d_a", "d2d_g_min", "d2d_g_max"):
            assert getattr(back, name) == pytest.approx(getattr(model, name), rel=1e-5), name

    def test_the_spread_of_slopes_is_that_of_the_cells(self):
        model = device("exponential", a_ltp=40.0, a_ltd=40.0, d2d_a=0.1, d2d_g_min=0, d2d_g_max=0)
        _, traits = population(model, 40_000)
        _, arguments = to_aihwkit(model)
        first, slope = traits[0].astype(np.float64), traits[1].astype(np.float64)
        step = first - slope * 18e-6  # at w = 0
        gamma = slope * 18e-6 / step
        assert gamma.std() == pytest.approx(arguments["gamma_up_dtod"], rel=0.05)
        assert step.std() / step.mean() == pytest.approx(arguments["dw_min_dtod"], rel=0.1)


@pytest.mark.parametrize("name", ["brram", "pcm", "replay"])
def test_other_devices_have_no_counterpart(name):
    with pytest.raises(ConfigError, match=f"no device like {name}"):
        to_aihwkit(make(name))


LINEAR = to_aihwkit(device("exponential"))[1]


@pytest.mark.parametrize(
    ("kind", "arguments", "complaint"),
    [
        ("ExpStepDevice", RERAM_SB, "ExpStepDevice is not modelled"),
        ("SoftBoundsDevice", RERAM_SB | {"mult_noise": True}, "multiplicative"),
        ("SoftBoundsDevice", RERAM_SB | {"up_down": 0.1}, "up_down"),
        ("SoftBoundsDevice", RERAM_SB | {"dw_min": math.nan}, "finite"),
        ("SoftBoundsDevice", RERAM_SB | {"dw_min": "1"}, "number"),
        ("SoftBoundsDevice", {"dw_min": 0.1}, "is missing"),
        ("SoftBoundsDevice", RERAM_SB | {"w_min": 0.1}, "w_min"),
        ("LinearStepDevice", LINEAR | {"gamma_up": 1.5}, "gamma_up must be"),
        ("LinearStepDevice", LINEAR | {"gamma_up": 0.5}, "as many pulses up as down"),
        ("LinearStepDevice", LINEAR | {"w_max": 0.6}, "bounds 1 and -1"),
    ],
)
def test_what_has_no_counterpart_here_is_refused(kind, arguments, complaint):
    with pytest.raises(ConfigError, match=complaint):
        from_aihwkit(kind, arguments)


def test_two_spreads_of_one_step_are_refused():
    with pytest.raises(ConfigError, match="one must be 0"):
        to_aihwkit(device("softbounds", dw_min_log_d2d=0.1))
