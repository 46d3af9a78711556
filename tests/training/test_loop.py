"""Whole runs, short ones, on the emulated chip."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.errors import ConfigError, RecordError
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.training.data import Images
from cimlab.training.events import Calibrated, EpochDone, Event, Prepared, Resumed, StepDone
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe
from tests.nn.ideal import IdealArray
from tests.training.digits import digits


@pytest.fixture(scope="module")
def data() -> Images:
    return digits()


def chip(seed: int = 0, tiles: int = 6) -> tuple[HalArray, SimulatedHal]:
    hal = SimulatedHal(device("brram"), tiles=tiles, seed=seed)
    return HalArray(hal), hal


def short(**settings: Any) -> Recipe:
    return Recipe(**{"epochs": 2, "batches": 15, "batch_size": 32, "rate": 6.0, **settings})


def only(kind: type[Event], events: list[Event]) -> list[Any]:
    return [e for e in events if isinstance(e, kind)]


def test_events_come_in_order_and_add_up(data: Images) -> None:
    array, hal = chip()
    run = Training(short(), array, data)
    events = list(run.events())
    epoch = [Calibrated, *[StepDone] * 15, EpochDone]
    assert [type(e) for e in events] == [Prepared, *epoch, *epoch]
    steps, epochs = only(StepDone, events), only(EpochDone, events)
    assert [s.step for s in steps] == list(range(1, 31))
    assert [(e.number, e.step) for e in epochs] == [(1, 15), (2, 30)]
    for k, one in enumerate(epochs):
        own = steps[15 * k : 15 * (k + 1)]
        assert one.loss == pytest.approx(np.mean([s.loss for s in own]))
        assert one.update.pulses == sum(s.update.pulses for s in own)
    total = sum(s.update.weights for s in steps)
    assert run.updates_per_weight == total / 3220 > 0
    # the pulses that were counted are the pulses that the chip felt, to the last one
    (prepared,) = only(Prepared, events)
    pulses = prepared.written.pulses + sum(s.update.pulses for s in steps)
    assert int(hal.state["pulses"].sum()) == pulses


def test_it_learns_and_every_batch_at_once_does_not_pay(data: Images) -> None:
    array, _ = chip()
    mixed = Training(short(batches=60), array, data)
    last = only(EpochDone, list(mixed.events()))[-1]
    assert last.accuracy > 0.9
    array, _ = chip()
    naive = Training(short(epochs=1, batches=4, mode="naive"), array, data)
    list(naive.events())
    assert naive.updates_per_weight > 2
    assert mixed.updates_per_weight < 2


def test_the_same_seed_gives_the_same_bits(data: Images) -> None:
    results = []
    for seed in (3, 3, 4):
        array, hal = chip()
        events = list(Training(short(seed=seed), array, data).events())
        losses = [s.loss for s in only(StepDone, events)]
        results.append((losses, hal.conductances.tobytes()))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_fp32_needs_no_array_and_sees_the_same_batches(data: Images) -> None:
    run = Training(short(mode="fp32", batches=60), None, data)
    events = list(run.events())
    assert only(EpochDone, events)[-1].accuracy > 0.9
    assert run.updates_per_weight == 0
    assert run.layers == {}
    array, _ = chip()
    mixed = Training(short(batches=60), array, data)
    first = next(e for e in mixed.events() if isinstance(e, StepDone))
    # same parameters, same batch: the losses differ by what the chip adds
    assert first.loss == pytest.approx(only(StepDone, events)[0].loss, abs=0.5)
    with pytest.raises(ConfigError, match="needs an array"):
        Training(short(), None, data)


@pytest.mark.parametrize(
    "settings",
    [
        {"program": "blind", "master": "readback", "remainder": "keep"},
        {"program": "ispp", "master": "readback", "averages": 16},
        {"on_chip": ("conv1", "fc"), "repeats": {"fc": 4}},
    ],
)
def test_policies_learn_too(data: Images, settings: dict[str, Any]) -> None:
    array, _ = chip()
    run = Training(short(batches=40, epochs=1, **settings), array, data)
    (last,) = only(EpochDone, list(run.events()))
    assert last.accuracy > 0.6
    assert last.update.pulses > 0


def test_a_network_too_large_for_the_array(data: Images) -> None:
    array, _ = chip(tiles=4)
    with pytest.raises(ConfigError, match="on_chip=conv1,conv2"):
        Training(short(), array, data)


def stop_at(run: Training, step: int) -> None:
    for event in (events := run.events()):
        if isinstance(event, StepDone) and event.step == step:
            events.close()
            return


def through_json(state: tuple[dict[str, Any], dict[str, Any]]) -> tuple[Any, Any]:
    """What a file would give back."""
    arrays, info = state
    return {k: np.array(v) for k, v in arrays.items()}, json.loads(json.dumps(info))


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(data: Images) -> None:
    recipe = short(schedule="cosine", remainder="keep")
    whole = IdealArray()
    uninterrupted = list(Training(recipe, whole, data).events())
    stopped = IdealArray()
    first = Training(recipe, stopped, data)
    template = {k: (v.shape, v.dtype) for k, v in first.state()[0].items()}
    stop_at(first, 20)
    assert stopped.calls[-1] == "ground"
    saved = through_json(first.state())
    assert {k: (v.shape, v.dtype) for k, v in saved[0].items()} == template
    again = Training(recipe, stopped, data)
    stopped.configure(replace(stopped.converters, i_vmm=(1e-6,) * 8))
    resumed = again.restore(*saved)
    assert resumed.moved.size == 0
    rest = list(again.events())
    assert rest[0] is resumed
    pairs = zip(only(StepDone, rest), only(StepDone, uninterrupted)[20:], strict=True)
    assert all(a.loss == b.loss and a.update == b.update for a, b in pairs)
    (last, before) = only(EpochDone, rest)[-1], only(EpochDone, uninterrupted)[-1]
    assert (last.accuracy, last.loss, last.update) == (before.accuracy, before.loss, before.update)
    assert (stopped.current == whole.current).all()


def test_cells_that_moved_are_reported_and_believed(data: Images) -> None:
    array, hal = chip()
    run = Training(short(), array, data)
    stop_at(run, 15)
    saved = through_json(run.state())
    assert run.updater is not None
    victims = np.sort(run.updater.cells[1, [5, 900]])
    hal.state["g"][victims] = 38e-6
    again = Training(short(), array, data)
    resumed = again.restore(*saved)
    assert isinstance(resumed, Resumed)
    assert sorted(resumed.moved) == victims.tolist()
    np.testing.assert_allclose(resumed.now, 3.8e-6, atol=0.3e-6)
    assert (np.abs(resumed.now - resumed.before) > 0.3e-6).all()
    assert again.updater is not None
    np.testing.assert_allclose(again.updater.believed[1, [5, 900]], 3.8e-6, atol=0.3e-6)


def test_to_another_chip_the_weights_are_written(data: Images) -> None:
    array, _ = chip()
    run = Training(short(), array, data)
    stop_at(run, 15)
    saved = through_json(run.state())
    assert run.updater is not None
    again = Training(short(), chip(seed=1)[0], data)
    resumed = again.restore(*saved)
    assert again.updater is not None
    assert resumed.moved.size > again.updater.size
    weights = [updater.arrays()["master"] for updater in (run.updater, again.updater)]
    assert (
        np.corrcoef(*weights)[0, 1] > 0.8
    )  # early on, weights are not far above programming errors
    assert (again.updater.accumulated == run.updater.accumulated).all()


def test_a_checkpoint_of_another_recipe_is_refused(data: Images) -> None:
    saved = through_json(Training(short(mode="fp32"), None, data).state())
    with pytest.raises(RecordError, match="another recipe"):
        Training(short(mode="fp32", seed=1), None, data).restore(*saved)


def test_ranges_widen_when_a_tile_clips(data: Images) -> None:
    array, _ = chip()
    run = Training(short(epochs=1, batches=2), array, data)
    events = run.events()
    calibrated = next(e for e in events if isinstance(e, Calibrated))
    ranges = (0.3 * calibrated.ranges[0], *calibrated.ranges[1:])
    array.configure(replace(array.converters, i_vmm=ranges))
    step = next(events)
    assert isinstance(step, StepDone)
    assert step.saturated > 0.01
    assert array.converters.i_vmm[0] == pytest.approx(1.3 * ranges[0])


def test_the_default_recipe_is_the_papers_and_tuned_keeps_its_budget() -> None:
    paper, tuned = Recipe(), Recipe.tuned(seed=3)
    assert (paper.lr, paper.batch_size, paper.batches, paper.epochs) == (0.004, 64, 400, 13)
    assert paper.window.span * paper.threshold == pytest.approx(0.823e-6, rel=1e-3)
    assert (tuned.steps, tuned.lr, tuned.seed) == (paper.steps, paper.lr, 3)
    assert tuned.lr_at(0) == tuned.lr
    assert tuned.lr_at(tuned.steps // 2) == pytest.approx(tuned.lr / 2)
    with pytest.raises(ValueError, match="low must be below high"):
        Recipe(low=4e-6)
