"""What large networks add: augmentation, schedules, quantisation, hardware files."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cimlab.core.errors import ConfigError
from cimlab.nn import quantise
from cimlab.rig import open_array
from cimlab.training.batches import CROP, Ahead, Batches, augmented
from cimlab.training.data import Images
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.hardware import load_hardware
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe, large


def colours(train: int = 96, test: int = 20, side: int = 32) -> Images:
    """Ten classes of coloured noise, easily told apart."""
    rng = np.random.default_rng(0)
    means = rng.integers(0, 200, (10, 3, 1, 1))

    def some(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(n, dtype=np.uint8) % 10
        images = means[labels] + rng.integers(0, 56, (n, 3, side, side))
        return images.astype(np.uint8), labels

    return Images(*some(train), *some(test))


@given(st.integers(0, 8), st.integers(0, 8), st.booleans())
def test_an_augmented_image_is_the_shifted_one(down: int, right: int, mirrored: bool) -> None:
    image = torch.arange(3 * 6 * 5).view(1, 3, 6, 5).to(torch.uint8)
    out = augmented(image, torch.tensor([[down], [right]]), torch.tensor([mirrored]))
    framed = np.pad(image[0].numpy(), ((0, 0), (CROP, CROP), (CROP, CROP)))
    crop = framed[:, down : down + 6, right : right + 5]
    assert np.array_equal(out[0].numpy(), crop[:, :, ::-1] if mirrored else crop)


def test_augmented_batches_go_on_where_they_stopped() -> None:
    batches = Batches(colours(), 3, 6, 16, augment=True)
    whole = list(batches.epoch(1))
    for (a, la), (b, lb) in zip(whole[4:], batches.epoch(1, 4), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(la, lb)
    plain = next(Batches(colours(), 3, 6, 16).epoch(1))
    assert torch.equal(plain[1], whole[0][1])
    assert not torch.equal(plain[0], whole[0][0])


def test_a_batch_that_was_made_ahead_comes_when_it_is_wanted() -> None:
    batches = Batches(colours(), 3, 6, 16)
    ahead, seen = Ahead(batches.epoch(1)), []
    for number, (images, _) in enumerate(ahead):
        seen.append(images)
        for _ in range(number % 3):
            ahead.make()
    assert len(seen) == 6
    assert all(torch.equal(a, b) for a, (b, _) in zip(seen, batches.epoch(1), strict=True))


def test_schedules() -> None:
    rates = [Recipe(schedule="onecycle", epochs=10, batches=10).lr_at(k) for k in range(100)]
    assert np.argmax(rates) == 30
    assert (np.diff(rates[:30]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
    assert rates[30] == pytest.approx(0.004)
    plateau = Recipe(schedule="plateau")
    assert plateau.lr_at(0) == plateau.lr_at(0, [3, 2, 1, 0.9, 1, 1, 1, 1]) == plateau.lr
    assert plateau.lr_at(0, [3, 2, 2, 2, 2, 2, 2]) == plateau.lr / 2
    assert plateau.lr_at(0, [1.0] * 11) == plateau.lr / 4


@given(st.floats(-2, 2), st.integers(2, 40))
def test_quantised_weights_are_levels_and_gradients_pass(weight: float, levels: int) -> None:
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[0.5, 0.1]])
    quantise(nn.Sequential(layer), levels, headroom=2.0)
    original = layer.parametrizations["weight"].original
    with torch.no_grad():
        original[0, 1] = weight
    rounded = layer.weight[0, 1]
    level = float(rounded.detach()) * (levels - 1)
    assert level == pytest.approx(round(level), abs=1e-4)
    assert abs(float(rounded.detach()) - np.clip(weight, -1, 1)) <= 0.5 / (levels - 1) + 1e-6
    rounded.backward()
    if abs(weight) != 1:
        assert float(original.grad[0, 1]) == (abs(weight) < 1)


def test_hardware_of_table_1_is_what_the_paper_says() -> None:
    hardware = load_hardware("table1")
    with open_array(hardware.station(2)) as array:
        assert array.spec.shape == (2, 256, 64)
        assert array.converters.i_vmm == (70e-6, 70e-6)
        zero = array.vmm(np.zeros((2, 4000, 256), np.float32)).current
    # offset of the converters apart, and clipped at 0: the upper half of a Gaussian tells sigma
    level = 70e-6 / 255
    share = (zero > 3.5 * level).mean()
    sigma = 0.549e-6 / level
    wanted = np.mean(
        [
            0.5 * math.erfc((3.5 - offset) / sigma / math.sqrt(2))
            for offset in np.random.default_rng(0).normal(0, 0.5, 4000)
        ]
    )
    assert share == pytest.approx(wanted, rel=0.2)
    recipe = Recipe(**large("vgg8", **hardware.recipe))
    assert (recipe.low, recipe.high, recipe.ranges) == (1e-6, 7e-6, "fit")


def test_a_hardware_file_that_is_wrong_is_refused(tmp_path) -> None:
    for text, message in (
        ('connect = "tcp://somewhere:1"', "model: or mock:"),
        ('connect = "model:"\nrows = 3', "rows"),
        ("connect = ", "hardware file"),
    ):
        (tmp_path / "h.toml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_hardware(str(tmp_path / "h.toml"))
    with pytest.raises(ConfigError, match="table2"):
        load_hardware("table2")


def test_quantisation_aware_training_learns_without_an_array() -> None:
    settings = {"epochs": 1, "batches": 16, "batch_size": 16, "schedule": "onecycle"}
    run = Training(Recipe(**large("vgg8", mode="qat", **settings)), None, colours())
    events = list(run.events())
    losses = [e.loss for e in events if isinstance(e, StepDone)]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert isinstance(events[-1], EpochDone)
    weight = run.model.get_submodule("0").weight.detach()
    assert len(weight.unique()) <= 31


def test_a_network_refuses_images_of_another_size() -> None:
    with pytest.raises(ConfigError, match="takes images"):
        Training(Recipe(mode="fp32"), None, colours())


def test_a_resumed_quantised_run_is_the_uninterrupted_one() -> None:
    recipe = Recipe(**large("vgg8", mode="qat", epochs=1, batches=4, batch_size=8))
    first = Training(recipe, None, colours())
    events = first.events()
    for _ in range(2):
        next(events)
    state = first.state()
    rest = [e.loss for e in events if isinstance(e, StepDone)]
    second = Training(recipe, None, colours())
    second.restore(*state)
    assert [e.loss for e in second.events() if isinstance(e, StepDone)] == rest
