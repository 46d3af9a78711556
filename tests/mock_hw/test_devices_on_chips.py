"""Every device model on a chip: pulses, rests, programming, state files."""

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.board import Chip, warm_up
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import MODELS, device, write_device
from cimlab.mock_hw.instruments.dut import Dut, dut
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.mock_hw.state import StateFile, state_layout
from cimlab.protocols import Ispp, program
from cimlab.rig import open_array
from tests.mock_hw.devices import HOUR, make

SIZE = {"tiles": 2, "rows": 12, "cols": 10}
CELLS = 240


def chip(name, seed=0, stuck=0.05):
    return SimulatedHal(make(name), seed=seed, imperfections=Imperfections(stuck=stuck), **SIZE)


@pytest.mark.parametrize("name", sorted(MODELS))
class TestEveryModel:
    def test_cutting_a_call_into_parts_changes_no_bit(self, name):
        """Pulses, rests and reads of a chip: whole, or part by part in any order."""
        whole, parts = chip(name), chip(name)
        rng = np.random.default_rng(0)
        v = rng.choice([-2.2, 2.0], CELLS)
        counts = rng.integers(1, 5, CELLS)
        HalArray(whole).pulse(v, 1e-6, counts, np.arange(CELLS))
        for some in np.array_split(rng.permutation(CELLS), 7):
            some = np.sort(some)
            HalArray(parts).pulse(v[some], 1e-6, counts[some], some)
        np.testing.assert_array_equal(whole.conductances, parts.conductances)

    def test_programming_brings_cells_to_their_targets(self, name):
        """Whatever the model: the job compiled for it, or the protocol with one verb a round."""
        hal = chip(name, stuck=0.0)
        array = HalArray(hal)
        jobs = {word for word in array.spec.capabilities if word.startswith("job:")}
        assert bool(jobs) == (name == "brram")
        target = np.linspace(1.0e-6, 2.2e-6, CELLS)
        plan = Ispp(tol=0.2e-6, averages=16, max_reversals=30)
        for _ in range(3):
            done = program(array, plan, np.arange(CELLS), target)
        # soft bounds of the preset have noise of four steps a pulse, and need trains of hundreds
        assert done.converged.mean() > (0.05 if name == "softbounds" else 0.75)
        hit = done.converged
        error = hal.conductances.reshape(-1)[hit] * 0.1 - target[hit]
        assert np.abs(error).mean() < 0.2e-6

    def test_a_chip_kept_in_a_file_goes_on_as_if_nothing_happened(self, name, tmp_path):
        plan = Chip(make(name), seed=3, **SIZE)

        def live(hal, first):
            array = HalArray(hal)
            array.pulse(2.0 if first else -2.0, 1e-6, 3)
            hal.relax(10.0 if first else 1000.0)
            array.pulse(1.2, 1e-6)

        through = plan.hal()
        live(through, True)
        live(through, False)
        layout = state_layout(**SIZE)
        for first in (True, False):
            kept = StateFile(tmp_path / "chip.state", plan.settings(), layout)
            hal = plan.hal(kept.arrays)
            live(hal, first)
            kept.close()
        np.testing.assert_array_equal(hal.conductances, through.conductances)
        other = Chip(make(name, g_max=50e-6), seed=3, **SIZE)
        with pytest.raises(ConfigError, match="g_max"):
            StateFile(tmp_path / "chip.state", other.settings(), layout)

    def test_it_warms_up_and_sits_between_probes(self, name):
        warm_up(make(name))
        bench = Dut(make(name), 2, 3, seed=1)
        before = bench.conductances
        v = np.zeros((2, 3))
        v[0, 1] = -2.5
        bench.pulse(-v, 1e-6, 3)
        bench.pulse(v, 1e-6, 1)
        assert (bench.conductances != before).sum() <= 1


def test_drift_on_a_chip_restarts_with_a_pulse_and_stuck_cells_stay():
    hal = chip("pcm")
    array = HalArray(hal)
    stuck = hal.conductances.copy()
    array.pulse(1.5, 1e-6, 10)
    moving = hal.conductances != stuck
    # the array's first row is pulsed once more after an hour
    hal.relax(HOUR)
    row = np.arange(10)
    array.pulse(1.5, 1e-6, 1, row)
    before = hal.conductances.copy()
    hal.relax(100.0)
    left = (hal.conductances / before).reshape(-1)
    young = moving.reshape(-1) & (np.arange(CELLS) < 10)
    old = moving.reshape(-1) & (np.arange(CELLS) >= 10)
    # (101)^-0.05 = 0.794 and (3701 / 3601)^-0.05 = 0.9986, by the spread of nu
    assert left[young].mean() == pytest.approx(0.794, abs=0.05)
    assert left[old].mean() == pytest.approx(0.9986, abs=0.0005)
    np.testing.assert_array_equal(hal.conductances[~moving], stuck[~moving])


def test_a_device_by_file_is_the_device(tmp_path):
    (tmp_path / "d.toml").write_text('model = "exponential:epiram"\ng_max = 3e-5\n')
    chips = [
        SimulatedHal(model, seed=5, **SIZE)
        for model in (device(str(tmp_path / "d.toml")), device("exponential:epiram", g_max=3e-5))
    ]
    for hal in chips:
        HalArray(hal).pulse(2.0, 1e-6, 7)
    np.testing.assert_array_equal(chips[0].conductances, chips[1].conductances)


def test_a_station_and_a_board_of_a_device_file_are_the_same_chip(tmp_path):
    """`model:device.toml` here, `mock:device.toml` in a process of its own, bit for bit."""
    file = tmp_path / "d.toml"
    write_device(file, make("replay"))
    seen = []
    for scheme in ("model", "mock"):
        with open_array(f"{scheme}:{file}?tiles=1&rows=8&cols=8&seed=4") as array:
            assert "replay" in array.spec.identity
            cells = np.arange(64)
            program(array, Ispp(), cells, np.linspace(1e-6, 3e-6, 64))
            array.pulse(-2.0, 1e-6, 2, cells)
            seen.append(array.read(0.1).current)
    np.testing.assert_array_equal(*seen)


@pytest.mark.parametrize("text", ["{}", "crossbar:2x3:{}", "crossbar:2x3:exponential:pcmo"])
def test_devices_under_test_are_named_the_same_way(text, tmp_path):
    write_device(tmp_path / "d.toml", device("exponential:pcmo"))
    under = dut(text.format(tmp_path / "d.toml"))
    assert under.model == device("exponential:pcmo")
    assert under.shape == ((2, 3) if text.startswith("crossbar") else (1, 1))
