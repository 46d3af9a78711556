"""Transfer: what is written follows the errors asked for, and no error changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe, large
from cimlab.training.transfer import Trained, Writing, spreads, written_weights
from tests.training.digits import digits
from tests.training.test_large import colours

PERFECT = Writing(spread=0.0, stuck=0.0)


def draws_of(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng([seed]), np.random.default_rng([seed, 1])


@given(st.floats(0.05, 2.0), st.integers(2, 64))
def test_the_error_is_the_one_asked_for(sigma: float, levels: int) -> None:
    weights = np.linspace(-3, 3, 20_001, dtype=np.float32)
    plan = Writing(levels=levels, spread=0.0, stuck=0.0, on_off=1.01)
    error = written_weights(weights, plan, sigma, *draws_of(0)) - weights
    gap = 3 / (levels - 1)
    # two cells a weight; cells cannot conduct less than nothing, which on_off keeps far away
    assert error.std() == pytest.approx(sigma * gap * np.sqrt(2), rel=0.03)
    assert abs(error.mean()) < 0.05 * sigma * gap


def test_stuck_cells_and_spread_belong_to_the_chip() -> None:
    weights = np.full(100_000, 0.5, np.float32)
    weights[0] = 1.0
    stuck = written_weights(weights, Writing(spread=0.0, stuck=0.02), 0.0, *draws_of(1))
    assert (stuck != weights).mean() == pytest.approx(0.03, rel=0.1)  # minus stuck low shows not
    spread = written_weights(weights, Writing(spread=0.1, stuck=0.0), 0.0, *draws_of(1))
    low = 1 / 6
    assert (spread - weights).std() == pytest.approx(0.1 * np.hypot(0.5 + low, low), rel=0.03)
    again = written_weights(weights, Writing(spread=0.1, stuck=0.0), 0.0, *draws_of(1))
    other = written_weights(weights, Writing(spread=0.1, stuck=0.0), 0.0, *draws_of(2))
    assert np.array_equal(spread, again)
    assert not np.array_equal(spread, other)


@pytest.mark.parametrize("mode", ["fp32", "qat", "mixed"])
def test_without_errors_it_is_the_trained_network(mode: str) -> None:
    data = digits()
    array = HalArray(SimulatedHal(device("brram"), tiles=6)) if mode == "mixed" else None
    recipe = Recipe(mode=mode, epochs=1, batches=40, batch_size=32, rate=6.0)
    run = Training(recipe, array, data)
    list(run.events())
    trained = Trained(*run.state(), (64, 64), data)
    (draw,) = trained.draws(PERFECT, 0.0, 0, 0)
    assert draw.accuracy == trained.accuracy()
    # on chip there is noise besides
    assert trained.accuracy() == pytest.approx(run.test().mean(), abs=0.0 if not array else 0.05)
    (much,) = trained.draws(PERFECT, 30.0, 0, 0)
    assert much.accuracy < draw.accuracy
    assert trained.draws(PERFECT, 0.0, 1, 0)[0].accuracy == draw.accuracy  # nothing is left over


def test_batch_normalisation_is_recalibrated() -> None:
    data = colours()
    recipe = Recipe(**large("vgg8", mode="fp32", epochs=1, batches=8, batch_size=16))
    run = Training(recipe, None, data)
    list(run.events())
    trained = Trained(*run.state(), (256, 64), data)
    draws = trained.draws(PERFECT, 0.0, 0, 0)
    assert [d.recalibrated for d in draws] == [False, True]
    # its statistics have hardly been learnt in 8 batches
    assert draws[1].accuracy > draws[0].accuracy
    parts = spreads(draws, 0.5)
    assert [p.accuracies[0] for p in parts] == [2 * d.accuracy for d in draws]
