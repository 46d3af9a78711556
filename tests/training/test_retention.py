"""Retention: what all cells do alike is undone by the scales; what tells them apart is not."""

import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices.pcm import Pcm
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.nn import DeviceWindow
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe
from cimlab.training.retention import retention
from cimlab.training.transfer import Trained
from tests.training.digits import digits


@pytest.fixture(scope="module")
def trained() -> Trained:
    data = digits()
    run = Training(Recipe(mode="fp32", epochs=1, batches=80, batch_size=32), None, data)
    list(run.events())
    return Trained(*run.state(), (64, 64), data)


def drifting(spread: float) -> HalArray:
    device = Pcm(d2d_nu=spread, noise=0.2, sigma_read=1e-8, d2d_g_max=0.0)
    return HalArray(SimulatedHal(device, tiles=6, imperfections=Imperfections(stuck=0.0)))


WINDOW = DeviceWindow(0.1e-6, 2.2e-6)
YEAR = 365 * 86400.0


def test_a_common_drift_is_undone(trained: Trained) -> None:
    start, _, plain, corrected = retention(trained, drifting(0.0), [0.0, YEAR], WINDOW)
    assert start.accuracy == pytest.approx(trained.accuracy(), abs=0.03)
    for factor in corrected.factors.values():
        # the law of the drift, t0 being 1 s
        assert factor == pytest.approx((1 + YEAR) ** 0.05, rel=0.01)
    assert set(plain.factors.values()) == {1.0}
    assert corrected.accuracy == pytest.approx(start.accuracy, abs=0.02)
    assert corrected.accuracy >= plain.accuracy


def test_a_spread_of_drifts_is_not(trained: Trained) -> None:
    start, *_, corrected = retention(trained, drifting(1.0), [0.0, YEAR], WINDOW)
    assert corrected.accuracy < start.accuracy - 0.05


def test_times_rise(trained: Trained) -> None:
    for times in ([3.0, 2.0], [-1.0]):
        with pytest.raises(ConfigError, match="rise"):
            next(retention(trained, drifting(0.0), times, WINDOW))
