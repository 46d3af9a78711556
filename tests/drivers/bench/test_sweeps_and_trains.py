"""Sweeps and trains on a bench: one upload and one read-back a cell, under compliance."""

from __future__ import annotations

import numpy as np
import pytest

from cimlab.core.errors import CapabilityError, InstrumentError, LimitError
from cimlab.drivers.bench import SmuPulses, open_bench
from cimlab.drivers.instruments import Samples
from cimlab.mock_hw.instruments import dut, serve
from cimlab.mock_hw.instruments.station import bench_table
from tests.drivers.bench.tables import COLS, ROWS, table

V = 0.1
CELL = np.array([0])


class Counted:
    """A link that counts the messages that pass, either way."""

    def __init__(self, link):
        self._link, self.sent, self.got, self.patience = link, [], 0, 0.0

    def write(self, message):
        self.sent.append(message)
        self._link.write(message)

    def read(self):
        self.got += 1
        return self._link.read()

    def clear(self):
        self._link.clear()

    def close(self):
        self._link.close()


@pytest.fixture(params=["keithley2400", "keithley2450", "keithley2636b"])
def one_cell(request):
    """An SMU alone on one cell: the device, the array, and its line."""
    device = dut("brram", seed=1)
    with (
        serve([request.param], device) as server,
        open_bench(table(server, smu=request.param, pulser=None)) as array,
    ):
        link = array._smu._link = Counted(array._smu._link)
        yield device, array, link


def test_a_thousand_pulses_of_a_train_are_one_upload_and_one_read_back(one_cell):
    device, array, link = one_cell
    assert {"sweep", "train"} <= array.spec.capabilities
    up, down = np.full(500, 1.3), np.full(500, -1.5)
    start = device.conductances[0, 0]
    trace = array.train(np.concatenate([up, down]), 1e-3, V, CELL)
    assert trace.current.shape == trace.saturated.shape == (1000, 1)
    assert device.pulses.tolist() == [[1000]]
    assert not trace.saturated.any()
    g = trace.current[:, 0] / V
    assert g[:500].max() > start + 5e-6
    assert g[-1] < g[499] - 5e-6
    assert abs(g[-1] - device.conductances[0, 0]) < 5 * device.model.sigma_read
    # what was asked: the readings, how long they take, whether it is over and went well
    assert link.got <= 8
    # 2,000 levels, a hundred or fewer a line
    assert len(link.sent) < 60


@pytest.mark.parametrize(
    ("names", "width", "can"),
    [
        (["keithley4200"], 1e-6, {"sweep", "train"}),
        (["keysightb1500"], 1e-6, {"sweep"}),
        (["keithley2450", "keysight33522b"], 1e-6, {"sweep"}),
        (["keithley2636b", "keithley3706a"], 1e-3, {"sweep", "train"}),
    ],
)
def test_every_pair_of_meter_and_pulser_is_a_bench(names, width, can):
    device = dut("brram", seed=1)
    with serve(names, device) as server, open_bench(bench_table(server)) as array:
        assert array.spec.capabilities == can
        array.pulse(-2.8, width, 20)
        low = array.read(V, averages=20)
        assert low.g == pytest.approx(device.conductances[None], abs=2e-6)
        trace = array.sweep(np.array([0.1, 0.2, -0.2]), 1e-4, 0.0, CELL)
        assert trace.current[:, 0] == pytest.approx(low.g.ravel() * [0.1, 0.2, -0.2], abs=1.5e-6)
        if "train" in can:
            trace = array.train(np.full(100, 2.4), width, V, CELL, averages=2)
            assert trace.current.shape == (100, 1)
            assert device.pulses.tolist() == [[120]]
            assert trace.current[-1, 0] / V == pytest.approx(device.conductances[0, 0], abs=6e-6)
            assert trace.current[-1, 0] > 2 * low.current.max()


def test_averages_of_a_train_are_averages(one_cell):
    device, array, _ = one_cell
    still = np.zeros(200)
    one, many = (array.train(still, 1e-3, V, CELL, averages=n).current.std() for n in (1, 9))
    assert device.pulses.sum() == 0
    assert one == pytest.approx(V * device.model.sigma_read, rel=0.25)
    assert many == pytest.approx(one / 3, rel=0.35)


def test_each_pulse_of_a_train_may_have_its_width(one_cell):
    _, array, link = one_cell
    trace = array.train(np.full(15, 1.0), np.repeat([1e-3, 2e-3, 4e-3], 5), V, CELL)
    assert trace.current.shape == (15, 1)
    assert link.got <= 3 * 8


def test_a_sweep_measures_the_current_of_every_level(one_cell):
    device, array, link = one_cell
    g = device.conductances[0, 0]
    v = np.concatenate([np.linspace(0, 0.3, 101), np.linspace(0.3, -0.3, 201)])
    trace = array.sweep(v, 1e-4, 0.0, CELL)
    assert trace.current.shape == (302, 1)
    noise = device.model.sigma_read * np.abs(v)
    assert np.all(np.abs(trace.current[:, 0] - g * v) < 5 * noise + 1e-9)
    assert device.pulses.sum() == 0
    assert link.got <= 8


def test_a_sweep_runs_under_its_compliance(one_cell):
    device, array, _ = one_cell
    i_comp = device.conductances[0, 0] * 0.1
    trace = array.sweep(np.array([0.05, 0.2, 0.3, 0.05]), i_comp, 0.0, CELL)
    assert trace.saturated[:, 0].tolist() == [False, True, True, False]
    assert trace.current[1:3, 0] == pytest.approx(i_comp, rel=1e-3)


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda a: a.sweep(np.array([0.1, 3.4]), 1e-4, 0.0, CELL),
        lambda a: a.sweep(np.array([0.1, np.nan]), 1e-4, 0.0, CELL),
        lambda a: a.train(np.array([0.1, -3.4]), 1e-3, V, CELL),
        lambda a: a.train(np.array([0.1, 1.0]), 1e-4, V, CELL),
        lambda a: a.train(np.array([0.1, 1.0]), 1e-3, 0.4, CELL),
    ],
)
def test_what_is_beyond_the_limits_is_not_sent(one_cell, forbidden):
    device, array, link = one_cell
    with pytest.raises(LimitError):
        forbidden(array)
    assert link.sent == []
    assert device.pulses.sum() == 0


def test_a_crossbar_is_swept_cell_after_cell():
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    with (
        serve(["keithley2450", "keysight81160a", "keysightb2200"], device) as server,
        open_bench(table(server, matrix="keysightb2200")) as array,
    ):
        cells = np.array([1, 6, 11])
        v = np.array([0.1, 0.2, -0.2])
        trace = array.sweep(v, 1e-4, 0.0, cells)
        exact = v[:, None] * device.conductances.ravel()[cells]
        noise = 5 * device.model.sigma_read * np.abs(v[:, None])
        assert np.all(np.abs(trace.current - exact) < noise + 1e-9)
        assert trace.cells is cells
        assert array.sweep(v, 1e-4, 0.0, np.array([], np.int64)).current.shape == (3, 0)
        # pulses come from a generator that has no meter
        assert array.spec.capabilities == {"sweep"}
        with pytest.raises(CapabilityError, match="train"):
            array.train(v, 1e-3, V, cells)


class Felt:
    """Remembers the voltages across every cell in every pulse that the device felt."""

    def __init__(self, device):
        self._pulse, self.volts = device.pulse, []
        device.pulse = self

    def __call__(self, v, width, count=1):
        self.volts.append(v.copy())
        self._pulse(v, width, count)


WITH_BIAS = ["keithley2450", "keysight81160a", "keysightb2200", "keithley2400:bias"]


@pytest.mark.parametrize("pulser", ["keysight81160a", None])
def test_with_a_bias_half_selected_cells_feel_half_the_voltage(pulser):
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    wiring = {"bias": 4, "bad_cols": [4]}
    with serve(WITH_BIAS, device) as server:
        half = table(server, pulser=pulser, matrix="keysightb2200", bias=True, wiring=wiring)
        with open_bench(half) as array:
            assert "train" not in array.spec.capabilities
            felt = Felt(device)
            v = 2.0
            array.pulse(v, 1e-3, 3, cells=np.array([COLS + 2]))  # row 1, column 2
            most = np.abs(np.array(felt.volts)).max(axis=0)
            expected = np.zeros((ROWS, COLS))
            expected[1, :] = expected[:, 2] = v / 2
            expected[1, 2] = v
            expected[:, 3] = 0.0  # a bad line floats
            # the generator's 50 ohm take a share
            assert most == pytest.approx(expected, abs=0.02)
            assert not server.emulators["keithley2400:bias"]._smu.on
            assert array.read(V, averages=10).g[0, 0, 0] == pytest.approx(
                device.conductances[0, 0], abs=2e-6
            )


def test_a_bias_that_cannot_hold_the_lines_pulses_nothing():
    device = dut(f"crossbar:{ROWS}x{COLS}:resistor:100", seed=3)
    with serve(WITH_BIAS, device) as server:
        half = table(server, matrix="keysightb2200", bias=True, wiring={"bias": 4})
        with open_bench(half) as array:
            felt = Felt(device)
            with pytest.raises(InstrumentError, match="cannot hold"):
                array.pulse(2.0, 1e-6, cells=CELL)
            assert felt.volts == []


class Lists:
    """An SMU that remembers what it was to sweep."""

    def __init__(self):
        self.lists = []

    def sweep(self, v, i_comp, dwell=0.0):
        self.lists.append((v, dwell))
        return Samples(v, v * 1e-5, np.zeros(v.size, np.bool_))


def test_trains_longer_than_a_list_are_cut():
    smu = Lists()
    v = np.arange(1, 2001) / 1000
    width = np.where(np.arange(2000) < 1500, 1e-3, 2e-3)
    samples = SmuPulses(smu, 1e-4).train(v, width, V, averages=2)
    assert samples.i == pytest.approx(np.full(4000, V * 1e-5))
    assert [(levels.size, dwell) for levels, dwell in smu.lists] == [
        (2499, 1e-3),
        (2001, 1e-3),
        (1500, 2e-3),
    ]
    assert np.concatenate([levels[::3] for levels, _ in smu.lists]) == pytest.approx(v)
