"""Procedures on instruments: drivers, sockets, emulators, one crossbar behind a matrix."""

import contextlib
from itertools import pairwise

import numpy as np
import pytest

from cimlab.core.array import Limits
from cimlab.core.guard import Guarded
from cimlab.drivers.bench import open_bench
from cimlab.mock_hw.instruments import dut, serve
from cimlab.protocols import Ispp, WriteVerify, finish, program
from cimlab.protocols.iv import IvPlan, iv_sweep
from cimlab.protocols.pulse_trains import PulsesPlan, pulse_trains
from cimlab.protocols.screen import ScreenPlan, screen
from cimlab.protocols.sweeps import SWEEPS
from tests.drivers.bench.tables import COLS, ROWS, table

SMALL = {
    "iv": {"step": 1.4},
    "pulses": {"n_up": 2, "n_down": 2},
    "forming": {"i_target": 4.9e-6, "v_step": 0.7},
    "retention": {"t_first": 0.1, "t_last": 0.2, "per_decade": 1},
    "endurance": {"cycles_max": 3},
    "noise": {"reads": 3},
    "disturb": {"count": 5},
}
CELLS = np.array([1, 6])


@pytest.fixture(scope="module")
def bench():
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    with (
        serve(["keithley2450", "keysight81160a", "keysightb2200"], device) as server,
        open_bench(table(server, matrix="keysightb2200")) as opened,
    ):
        yield device, server, opened


@pytest.mark.parametrize("plan", [WriteVerify(averages=4), Ispp.precise()], ids=lambda p: p.job)
def test_write_verify_needs_no_counters_and_no_jobs(bench, plan):
    device, _, opened = bench
    array = Guarded(opened, Limits())
    assert not {"counters", "job:write_verify", "job:ispp"} & array.spec.capabilities
    cells = np.arange(ROWS * COLS)
    target = np.random.default_rng(1).uniform(0.9e-6, 3.2e-6, cells.size)
    before = device.pulses.ravel().copy()
    result = program(array, plan, cells, target)
    assert result.place == "host"
    assert result.converged.all()
    # the band, and the noise of the averaged verify read
    noise = 0.155e-6 / np.sqrt(plan.averages)
    true = device.conductances.ravel() * 0.1
    assert np.abs(true - target).max() < plan.tol + 4 * noise
    assert (device.pulses.ravel() - before).tolist() == result.pulses.tolist()


@pytest.mark.parametrize("name", SWEEPS)
def test_every_procedure_runs_and_stops_at_any_event_with_all_lines_grounded(bench, name):
    device, server, opened = bench
    array, plan = Guarded(opened, Limits()), SWEEPS[name].plan(**SMALL.get(name, {}))
    untouched = np.delete(np.arange(ROWS * COLS), CELLS)
    before = device.pulses.ravel().copy()
    events = list(SWEEPS[name].run(array, plan, CELLS))
    assert events[-1].done == 1.0
    assert {int(cell) for e in events for cell in e.cells} == set(CELLS.tolist())
    assert all(b.time[0] > a.time[0] for a, b in pairwise(events))
    for k in {1, len(events) // 2, len(events) - 1} - {0}:
        with contextlib.closing(SWEEPS[name].run(array, plan, CELLS)) as steps:
            for _ in range(k):
                next(steps)
        assert not opened._smu.output and not opened._pulser.output
        assert not server.bench._volts("nobody", 0.0).any()
    assert (device.pulses.ravel()[untouched] == before[untouched]).all()


def test_a_swept_curve_switches_the_cell_that_it_shows(bench):
    device, _, opened = bench
    plan = IvPlan(v_stop=2.2, step=0.2, dwell=0.0)
    result = finish(iv_sweep(Guarded(opened, Limits()), plan, CELLS))
    assert result.quasi_static
    assert (result.r_off > 2 * result.r_on).all()
    now = device.conductances.ravel()[CELLS]
    assert result.r_off[0] == pytest.approx(1 / now, rel=0.5)


def test_screening_a_crossbar_with_a_bad_line():
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    with serve(["keithley2450", "keysight81160a", "keysightb2200"], device) as server:
        marked = table(server, matrix="keysightb2200", wiring={"bad_rows": [2]})
        with open_bench(marked) as opened:
            plan = ScreenPlan(averages=16)
            result = finish(screen(Guarded(opened, Limits()), plan, np.arange(ROWS * COLS)))
    assert result.health.usable[0].all(axis=1).tolist() == [True, False, True]
    assert result.summary()["open"] == COLS
    assert not device.pulses[1].any()


def test_a_train_of_one_cell_is_one_upload():
    """Without pulse generator and matrix: the SMU pulses, measures and buffers by itself."""
    device = dut("brram", seed=1)
    plan = PulsesPlan(n_up=30, n_down=30, width=1e-3, averages=1, v_up=1.0, v_down=0.8)
    with (
        serve(["keithley2450"], device) as server,
        open_bench(table(server, pulser=None)) as array,
    ):
        assert "train" in array.spec.capabilities
        sent = []
        link = array._smu._link
        write = link.write
        link.write = lambda message: (sent.append(message), write(message))
        events = []
        for points in pulse_trains(Guarded(array, Limits()), plan, np.array([0])):
            events.append((points, len(sent)))
            sent.clear()
    assert [e.current.shape for e, _ in events] == [(1, 1), (1, 1), (60, 1)]
    # messages, of any kind, for sixty pulses and their readings
    assert events[2][1] < 30
    g = events[2][0].g[:, 0]
    sigma = device.model.sigma_read
    assert g[29] > g[0] + 3 * sigma and g[59] < g[29] - 3 * sigma
