"""An array made of instruments, on emulators: one cell, and a crossbar behind a matrix."""

import numpy as np
import pytest

from cimlab.core.array import CimArray, Converters, Limits, Window
from cimlab.core.clock import RealClock
from cimlab.core.errors import (
    CapabilityError,
    ConfigError,
    InstrumentError,
    LimitError,
)
from cimlab.core.guard import Guarded
from cimlab.drivers.bench import BenchArray, Wiring, open_bench
from cimlab.mock_hw.instruments import dut, serve
from cimlab.mock_hw.instruments.station import bench_table
from tests.drivers.bench.tables import COLS, ROWS, table

V = 0.1


@pytest.fixture
def crossbar():
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    with serve(["keithley2450", "keysight81160a", "keysightb2200"], device) as server:
        yield device, server


@pytest.fixture
def array(crossbar):
    with open_bench(table(crossbar[1], matrix="keysightb2200")) as opened:
        yield Guarded(opened, Limits())


def true(device):
    """Conductances as the seam shapes them."""
    return device.conductances[None]


def test_it_says_what_it_is(array):
    spec = array.spec
    assert spec.shape == (1, ROWS, COLS)
    assert (spec.vmm, spec.origin) == ("emulated", "emulated")
    assert all(model in spec.identity for model in ("2450", "81160A", "B2200A"))


def test_reading_every_cell_finds_every_conductance(array, crossbar):
    device, _ = crossbar
    before = true(device)
    reading = array.read(V, averages=20)
    sigma = device.model.sigma_read / np.sqrt(20)
    assert np.all(np.abs(reading.g - before) < 5 * sigma)
    assert not reading.saturated.any()
    assert np.array_equal(true(device), before)
    some = np.array([2, 7, 11])
    part = array.read(V, some, averages=20)
    assert part.current.shape == (3,)
    assert np.all(np.abs(part.g - before.ravel()[some]) < 5 * sigma)


def test_pulses_reach_exactly_the_cells_that_were_named(array, crossbar):
    device, _ = crossbar
    before = true(device)
    v = np.zeros((1, ROWS, COLS))
    v[0, 0, 1], v[0, 2, 3] = -2.8, 2.2
    count = np.ones((1, ROWS, COLS), np.int64)
    count[0, 0, 1] = 5
    array.pulse(v, 1e-6, count)
    moved = true(device) - before
    assert moved[0, 0, 1] < -5e-6
    assert moved[0, 2, 3] > 0
    assert np.count_nonzero(moved) == 2
    assert device.pulses.tolist() == [[0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    reading = array.pulse_and_read(2.5, 1e-6, V, np.array([1]), 3, averages=20)
    assert device.pulses[0, 1] == 8
    assert reading.g == pytest.approx(true(device).ravel()[[1]], abs=2e-6)


def test_the_compliance_is_where_a_reading_saturates(array):
    array.configure(Converters(V, 0.0, 1e-9, (1e-4,)))
    reading = array.read(V)
    assert reading.saturated.all()
    assert reading.current == pytest.approx(np.full((1, ROWS, COLS), 1e-9), rel=1e-6)
    with pytest.raises(CapabilityError, match="v_gate"):
        array.configure(Converters(V, 1.0, 1e-9, (1e-4,)))


def test_products_are_sums_of_what_was_read(array, crossbar):
    device, _ = crossbar
    x = np.random.default_rng(0).uniform(0, V, (1, 5, ROWS))
    product = array.vmm(x)
    exact = x @ true(device)
    noise = device.model.sigma_read * np.sqrt((x**2).sum(-1)).max()
    assert product.current.shape == (1, 5, COLS)
    assert np.all(np.abs(product.current - exact) < 5 * noise)
    assert not product.saturated.any()
    window = Window((0,), (1, 3), (2, 4))
    part = array.vmm(x[:, :, 1:3], window)
    assert np.all(np.abs(part.current - x[:, :, 1:3] @ true(device)[:, 1:3, 2:4]) < 5 * noise)


def test_lines_that_are_marked_bad_are_never_driven(crossbar):
    device, server = crossbar
    marked = table(server, matrix="keysightb2200", wiring={"bad_rows": [2], "bad_cols": [1]})
    with open_bench(marked) as array:
        reading = array.read(V)
        bad = np.isnan(reading.current[0])
        assert bad[1].all() and bad[:, 0].all() and bad.sum() == COLS + ROWS - 1
        with pytest.raises(LimitError, match=r"\[4\]"):
            array.pulse(1.0, 1e-6, cells=np.array([3, 4]))
        assert np.isfinite(array.vmm(np.full((1, 1, ROWS), V)).current).all()
    assert device.pulses.sum() == 0


@pytest.mark.parametrize("smu", ["keithley2400", "keithley2450"])
@pytest.mark.parametrize("pulser", ["keysight81160a", "keysight33522b", None])
def test_one_cell_without_a_matrix(smu, pulser):
    device = dut("brram", seed=1)
    names = [name for name in (smu, pulser) if name]
    with serve(names, device) as server, open_bench(table(server, smu, pulser)) as array:
        before = device.conductances[0, 0]
        assert array.spec.shape == (1, 1, 1)
        array.pulse(-2.5, 2e-3, 5)
        assert device.pulses[0, 0] >= 5
        assert device.conductances[0, 0] < before
        reading = array.read(V, averages=20)
        assert reading.g == pytest.approx(device.conductances[None], abs=2e-6)


def test_a_thousand_pulses_are_one_burst():
    device = dut("brram", seed=1)
    names = ["keithley2450", "keysight81160a"]
    with serve(names, device) as server, open_bench(table(server)) as array:
        sent = []
        link = array._pulser._link
        write = link.write
        link.write = lambda message: (sent.append(message), write(message))
        array.pulse(1.2, 1e-6, 1000)
    assert device.pulses.tolist() == [[1000]]
    assert sent.count("*TRG") == 1
    assert len(sent) < 25


def assert_idle(array, server_bench):
    """Sources off, every line at ground."""
    assert not array._smu.output
    assert not array._pulser.output
    lines = server_bench._volts("nobody", 0.0)
    assert np.array_equal(lines, np.zeros(ROWS + COLS))


def test_an_instrument_error_in_mid_run_is_one_clear_error(crossbar):
    device, server = crossbar
    with open_bench(table(server, matrix="keysightb2200")) as array:
        array._pulser.protect(-0.5, 0.5)
        with pytest.raises(InstrumentError, match="-222"):
            array.pulse(2.0, 1e-6)
        assert device.pulses.sum() == 0
        assert_idle(array, server.bench)


@pytest.mark.parametrize(
    ("v", "width"), [(3.4, 1e-6), (-3.4, 1e-6), (np.nan, 1e-6), (1.0, 1e-9), (1.0, 1.0)]
)
def test_what_is_beyond_the_limits_moves_no_relay(crossbar, v, width):
    device, server = crossbar
    with open_bench(table(server, matrix="keysightb2200")) as array:
        closed = set(server.bench.closed)
        with pytest.raises(LimitError):
            array.pulse(v, width)
        with pytest.raises(LimitError):
            array.read(0.4)
        assert server.bench.closed == closed
    assert device.pulses.sum() == 0


@pytest.mark.parametrize(
    ("wiring", "says"),
    [
        ({"rows": [1, 2, 2]}, "output is used twice"),
        ({"rows": [1, 2, 49]}, "outputs 1 .. 48"),
        ({"ground": 1}, "input is used twice"),
        ({"bad_cols": [5]}, "bad_cols"),
    ],
)
def test_a_wrong_wiring_is_refused_before_anything_is_closed(crossbar, wiring, says):
    _, server = crossbar
    with pytest.raises(ConfigError, match=says):
        open_bench(table(server, matrix="keysightb2200", wiring=wiring))
    assert server.bench.closed == set()


def test_a_wrong_instrument_is_refused(crossbar):
    _, server = crossbar
    with pytest.raises(ConfigError, match="keysight81160a is no SourceMeter"):
        open_bench(table(server, smu="keysight81160a"))
    with (
        open_bench(table(server, matrix="keysightb2200")) as array,
        pytest.raises(ConfigError, match="bias"),
    ):
        BenchArray(array._smu, array._pulser, array._matrix, Wiring(bias=4))


def test_the_clock_of_an_emulated_bench_ages_its_cells():
    device = dut("brram", seed=1)
    with (
        serve(["keithley2450", "clock"], device) as server,
        open_bench(bench_table(server)) as array,
    ):
        assert "rest" in array.spec.capabilities
        before, start = device.conductances, server.bench.clock.now()
        array.clock.sleep(1e9)
        assert array.clock.now() == 1e9
        assert server.bench.clock.now() - start >= 1e9
        assert device.conductances != before
        rested = device.conductances
        array.read(V)
        assert device.conductances == rested
        with pytest.raises(InstrumentError, match="-222"):
            array._time.rest(-1.0)
    with serve(["keithley2450"], device) as server, open_bench(bench_table(server)) as array:
        assert isinstance(array.clock, RealClock)
        assert "rest" not in array.spec.capabilities


def test_it_is_a_cim_array():
    def typed(array: BenchArray) -> CimArray:
        return array

    assert typed
