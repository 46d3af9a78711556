"""The analog tile: its products are the array's, and it learns."""

import pytest
import torch

import cimlab
from cimlab.interfaces.tile import AnalogTile
from cimlab.training.updater import Trigger


@pytest.fixture
def array():
    with cimlab.open("model:?tiles=2&rows=16&cols=16&seed=1") as opened:
        yield opened


@pytest.fixture
def tile(array):
    return AnalogTile(array, 6, 10)


def test_products_are_those_of_the_weights(tile):
    generator = torch.Generator().manual_seed(0)
    tile.set_weights(2 * torch.rand(6, 10, generator=generator) - 1)
    weights, bias = tile.get_weights()
    assert bias is None
    x = torch.randn(400, 10, generator=generator)
    tile.calibrate(x)
    error = tile.forward(x) - x @ weights.T
    # read noise, and 8 bits of converters; a product is 1.8 large
    assert 0 < error.std() < 0.35
    d = torch.randn(3, 6, generator=generator)
    torch.testing.assert_close(tile.backward(d), d @ weights)


def test_a_matrix_larger_than_a_tile_takes_two(array):
    tile = AnalogTile(array, 8, 20)
    assert tile.layer.placement.cut.tiles == 2
    assert tile.forward(torch.ones(5, 20)).shape == (5, 8)


def test_an_update_is_written_once_it_is_worth_it(array):
    tile = AnalogTile(array, 2, 3, trigger=Trigger(0.5, "keep"))
    tile.set_weights(torch.zeros(2, 3))
    tile.set_learning_rate(0.1)
    before, written = tile.get_weights()[0], tile.written
    x, d = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, -2.0]])
    for _ in range(2):
        tile.update(x, d)
    assert tile.written == written  # 0.4 is wanted, less than half of the range
    tile.update(x, d)
    assert (tile.written.weights - written.weights) == 1
    moved = tile.get_weights()[0] - before
    assert moved[1, 0] == pytest.approx(0.5, abs=0.3)
    moved[1, 0] = 0
    assert not moved.any()


def test_it_learns_a_matrix_by_delta_rule(tile):
    generator = torch.Generator().manual_seed(3)
    wanted = 1.2 * torch.rand(6, 10, generator=generator) - 0.6
    tile.set_weights(torch.zeros(6, 10))
    tile.set_learning_rate(0.01)
    distance = [(tile.get_weights()[0] - wanted).norm()]
    for _ in range(60):
        x = torch.randn(20, 10, generator=generator)
        tile.update(x, tile.forward(x) - x @ wanted.T)
    distance.append((tile.get_weights()[0] - wanted).norm())
    assert distance[1] < 0.5 * distance[0]
