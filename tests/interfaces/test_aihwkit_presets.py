"""Presets of aihwkit as files; step rules against aihwkit's published ones, pulse by pulse."""

import json
import math

import numpy as np
import pytest

from cimlab.core.errors import ConfigError
from cimlab.interfaces.aihwkit import read_preset, write_preset
from cimlab.mock_hw.devices import device, read_device, write_device
from tests.mock_hw.devices import draws, volts

RERAM_ES = {
    "dw_min": 0.00135,
    "up_down": 0.259359,
    "w_max": 1.0,
    "w_min": -1.0,
    "a": 0.244,
    "b": 0.2425,
    "gamma_up": 12.44625,
    "gamma_down": 12.78785,
    "A_up": 0.00081,
    "A_down": 0.36833,
    "dw_min_dtod": 0.2,
    "dw_min_std": 5.0,
    "write_noise_std": 75.0,
    "construction_seed": None,
}
ECRAM = {
    "dw_min": 0.002,
    "up_down": 0.0,
    "w_max": 1.1724,
    "w_min": -0.8276,
    "mult_noise": True,
    "gamma_up": 0.1153,
    "gamma_down": 0.5085,
    "dw_min_std": 0.3,
}
IDEALIZED = {"dw_min": 0.0002, "dw_min_std": 0.3, "up_down": 0.0, "w_max": 1.0, "w_min": -1.0}
CELLS = 20_000


def exponential(w, up):
    """ExpStepDevice, as its documentation says; the bias is on the way down."""
    p = RERAM_ES
    z = 2 * p["a"] * w / 2 + p["b"]
    if up:
        return p["dw_min"] * max(0, 1 - p["A_up"] * math.exp(p["gamma_up"] * z))
    down = max(0, 1 - p["A_down"] * math.exp(-p["gamma_down"] * z))
    return -p["dw_min"] * (1 - p["up_down"]) * down


def linear(w, up):
    if up:
        return ECRAM["dw_min"] * (1 - ECRAM["gamma_up"] * w / ECRAM["w_max"])
    return -ECRAM["dw_min"] * (1 - ECRAM["gamma_down"] * w / ECRAM["w_min"])


def written(path, kind, parameters):
    path.write_text(json.dumps({"class": kind, "parameters": parameters}))
    return path


@pytest.mark.parametrize(
    ("kind", "parameters", "rule"),
    [
        ("ReRamESPresetDevice", RERAM_ES, exponential),
        ("EcRamPresetDevice", ECRAM, linear),
        ("IdealizedPresetDevice", IDEALIZED, lambda w, up: 0.0002 if up else -0.0002),
    ],
)
@pytest.mark.parametrize("up", [True, False])
def test_a_step_is_aihwkits_in_mean_and_spread(tmp_path, kind, parameters, rule, up):
    model = read_preset(written(tmp_path / "p.json", kind, parameters), g_min=1e-6, g_max=21e-6)
    assert model.name == "replay"
    low, high = parameters["w_min"], parameters["w_max"]
    siemens = 20e-6 / (high - low)
    _, traits = model.born(CELLS, draws(0, CELLS))
    for w in np.linspace(low, high, 9)[1:-1]:
        g = np.full(CELLS, 1e-6 + (w - low) * siemens, np.float32)
        after = model.pulse(g, traits, volts(2 if up else -2, CELLS), 1e-6, draws(1, CELLS))
        step = (after.astype(np.float64) - g) / siemens
        sigma = parameters["dw_min_std"] * abs(rule(w, up))
        assert step.mean() == pytest.approx(rule(w, up), abs=5 * sigma / math.sqrt(CELLS) + 2e-6)
        assert step.std() == pytest.approx(sigma, rel=0.03, abs=2e-6)


def test_a_preset_becomes_a_device_file_and_a_device_file_a_preset(tmp_path):
    table = read_preset(written(tmp_path / "es.json", "ReRamESPresetDevice", RERAM_ES))
    write_device(tmp_path / "es.toml", table, fit={"source": "aihwkit ReRamESPresetDevice"})
    assert read_device(tmp_path / "es.toml").model == table
    fitted = device("exponential", a_ltp=31.4)
    write_preset(tmp_path / "fitted.json", fitted)
    told = json.loads((tmp_path / "fitted.json").read_text())
    assert told["class"] == "LinearStepDevice"
    again = read_preset(tmp_path / "fitted.json")
    assert again.name == "exponential"
    assert again.a_ltp == pytest.approx(31.4)


def test_what_is_modelled_keeps_its_spread_from_cell_to_cell(tmp_path):
    write_preset(tmp_path / "sb.json", device("softbounds:array-hfo2"))
    assert read_preset(tmp_path / "sb.json") == device("softbounds:array-hfo2")


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("PiecewiseStepDevice", {}, "PiecewiseStepDevice is not modelled"),
        ("ExpStepDevice", {"A_up": "much"}, "A_up"),
        ("ExpStepDevice", {"w_min": 0.0}, "must lie around 0"),
        ("ExpStepDevice", {"dw_min_std_slope": 0.1}, "dw_min_std_slope is not modelled"),
    ],
)
def test_what_is_not_is_refused(tmp_path, kind, change, complaint):
    with pytest.raises(ConfigError, match=complaint):
        read_preset(written(tmp_path / "p.json", kind, RERAM_ES | change))


@pytest.mark.parametrize("text", ["", "[]", '{"class": "ExpStepDevice"}', "\x00"])
def test_what_is_no_preset_is_refused(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ConfigError, match="no class and parameters"):
        read_preset(tmp_path / "p.json")
