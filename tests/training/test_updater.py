"""The updater's bookkeeping on an array that does exactly what it is told."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from cimlab.core.array import Addresses, Floats
from cimlab.nn import ChipLayer, DeviceWindow, convert
from cimlab.protocols import Blind
from cimlab.training.updater import MixedPrecision, Trigger
from cimlab.training.writing import Writer, Written
from tests.nn.ideal import STEP, IdealArray

WINDOW = DeviceWindow()


class ExactWriter:
    """Cells carry the target plus a fixed error; logs what was written."""

    def __init__(self, array: IdealArray, error: float = 0.0, readback: bool = False) -> None:
        self.array, self.error, self.readback = array, error, readback
        self.log: list[tuple[Addresses, Floats]] = []
        self.stuck: list[int] = []

    def write(self, cells: Addresses, believed: Floats, target: Floats) -> Written:
        self.log.append((cells, target))
        self.array.current[cells] = target + self.error
        current = self.array.current[cells] if self.readback else target
        return Written(current, np.isin(cells, self.stuck), 3 * cells.size)

    write_rising = write

    def read(self, cells: Addresses, averages: int | None = None) -> Floats:
        return self.array.current[cells]


Make = Callable[[Any], torch.optim.Optimizer]


def build(
    make: Make,
    threshold: float = 1 / 3,
    remainder: Literal["keep", "discard"] = "discard",
    stagger: int | None = None,
    **writing: Any,
) -> tuple[MixedPrecision, nn.Sequential, ExactWriter, list[ChipLayer]]:
    torch.manual_seed(0)
    array = IdealArray(rows=8, cols=8)
    model = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 3))
    layers = list(convert(model, array).values())
    for layer in layers:
        layer.gain.requires_grad_(False)
    writer = ExactWriter(array, **writing)
    updater = MixedPrecision(
        make(model.parameters()),
        layers,
        writer,  # type: ignore[arg-type]
        Trigger(threshold, remainder, stagger),
        WINDOW,
    )
    updater.initialise(writer)  # type: ignore[arg-type]
    writer.log.clear()
    return updater, model, writer, layers


def chip_weights(layers: list[ChipLayer]) -> NDArray[np.float32]:
    return torch.cat([layer.weight.detach().flatten() for layer in layers]).numpy().copy()


def push(layers: list[ChipLayer], gradient: NDArray[np.float64]) -> None:
    """Set the layers' gradients from one flat array."""
    start = 0
    for layer in layers:
        end = start + layer.weight.numel()
        layer.weight.grad = (
            torch.from_numpy(gradient[start:end]).float().view_as(layer.weight).clone()
        )
        start = end


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1.0)


def test_initialise_programmes_the_models_weights_and_believes_the_read() -> None:
    updater, _, writer, layers = build(sgd, error=0.1e-6)
    before = chip_weights(layers)
    assert updater.size == 60
    assert (updater.believed == writer.array.current[updater.cells]).all()
    # a common error cancels in the pair
    plus, minus = updater.believed
    scales = np.concatenate([np.full(la.weight.numel(), la.scale) for la in layers])
    np.testing.assert_allclose((plus - minus) * scales, before, rtol=1e-4, atol=1e-7)


def test_below_the_threshold_nothing_is_written_and_weights_stand_still() -> None:
    updater, _, writer, layers = build(sgd)
    before = chip_weights(layers)
    limits = np.concatenate([np.full(la.weight.numel(), la.scale * WINDOW.span) for la in layers])
    for _ in range(3):
        push(layers, 0.1 * limits)
        assert updater.step().weights == 0
    assert writer.log == []
    assert (chip_weights(layers) == before).all()
    np.testing.assert_allclose(updater.accumulated, -0.3 * limits, rtol=1e-4)


def test_staggered_weights_do_not_pass_the_threshold_in_step() -> None:
    threshold = 0.2
    for stagger, most in ((None, 60), (7, 15)):
        updater, _, _, layers = build(sgd, threshold, stagger=stagger)
        limits = np.concatenate([np.full(w.weight.numel(), w.scale * WINDOW.span) for w in layers])
        before, start = chip_weights(layers), updater.accumulated.copy()
        assert (np.abs(start) <= threshold * limits).all()
        written = []
        for _ in range(21):
            push(layers, -threshold / 9.5 * limits)
            written.append(updater.step().weights)
        assert max(written) <= most
        assert max(written) == 60 or stagger is not None
        # all have been written, and nothing is lost on the way
        assert (chip_weights(layers) != before).all()
        moved = chip_weights(layers) + updater.accumulated - before - start
        np.testing.assert_allclose(moved, 21 / 9.5 * threshold * limits, rtol=1e-3)


def test_what_passes_the_threshold_is_written_to_master_plus_accumulated() -> None:
    updater, _, writer, layers = build(sgd)
    before = chip_weights(layers)
    limits = np.concatenate([np.full(la.weight.numel(), la.scale * WINDOW.span) for la in layers])
    gradient = np.zeros(updater.size)
    gradient[[4, 50]] = -0.2 * limits[[4, 50]]
    push(layers, gradient)
    assert updater.step().weights == 0
    push(layers, gradient)
    update = updater.step()
    assert (update.weights, update.devices, update.pulses) == (2, 2, 6)
    wanted = before + np.isin(np.arange(60), [4, 50]) * 0.4 * limits
    np.testing.assert_allclose(chip_weights(layers), wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(updater.accumulated, 0, atol=1e-7)
    plus, minus = writer.array.current[updater.cells]
    scales = limits / WINDOW.span
    np.testing.assert_allclose((plus - minus) * scales, wanted, rtol=1e-4, atol=1e-6)


def test_keep_writes_whole_thresholds_and_carries_the_rest() -> None:
    updater, _, _, layers = build(sgd, remainder="keep", threshold=0.1)
    before = chip_weights(layers)
    limits = np.concatenate([np.full(la.weight.numel(), la.scale * WINDOW.span) for la in layers])
    gradient = np.zeros(updater.size)
    gradient[7] = -0.25 * limits[7]
    push(layers, gradient)
    updater.step()
    change = chip_weights(layers) - before
    assert change[7] == pytest.approx(0.2 * limits[7], rel=1e-4)
    assert updater.accumulated[7] == pytest.approx(0.05 * limits[7], rel=1e-3)


@pytest.mark.parametrize(("readback", "expected"), [(False, 0.0), (True, 0.2e-6)])
def test_master_is_what_was_wanted_or_what_is_read(readback: bool, expected: float) -> None:
    updater, _, writer, layers = build(sgd, readback=readback)
    writer.error = 0.2e-6
    limit = layers[0].scale * WINDOW.span
    gradient = np.zeros(updater.size)
    gradient[0] = -0.4 * limit
    wanted = float(chip_weights(layers)[0]) + 0.4 * limit
    push(layers, gradient)
    updater.step()
    off = (float(chip_weights(layers)[0]) - wanted) / layers[0].scale
    assert abs(off) == pytest.approx(expected, abs=1e-10)


def test_keep_with_readback_carries_over_what_the_write_missed() -> None:
    updater, _, writer, layers = build(sgd, remainder="keep", readback=True)
    writer.error = 0.2e-6
    before = chip_weights(layers)
    gradient = np.zeros(updater.size)
    gradient[0] = -0.4 * layers[0].scale * WINDOW.span
    push(layers, gradient)
    updater.step()
    total = chip_weights(layers)[0] - before[0] + updater.accumulated[0]
    assert total == pytest.approx(-gradient[0], rel=1e-3)


def test_a_cell_found_stuck_is_not_tried_again() -> None:
    updater, _, writer, layers = build(sgd)
    gradient = np.zeros(updater.size)
    gradient[0] = -0.4 * layers[0].scale * WINDOW.span
    push(layers, gradient)
    writer.stuck = updater.cells.ravel().tolist()  # nothing moves
    updater.step()
    (first,) = writer.log.pop()[0]
    assert updater.cells[updater.stuck].tolist() == [first]
    writer.stuck = []
    for sign in (-1, 1, -1):
        push(layers, sign * gradient)
        updater.step()
    assert len(writer.log) == 3
    assert all(first not in cells for cells, _ in writer.log)


OPTIMISERS: dict[str, Make] = {
    "sgd with momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.002),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_written_at_once_any_optimiser_goes_its_digital_way(name: str) -> None:
    updater, model, _, layers = build(OPTIMISERS[name], threshold=0.0)
    start = chip_weights(layers)
    twin = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 3))
    for chip, digital in ((model[0], twin[0]), (model[2], twin[2])):
        digital.load_state_dict({"weight": chip.weight.detach(), "bias": chip.bias.detach()})
    optimizer = OPTIMISERS[name](twin.parameters())
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        x, y = torch.rand(16, 9, generator=generator), torch.rand(16, 3, generator=generator)
        for net, step in ((model, updater.step), (twin, optimizer.step)):
            for parameter in net.parameters():
                parameter.grad = None
            (net(x) - y).square().mean().backward()
            step()
    digital_weights = torch.cat([twin[0].weight.flatten(), twin[2].weight.flatten()])
    moved = np.abs(chip_weights(layers) - start).max()
    assert moved > 0.02
    np.testing.assert_allclose(
        chip_weights(layers), digital_weights.detach().numpy(), atol=0.02 * moved
    )


@settings(max_examples=25)
@given(
    threshold=st.floats(0.05, 0.6),
    remainder=st.sampled_from(["keep", "discard"]),
    seed=st.integers(0, 99),
)
def test_nothing_ever_leaves_its_range(threshold: float, remainder: Any, seed: int) -> None:
    updater, _, writer, layers = build(sgd, threshold, remainder)
    limits = np.concatenate([np.full(la.weight.numel(), la.scale * WINDOW.span) for la in layers])
    rng = np.random.default_rng(seed)
    for _ in range(8):
        push(layers, rng.normal(size=updater.size) * limits)
        update = updater.step()
        assert update.weights <= update.devices <= 2 * update.weights
        assert (np.abs(chip_weights(layers)) <= limits * (1 + 1e-6)).all()
        # an accumulator above the threshold would have been written; on the wrong side of its
        # range it can only wait for the gradient to turn
        assert (np.abs(updater.accumulated) <= threshold * limits * (1 + 1e-6)).all()
    for cells, target in writer.log:
        assert len(np.unique(cells)) == len(cells)
        assert (target >= WINDOW.low).all()
        assert (target <= WINDOW.high).all()


def test_state_goes_out_and_in_unchanged() -> None:
    updater, _, _, layers = build(sgd)
    push(layers, np.full(updater.size, 0.05))
    updater.step()
    arrays = copy.deepcopy(updater.arrays())
    other, _, _, other_layers = build(sgd)
    other.restore(arrays)
    for name, array in other.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    np.testing.assert_array_equal(chip_weights(other_layers), chip_weights(layers))


def test_the_writer_sorts_cells_and_gives_back_the_callers_order() -> None:
    array = IdealArray()
    plan = Blind(v_set=1.0, v_reset=1.0, step_set=STEP, step_reset=STEP)
    writer = Writer(array, plan, "readback", 1)
    cells = np.array([70, 3, 512])
    believed = array.current[cells]
    target = believed + STEP * np.array([5, -7, 2])
    written = writer.write(cells, believed, target)
    np.testing.assert_allclose(array.current[cells], target, atol=1e-12)
    np.testing.assert_allclose(written.current, target, atol=1e-12)
    assert written.pulses == 14


def test_blind_and_ideal_believe_the_nominal_steps() -> None:
    array = IdealArray()
    plan = Blind(v_set=1.0, v_reset=1.0, step_set=2 * STEP, step_reset=STEP, count_max=3)
    writer = Writer(array, plan, "ideal", 1)
    cells = np.array([9, 4])
    believed = array.current[cells]
    written = writer.write(cells, believed, believed + STEP * np.array([4, -50]))
    np.testing.assert_allclose(written.current - believed, STEP * np.array([4.0, -3.0]))
