"""The fixtures that installing cimlab brings to pytest, used as a laboratory does."""

import subprocess
import sys

import pytest


def test_a_board_programs_and_counts(cimlab_board):
    assert cimlab_board.spec.shape == (1, 16, 16)
    before = cimlab_board.read(0.1, averages=16).g.mean()
    cimlab_board.pulse(2.0, 1e-6)
    assert cimlab_board.read(0.1, averages=16).g.mean() > before
    assert (cimlab_board.counters() == 1).all()
    assert cimlab_board.link.requests > 2  # over a real link


@pytest.mark.parametrize("cimlab_board", ["model:?tiles=1&rows=2&cols=3"], indirect=True)
def test_a_station_of_ones_own(cimlab_board):
    assert cimlab_board.spec.shape == (1, 2, 3)
    assert cimlab_board.link is None


@pytest.mark.slow
def test_a_bench_measures_cells(cimlab_bench):
    assert cimlab_bench.spec.vmm == "emulated"
    assert 0 < cimlab_bench.read(0.1).g.min() < 100e-6


def test_other_peoples_runs_of_pytest_stay_light():
    code = (
        "import sys, cimlab.interfaces.pytest_plugin\n"
        "sys.exit(' '.join({'numpy', 'pydantic', 'torch'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
