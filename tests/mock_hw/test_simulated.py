"""The simulated chip: reads, pulses, stuck cells and a state that survives."""

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.mock_hw.state import state_layout

SIZE = {"tiles": 2, "rows": 32, "cols": 32}


def chip(seed=0, **settings):
    return SimulatedHal(device("brram"), seed=seed, **(SIZE | settings))


def test_read_noise_is_the_papers():
    """sigma 0.155 uA and mean 0 (PAPER 2), through a chip's own converters."""
    hal = chip(imperfections=Imperfections(adc_gain=0.0, adc_offset=0.0))
    array = HalArray(hal)
    readings = np.stack([array.read(0.1).current for _ in range(50)])
    error = readings - hal.conductances * 0.1
    assert abs(error.std() - 0.155e-6) < 0.002e-6
    assert abs(error.mean()) < 0.002e-6


def test_averages_lower_the_noise():
    hal = chip(imperfections=Imperfections(adc_gain=0.0, adc_offset=0.0))
    array = HalArray(hal)
    error = array.read(0.1, averages=25).current - hal.conductances * 0.1
    assert abs(error.std() - 0.155e-6 / 5) < 0.003e-6


def test_reading_all_equals_reading_in_parts():
    whole = HalArray(chip()).read(0.1).current.reshape(-1)
    array = HalArray(chip())
    cells = np.random.default_rng(0).permutation(2048)
    parts = [np.sort(part) for part in np.array_split(cells, 7)]
    for part in parts:
        np.testing.assert_array_equal(array.read(0.1, part).current, whole[part])


def test_many_pulses_at_once_equal_the_same_pulses_one_by_one():
    cells = np.arange(0, 2048, 3)
    counts = np.random.default_rng(0).integers(0, 6, cells.size)
    v = np.where(np.random.default_rng(1).random(cells.size) < 0.5, 2.0, -2.2)
    once, many = chip(), chip()
    HalArray(once).pulse(v, 1e-6, counts, cells)
    array = HalArray(many)
    for k in range(6):
        array.pulse(v, 1e-6, (counts > k).astype(int), cells)
    np.testing.assert_array_equal(once.conductances, many.conductances)
    np.testing.assert_array_equal(once.state["pulses"][cells], counts)


def test_set_raises_and_reset_lowers_and_zero_leaves_alone():
    hal = chip(imperfections=Imperfections(stuck=0.0))
    array = HalArray(hal)
    array.pulse(-2.8, 1e-6, 5)
    low = hal.conductances.copy()
    v = np.zeros(array.spec.shape)
    v[0] = 2.5
    array.pulse(v, 1e-6)
    assert (hal.conductances[0] > low[0]).all()
    np.testing.assert_array_equal(hal.conductances[1], low[1])
    v[0] = -2.5
    before = hal.conductances.copy()
    array.pulse(v, 1e-6)
    assert (hal.conductances[0] < before[0]).all()


def test_stuck_cells_do_not_move_and_are_as_many_as_said():
    hal = chip(tiles=8, imperfections=Imperfections(stuck=0.05))
    array = HalArray(hal)
    start = hal.conductances.copy()
    array.pulse(-2.5, 1e-6, 3)
    array.pulse(2.0, 1e-6)
    stuck = hal.conductances == start
    n = stuck.size
    assert abs(stuck.mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)
    g = start[stuck]
    model = device("brram")
    assert set(np.unique(g)) == {np.float32(model.g_min), np.float32(model.g_max)}


def test_a_chip_put_together_again_on_its_state_goes_on_as_if_nothing_happened():
    layout = state_layout(**SIZE)
    kept = {name: np.zeros(shape, kind) for name, (kind, shape) in layout.items()}
    one, two = chip(4), chip(4, state=kept)
    for hal in (one, two):
        HalArray(hal).pulse(2.0, 1e-6, 2)
        HalArray(hal).read(0.1)
    again = chip(4, state={name: array.copy() for name, array in kept.items()})
    a, b = HalArray(one), HalArray(again)
    for array in (a, b):
        array.pulse(-1.8, 1e-6)
    np.testing.assert_array_equal(a.read(0.1).current, b.read(0.1).current)
    v = np.full((2, 5, 32), 0.05, np.float32)
    np.testing.assert_array_equal(a.vmm(v).current, b.vmm(v).current)


@pytest.mark.parametrize("name", ["brram", "softbounds"])
def test_seeds_make_different_chips_and_the_same_seed_the_same(name):
    def pulsed(seed):
        hal = SimulatedHal(device(name), seed=seed, **SIZE)
        HalArray(hal).pulse(2.0, 1e-6)
        return hal.conductances

    np.testing.assert_array_equal(pulsed(1), pulsed(1))
    assert (pulsed(1) != pulsed(2)).mean() > 0.9


def test_resting_moves_low_cells_up_and_keeps_stuck_cells():
    hal = chip(imperfections=Imperfections(stuck=0.05))
    array = HalArray(hal)
    array.pulse(-3.0, 1e-6, 5)
    before = hal.conductances.copy()
    hal.relax(24 * 3600.0)
    first = hal.conductances.copy()
    hal.relax(24 * 3600.0)
    steps = (first - before).ravel(), (hal.conductances - first).ravel()
    assert np.median(steps[0]) > 0
    # a second day draws its own diffusion
    moved = steps[0] != 0
    assert abs(np.corrcoef(steps[0][moved], steps[1][moved])[0, 1]) < 0.9
    assert (~moved).sum() > 0
