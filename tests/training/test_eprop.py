"""e-prop: its task, its gradients, and a curve learnt on emulated phase-change cells."""

from __future__ import annotations

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.training.eprop import Learning, Pattern
from cimlab.training.policies import POLICIES
from cimlab.training.recipe import Recipe
from tests.nn.ideal import IdealArray


def test_a_pattern_is_drawn_from_its_seed() -> None:
    one, same, other = (Pattern.drawn(seed) for seed in (1, 1, 2))
    assert (one.target == same.target).all()
    assert (one.spikes != other.spikes).any()
    assert set(np.unique(one.spikes)) == {0.0, 1.0}
    assert one.target.std() == pytest.approx(1)


def test_the_readouts_gradient_is_that_of_half_the_error() -> None:
    array = IdealArray(tiles=6)
    array.current *= 2  # busy neurons
    learning = Learning(Recipe(), array, Pattern.drawn(0, steps=20), neurons=32)
    before = learning._present()
    readout = learning.updater.layers[1]
    assert readout.weight.grad is not None
    gradient = readout.weight.grad.numpy()[0]
    k = int(np.abs(gradient).argmax())
    assert gradient[k] != 0
    step = 1e-8
    array.current[learning.updater.cells[0, -32 + k]] += step
    slope = (learning._present() - before) / (step * readout.scale)
    assert slope == pytest.approx(2 * float(gradient[k]), rel=0.02)


@pytest.mark.slow
def test_presentations_make_the_error_smaller() -> None:
    settings = {**POLICIES["pcm"].settings, "epochs": 1, "batches": 100}
    hal = SimulatedHal(device("pcm"), tiles=8, seed=0)
    learning = Learning(Recipe(**settings, policy="pcm"), HalArray(hal), Pattern.drawn(0))
    errors = list(learning.errors())
    assert np.mean(errors[-10:]) < 0.6 * np.mean(errors[:5])
    updater = learning.updater
    assert updater.writes.sum() == 2 * updater.size + learning.total.devices
