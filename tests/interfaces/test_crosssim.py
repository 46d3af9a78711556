"""Conductances for CrossSim, against what its sources do with them."""

import json

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import CapabilityError, ConfigError
from cimlab.interfaces.crosssim import export


@pytest.fixture
def chip():
    with cimlab.open("model:?tiles=3&rows=6&cols=9") as array:
        yield array


def test_two_cores_multiply_as_the_pairs_do(chip, tmp_path):
    matrices, parameters = export(chip, tmp_path / "chip", averages=256)
    with np.load(matrices) as held:
        g, matrix = held["g"], held["matrix"]
        positive, negative, g_max = held["positive"], held["negative"], float(held["g_max"])
    told = json.loads(parameters.read_text())
    device = told["xbar"]["device"]
    assert (told["core"]["rows_max"], told["core"]["cols_max"]) == (6, 4)
    assert positive.shape == negative.shape == matrix.shape == (3, 4, 6)
    # as BalancedCore: the difference of the cores, over the range of normalised conductances
    x = np.linspace(0, 1, 6)
    range_norm = 1 - device["Rmin"] / device["Rmax"]
    np.testing.assert_allclose(matrix @ x, (positive - negative) @ x / range_norm, rtol=1e-5)
    # as the array: columns of the pairs, at v_read
    current = chip.vmm(np.tile(x * chip.converters.v_read, (3, 400, 1))).current.mean(1)
    wanted = (current[:, 0:8:2] - current[:, 1:8:2]) / chip.converters.v_read / g_max
    np.testing.assert_allclose((positive - negative) @ x, wanted, atol=0.03)
    assert g.max() == g_max
    assert 1 / device["Rmin"] == pytest.approx(g_max)


def test_read_noise_is_measured(chip, tmp_path):
    _, parameters = export(chip, tmp_path / "chip.json")
    noise = json.loads(parameters.read_text())["xbar"]["device"]["read_noise"]
    assert noise["enable"] is True
    with np.load(tmp_path / "chip.npz") as held:
        sigma = noise["magnitude"] * held["g_max"]
    assert sigma == pytest.approx(1.55e-6, rel=0.25)  # PAPER 2, of 162 cells


def test_what_crosssim_cannot_take_is_refused(chip, tmp_path):
    with cimlab.open("model:?tiles=1&rows=4&cols=3") as small, pytest.raises(CapabilityError):
        export(small, tmp_path / "small")
    with pytest.raises(ConfigError, match="cannot write"):
        export(chip, tmp_path / "nowhere" / "chip")
    assert list(tmp_path.iterdir()) == []
