"""`cimlab compare-programming` and `cimlab figures` as users run them."""

import json
from pathlib import Path

import pytest

from .support import cimlab, result

STATION = "model:?tiles=1&rows=16&cols=8"


def test_policies_are_compared_on_the_same_cells(tmp_path: Path) -> None:
    options = ("--station", STATION, "--device", "brram", "-o", "cmp.pdf")
    data = result("compare-programming", *options, cwd=tmp_path)
    found = data["policies"]
    assert list(found) == [
        *("paper", "ispp", "ispp-led", "pi", "predicted", "ispp-passes", "predicted-passes"),
    ]
    assert data["origin"] == "emulated"
    assert data["rest_s"] == 3600
    for figures in found.values():
        assert figures["cells"] == 128
        assert figures["converged"] > 0.8
        assert figures["pulses_worst"] >= figures["pulses"] > 0
        assert 0 < figures["energy_J"] < 1e-8
        assert figures["rested_rms_A"] < 0.2e-6
    assert found["predicted"]["pulses"] < 0.5 * found["ispp"]["pulses"]
    assert b"/FontFile2" in (tmp_path / "cmp.pdf").read_bytes()


@pytest.mark.slow
def test_without_a_device_file_some_cells_are_fitted_first(tmp_path: Path) -> None:
    options = ("--station", "model:?tiles=1", "--policies", "ispp,predicted")
    data = result("compare-programming", *options, cwd=tmp_path)
    assert (data["device"], data["model"]) == ("fitted", "brram")
    assert data["low_A"] == pytest.approx(0.82e-6, rel=0.05)
    found = data["policies"]
    assert found["predicted"]["pulses"] < 0.5 * found["ispp"]["pulses"]


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    options = ("--station", STATION, "--device", "brram", "--policies", "guess")
    done = cimlab("compare-programming", *options, cwd=tmp_path, code=3)
    assert "no policy guess; there are paper" in done.stderr


def test_figures_of_a_programming_run(tmp_path: Path) -> None:
    cimlab("program", "--station", STATION, "--out", "p.h5", cwd=tmp_path)
    done = cimlab("figures", "p.h5", "-o", "figs", "--formats", "svg", "--json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert set(data["figures"]) == {"levels", "programming-error"}
    assert (tmp_path / "figs" / "levels.svg").exists()
    assert "transfer" in data["skipped"]
