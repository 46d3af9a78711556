"""The wires and the shared device: known answers by hand."""

import numpy as np
import pytest

from cimlab.mock_hw.instruments import Bench, Dut, Resistor, dut

QUIET = 1e-3


def test_a_resistor_obeys_ohm_and_the_compliance_clips():
    bench = Bench(dut("resistor:10e3"))
    inside = bench.source_voltage("smu", 0.5, 1e-4, QUIET)
    assert (inside.v, inside.limited) == (0.5, False)
    assert inside.i == pytest.approx(50e-6, rel=1e-6)
    outside = bench.source_voltage("smu", -5.0, 1e-4, QUIET)
    assert outside.limited
    assert outside.i == -1e-4
    assert outside.v == pytest.approx(-1.0, rel=1e-6)
    current = bench.source_current("smu", 2e-5, 21.0, QUIET)
    assert current.v == pytest.approx(0.2, rel=1e-6)
    limited = bench.source_current("smu", 1.0, 2.0, QUIET)
    assert (limited.v, limited.limited) == (2.0, True)
    assert limited.i == pytest.approx(2e-4, rel=1e-6)


def test_nothing_flows_through_an_open_circuit_or_an_open_crosspoint():
    assert Bench(dut("open")).source_voltage("smu", 5.0, 1e-3, QUIET).i == 0.0
    bench = Bench(dut("crossbar:2x2:brram"), matrix=True)
    for closed in (set(), {(1, 1)}, {(2, 3)}, {(1, 1), (2, 2)}):
        bench.closed = closed
        assert bench.source_voltage("smu", 0.1, 1e-3, QUIET).i == 0.0


def test_a_matrix_picks_the_cell_and_sums_columns_that_are_joined():
    device = Dut(Resistor(0.0), 2, 3)
    device._g = np.arange(1, 7, dtype=np.float32) * np.float32(1e-6)
    bench = Bench(device, matrix=True)
    bench.closed = {(1, 2), (2, 5)}  # row 2, column 3: the sixth cell
    assert bench.source_voltage("smu", 0.1, 1e-3, QUIET).i == pytest.approx(6e-7, rel=1e-6)
    bench.closed = {(1, 1), (2, 3), (2, 4)}  # row 1, columns 1 and 2 grounded
    assert bench.source_voltage("smu", 0.1, 1e-3, QUIET).i == pytest.approx(3e-7, rel=1e-6)
    bench.closed = {(1, 3), (2, 1)}  # from the column: row 1, column 1
    assert bench.source_voltage("smu", 0.1, 1e-3, QUIET).i == pytest.approx(1e-7, rel=1e-6)


def test_half_selected_cells_feel_half_the_pulse():
    device = dut("crossbar:2x2:brram")
    bench = Bench(device, matrix=True)
    bench.hold("bias", 1.4)
    # row 1 pulsed, column 1 grounded, row 2 and column 2 at half the amplitude
    bench.closed = {(3, 1), (2, 3), (4, 2), (4, 4)}
    before = device.conductances
    bench.pulse("pulse", 2.8, 0.0, 1e-6, 3)
    moved = device.conductances - before
    assert moved[0, 0] > 3e-6
    assert np.all(np.abs(moved)[[0, 1], [1, 0]] < moved[0, 0] / 5)
    assert np.all(np.abs(moved)[[0, 1], [1, 0]] > 0)
    assert moved[1, 1] == 0.0
    assert device.pulses.tolist() == [[3, 3], [3, 0]]


def test_pulses_move_a_cell_and_reading_does_not():
    device = dut("brram")
    bench = Bench(device)
    start = device.conductances[0, 0]
    for _ in range(200):
        bench.source_voltage("smu", 0.3, 1e-3, 1.0)
    assert device.conductances[0, 0] == start
    bench.pulse("pulse", -2.5, 50.0, 1e-6, 20)
    low = device.conductances[0, 0]
    bench.pulse("pulse", 2.8, 50.0, 1e-6, 20)
    assert low < 0.5 * start < start < device.conductances[0, 0]


def test_two_sources_on_one_line_put_the_meter_into_compliance():
    bench = Bench(dut("resistor:1e6"))
    bench.hold("pulse", 0.0)
    clash = bench.source_voltage("smu", 0.1, 1e-4, QUIET)
    assert clash.limited
    assert clash.v == pytest.approx(1e-4 * 50, rel=1e-3)
    bench.hold("pulse", None)
    assert not bench.source_voltage("smu", 0.1, 1e-4, QUIET).limited


def test_the_seed_decides_devices_and_noise():
    def story(seed):
        bench = Bench(dut("crossbar:2x2:brram", seed))
        bench.pulse("pulse", 2.5, 50.0, 1e-6, 5)
        return [bench.source_voltage("smu", 0.1, 1.0, QUIET).i for _ in range(5)]

    assert story(1) == story(1)
    assert story(1) != story(2)
    noise = np.diff(story(3))
    assert np.all(noise != 0)
