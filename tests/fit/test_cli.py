"""`cimlab fit`: from run files to a device file that a station uses."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import cimlab as package
from cimlab.measure import measure
from cimlab.mock_hw.devices.registry import read_device
from cimlab.protocols.noise import ReadNoisePlan
from cimlab.protocols.procedure import finish
from cimlab.protocols.pulse_trains import PulsesPlan
from tests.cli.support import cimlab, result
from tests.packaging.house import ROOT

PLANS = {
    "pulses": PulsesPlan(
        increments="amplitude",
        v_up=1.4,
        v_down=1.0,
        v_step=0.1,
        n_up=17,
        n_down=21,
        cycles=2,
        averages=16,
    ),
    "noise": ReadNoisePlan(reads=40),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run files of 36 cells of the default b-RRAM, on a chip with stuck cells and mismatch."""
    folder = tmp_path_factory.mktemp("runs")
    with package.open("model:?tiles=1&rows=6&cols=6&seed=4") as array:
        for name, plan in PLANS.items():
            finish(measure(array, name, plan, np.arange(36), folder / f"{name}.h5"))
    return folder


def test_a_fit_is_a_device_that_a_station_uses(runs):
    data = result("fit", "pulses.h5", "noise.h5", "--model", "brram", "-o", "twin.toml", cwd=runs)
    found = {name: part["value"] for name, part in data["parameters"].items()}
    assert data["model"] == "brram" and data["converged"]
    # the chip's converters put their own mismatch on top, so this is no test of the errors
    assert found["v_set"] == pytest.approx(2.3, abs=0.06)
    assert found["c2c"] == pytest.approx(0.3, rel=0.1)
    assert found["sigma_read"] == pytest.approx(1.55e-6, rel=0.1)
    assert set(data["unidentified"]) >= {"width_exponent", "g_rest", "tau_rest", "diffusion"}
    file = read_device(runs / "twin.toml")
    assert file.model.v_set == found["v_set"]
    assert file.errors["v_set"] == data["parameters"]["v_set"]["standard_error"]
    assert "width_exponent" not in file.errors and file.fit["runs"] == ["pulses.h5", "noise.h5"]
    with package.open(f"model:{runs / 'twin.toml'}?tiles=1&rows=4&cols=4") as array:
        assert np.isfinite(array.read(0.1).g).all()


def test_report_and_replay(runs):
    said = cimlab(
        "fit", "pulses.h5", "noise.h5", "--model", "replay", "-o", "r.toml", "--report", "r.png",
        cwd=runs,
    )  # fmt: skip
    assert "no run tells it" in said.stdout
    assert (runs / "r.png").read_bytes()[:4] == b"\x89PNG"
    assert len(read_device(runs / "r.toml").model.jumps) == 38


def test_only_noise_says_which_sweep_to_run(runs):
    data = result("fit", "noise.h5", "--model", "brram", "-o", "x.toml", cwd=runs, code=3)
    assert "cimlab sweep pulses" in data["error"]["message"]
    assert not (runs / "x.toml").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hidden_devices_through_the_emulated_bench():
    """Hidden parameters -> SCPI over TCP -> sweeps -> fit (benchmarks/twin.py)."""
    command = [sys.executable, "benchmarks/twin.py", "--seeds", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["within_3"] >= found["parameters"] - 1
    assert found["curve_rmse"] < 0.02
    assert found["c2c_off"] < 0.1
    assert found["sigma_read_off"] < 0.1
