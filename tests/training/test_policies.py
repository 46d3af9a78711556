"""The neighbours' schemes: their rules on exact cells, whole runs on emulated ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cimlab.board.hal_array import HalArray
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.nn import DeviceWindow, convert
from cimlab.protocols import Blind
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.loop import Training
from cimlab.training.policies import POLICIES
from cimlab.training.recipe import Recipe
from cimlab.training.updater import Trigger, Updater
from cimlab.training.writing import Writer
from tests.nn.ideal import STEP, IdealArray
from tests.training.digits import digits

WINDOW = DeviceWindow()
EXACT = Blind(v_set=1.0, v_reset=1.0, step_set=STEP, step_reset=STEP, count_max=1000)
"""Pulses that move the ideal array's cells by exactly what is expected."""


def exact(policy: str, threshold: float, lr: float = 1.0) -> tuple[Updater, Any, IdealArray]:
    """A policy on a layer of 12 weights, on cells that do what they are told."""
    torch.manual_seed(0)
    array = IdealArray(tiles=1, rows=8, cols=8)
    model = nn.Sequential(nn.Linear(4, 3))
    (layer,) = convert(model, array).values()
    layer.gain.requires_grad_(False)
    optimizer = torch.optim.SGD([layer.weight, *model.parameters()][:1], lr=lr)
    updater = POLICIES[policy](
        optimizer,
        [layer],
        Writer(array, EXACT, "ideal", 1),
        Trigger(threshold, "keep"),
        WINDOW,
    )
    updater.believed[:] = 2e-6
    array.current[updater.cells] = 2e-6
    updater._adopt(np.arange(12))
    updater.placed[:] = True
    return updater, layer, array


def weights(updater: Updater, layer: Any, array: IdealArray) -> Any:
    plus, minus = array.current[updater.cells]
    return (plus - minus) * layer.scale


def test_blind_pulses_are_whole_steps_and_the_remainder_is_kept() -> None:
    updater, layer, array = exact("nandakumar", 0.1)
    limit = layer.scale * WINDOW.span
    layer.weight.grad = torch.full_like(layer.weight, -0.27 * limit)
    update = updater.step()
    assert update.weights == update.devices == 12
    on_chip = weights(updater, layer, array)
    np.testing.assert_allclose(on_chip, 0.2 * limit, rtol=0.01)
    np.testing.assert_allclose(on_chip + updater.accumulated, 0.27 * limit, rtol=1e-5)
    assert (updater.writes.sum(0) == 1).all()


def test_signs_get_one_pulse_however_large_the_gradient() -> None:
    updater, layer, array = exact("stellar", 0.1)
    gradient = torch.zeros_like(layer.weight)
    gradient[0, 0], gradient[1, 1], gradient[2, 2] = 5.0, -4.0, 0.1
    layer.weight.grad = gradient
    updater.begin(0.0)
    assert updater.step().weights == 2
    change = weights(updater, layer, array).reshape(3, 4) / (0.1 * layer.scale * WINDOW.span)
    expected = np.zeros((3, 4))
    expected[0, 0], expected[1, 1] = -1, 1
    np.testing.assert_allclose(change, expected, atol=0.01)
    # the threshold has risen: the smaller of the two no longer counts
    layer.weight.grad = gradient
    updater.begin(0.9)
    assert updater.step().weights == 1


def test_integers_overflow_into_the_cells() -> None:
    updater, layer, array = exact("hic", 0.125)
    limit = layer.scale * WINDOW.span
    bit = 0.125 * limit / 64
    for _ in range(40):  # 2.5 bits each: 100 bits are one carry and 36
        layer.weight.grad = torch.full_like(layer.weight, -2.5 * bit)
        updater.step()
        low = updater.accumulated / bit
        np.testing.assert_allclose(low, np.rint(low), atol=0.5)
        assert (np.abs(low) < 64).all()
    on_chip = weights(updater, layer, array)
    np.testing.assert_allclose(on_chip, 64 * bit, rtol=0.02)
    # rounding is unbiased, and no update is lost
    np.testing.assert_allclose((on_chip + updater.accumulated).mean(), 100 * bit, rtol=0.05)


def test_multiplicative_updates_never_change_a_sign() -> None:
    updater, layer, array = exact("madam", 0.1, lr=0.3 * layer_limit())
    signs = updater.arrays()["sign"].copy()
    for k in range(30):
        layer.weight.grad = torch.full_like(layer.weight, 1.0 if k < 15 else -1.0)
        updater.step()
        on_chip = weights(updater, layer, array)
        assert (on_chip[updater.writes.any(0)] * signs[updater.writes.any(0)] > 0).all()
    assert updater.writes.sum() > 12


def layer_limit() -> float:
    torch.manual_seed(0)
    return 3 * float(nn.Linear(4, 3).weight.detach().abs().max())


def test_errors_through_the_array_are_the_digital_ones() -> None:
    rng = np.random.default_rng(0)
    hal = SimulatedHal(device("brram", sigma_read=0.0), tiles=8, seed=0)
    array = HalArray(hal)
    model = nn.Sequential(
        nn.Conv2d(4, 12, 5, padding=1, stride=2), nn.Flatten(), nn.Linear(108, 40)
    )
    layers = convert(model, array)
    for layer in layers.values():
        cells = layer.placement.cells(array.spec)
        drawn = rng.uniform(0.9e-6, 3.2e-6, cells.shape)
        hal.conductances.reshape(-1)[cells] = drawn / 0.1
        weight = (drawn[0] - drawn[1]) * layer.scale
        layer.weight.data = torch.from_numpy(weight).float().view_as(layer.weight)
    x = torch.rand(3, 4, 8, 8, requires_grad=True)
    grads = []
    for window in (None, WINDOW):
        for layer in layers.values():
            layer.back = window
        torch.manual_seed(1)
        out = model(x)
        torch.autograd.backward(out, torch.randn(out.shape))
        assert x.grad is not None
        grads.append(x.grad.clone())
        x.grad = None
    off = (grads[1] - grads[0]).std() / grads[0].std()
    assert 0 < off < 0.05


RUNS = {
    "nandakumar": 6.0,
    "hic": 8.0,
    "stellar": 3.0,
    "madam": 40.0,
    "neurram": 6.0,
    "pim-qat": 6.0,
    "pcm": 8.0,
    "late": 6.0,
}
"""Policies, and rates that suit so short a run."""
DIGITS = digits(500, 100)


def training(policy: str) -> Training:
    settings = {**POLICIES[policy].settings, "epochs": 1, "batches": 30, "batch_size": 32}
    settings["rate"] = RUNS[policy]
    model = "pcm" if policy == "pcm" else "brram"
    hal = SimulatedHal(device(model), tiles=6, seed=0)
    return Training(Recipe(**settings, policy=policy), HalArray(hal), DIGITS)


LONG = ("nandakumar", "stellar", "madam", "pim-qat")


@pytest.mark.parametrize(
    "policy",
    [pytest.param(p, marks=pytest.mark.slow) if p in LONG else p for p in RUNS],
)
def test_every_policy_learns_and_counts_what_it_writes(policy: str) -> None:
    run = training(policy)
    *_, last = run.events()
    assert isinstance(last, EpochDone)
    assert last.accuracy > 0.35  # 0.1 by chance
    assert run.updater is not None
    assert run.updater.placed.all()
    first = 0 if policy in ("neurram", "pim-qat", "late") else 2 * run.updater.size
    assert run.updater.writes.sum() == first + run.total.devices
    assert last.update == run.total


@pytest.mark.parametrize("policy", ["hic", "madam", "neurram", "late"])
def test_a_resumed_run_goes_on_as_if_nothing_had_been(policy: str) -> None:
    settings = {**POLICIES[policy].settings, "epochs": 1, "batches": 8, "batch_size": 8}
    recipe = Recipe(**{**settings, "program": "blind", "backward": "host"}, policy=policy)
    losses = []
    for stopped in (False, True):
        array = IdealArray(tiles=6)
        run = Training(recipe, array, DIGITS)
        seen: list[float] = []
        for event in (events := run.events()):
            if isinstance(event, StepDone):
                seen.append(event.loss)
                if stopped and event.step == 5:
                    events.close()
                    break
        if stopped:
            arrays, info = run.state()
            run = Training(recipe, array, DIGITS)
            run.restore(arrays, json.loads(json.dumps(info)))
            seen += [e.loss for e in run.events() if isinstance(e, StepDone)]
        losses.append(seen)
    assert losses[0] == losses[1]


def test_errors_through_an_array_that_cannot_are_refused() -> None:
    with pytest.raises(ConfigError, match="no transposed products"):
        Training(Recipe(backward="array"), IdealArray(), DIGITS)


def test_beside_a_stuck_cell_the_other_one_is_not_written_for_nothing() -> None:
    updater, layer, _ = exact("nandakumar", 0.1)
    updater.stuck[0, 3] = True
    updater.believed[1, 3] = 1.5e-6
    for expected in (1, 0, 0):  # the minus cell goes to its end, and stays there
        layer.weight.grad = torch.zeros_like(layer.weight)
        layer.weight.grad.view(-1)[3] = -2 * layer.scale * WINDOW.span
        assert updater.step().devices == expected
