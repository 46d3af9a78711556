"""Tapped announces every verb once; the ledger counts every pulse."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.array import ArrayBase, CimArray, Product, Unfold, Window
from cimlab.core.clock import VirtualClock
from cimlab.core.errors import CapabilityError
from cimlab.core.events import (
    CellsRead,
    Configured,
    Grounded,
    JobRun,
    Multiplied,
    Pulsed,
    Swept,
    Trained,
)
from cimlab.core.tap import Ledger, Tapped
from tests.core.recorder import SPEC, Recorder

CELLS = np.array([1, 5, 30])


class Slow(Recorder):
    """Takes 2 s of a virtual clock for every verb."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def _note(self, verb, *arguments):
        super()._note(verb, *arguments)
        self.clock.sleep(2.0)


@pytest.fixture
def tapped():
    clock, events = VirtualClock(100.0), []
    return Tapped(Slow(clock), events.append, clock), events


def test_every_verb_is_forwarded_and_announced_once_with_time_and_duration(tapped):
    array, events = tapped
    v = np.zeros((2, 3, 4), np.float32)
    array.configure(array.converters)
    array.read(0.1, CELLS, averages=4)
    array.pulse(1.5, 1e-6, 2, CELLS)
    array.pulse_and_read(1.5, 1e-6, 0.1, CELLS)
    array.vmm(v)
    array.vmm_unfolded(v[None], Unfold((1, 1)), Window.whole(SPEC))
    array.vmm_transposed(v)
    array.sweep(np.ones(2), 1e-4, 0.0, CELLS)
    array.train(np.ones(2), 1e-6, 0.1, CELLS)
    array.run_job("write_verify", {"tol": 1e-7}, CELLS, np.zeros(3))
    array.run_job_and_read("write_verify", {"tol": 1e-7}, CELLS, np.zeros(3), 0.1)
    array.ground()
    assert [type(e) for e in events] == [
        Configured,
        CellsRead,
        Pulsed,
        Pulsed,
        Multiplied,
        Multiplied,
        Multiplied,
        Swept,
        Trained,
        JobRun,
        JobRun,
        CellsRead,
        Grounded,
    ]
    alone = [(100.0 + 2.0 * k, 2.0) for k in range(10)]
    together = [(120.0, 4.0), (120.0, 4.0)]  # nobody knows which part of it was the job's
    assert [(e.time, e.seconds) for e in events] == [*alone, *together, (124.0, 2.0)]
    assert [verb for verb, _ in array._array.calls] == [
        "configure",
        "read",
        "pulse",
        "pulse_and_read",
        "vmm",
        "vmm_unfolded",
        "vmm_transposed",
        "sweep",
        "train",
        "run_job",
        "run_job",
        "read",
        "ground",
    ]


def test_events_say_what_was_asked_and_what_came_back(tapped):
    array, events = tapped
    reading = array.read(0.1, CELLS, averages=4)
    reading_after = array.pulse_and_read(1.5, 1e-6, 0.1, CELLS, count=2)
    product = array.vmm(np.zeros((2, 3, 4), np.float32))
    read, pulsed, multiplied = events
    assert read.reading is reading
    assert read.averages == 4
    assert (pulsed.v, pulsed.width, pulsed.count) == (1.5, 1e-6, 2)
    assert pulsed.cells is CELLS
    assert pulsed.reading is reading_after
    assert (multiplied.verb, multiplied.window) == ("vmm", None)
    assert (multiplied.vectors, multiplied.conversions) == (3, product.current.size)
    assert multiplied.saturated == 4
    assert multiplied.saturated_share == pytest.approx(4 / 24)


def test_sweeps_and_trains_say_what_was_asked_and_what_came_back(tapped):
    array, events = tapped
    v, width = np.array([0.1, 1.0]), np.array([1e-6, 2e-6])
    swept_trace = array.sweep(v, 1e-4, 1e-3, CELLS)
    trained_trace = array.train(v, width, 0.1, CELLS, 8)
    swept, trained = events
    assert swept == Swept(100.0, 2.0, v, 1e-4, 1e-3, swept_trace)
    assert trained == Trained(102.0, 2.0, v, width, 0.1, 8, trained_trace)


def test_the_ledger_counts_levels_that_are_pulses_and_every_reading():
    ledger = Ledger(SPEC)
    array = Tapped(Recorder(), ledger)
    limit = SPEC.limits.v_read
    array.sweep(np.array([0.0, limit, 1.0, -1.0, -limit]), 1e-4, 0.0, CELLS)
    array.train(np.array([1.0, 0.0, -1.0, 0.2]), 1e-6, 0.1, CELLS, averages=8)
    pulses, reads = np.zeros(SPEC.shape, int), np.zeros(SPEC.shape, int)
    pulses.flat[CELLS], reads.flat[CELLS] = 2 + 3, 5 + 4
    assert ledger.pulses.tolist() == pulses.tolist()
    assert ledger.reads.tolist() == reads.tolist()


def test_no_conversions_is_no_saturation():
    assert Multiplied(0.0, 0.0, "vmm", None, 0, 0, 0).saturated_share == 0.0


def test_spec_converters_counters_and_close_pass_without_an_event(tapped):
    array, events = tapped
    with array:
        assert array.spec is array._array.spec
        assert array.converters is array._array.converters
        assert array.counters().shape == SPEC.shape
    assert [verb for verb, _ in array._array.calls] == ["counters", "close"]
    assert events == []


def test_a_verb_that_raises_is_not_announced():
    class Dumb(ArrayBase):
        spec = SPEC

    events = []
    with pytest.raises(CapabilityError):
        Tapped(Dumb(), events.append).vmm_transposed(np.zeros((1, 1, 4), np.float32))
    assert events == []


def test_a_tap_costs_little_and_copies_nothing():
    """Against the call underneath: under 50 us a VMM, and no pass over the inputs."""

    class Instant(Recorder):
        product = Product(np.zeros((2, 64, 64), np.float32), np.zeros((2, 64, 64), bool))

        def vmm(self, v, window=None):
            return self.product

    v = np.zeros((2, 64, 64), np.float32)
    tapped = Tapped(Instant(), lambda event: None)
    best = min(_seconds(tapped, v) for _ in range(50))
    assert tapped.vmm(v) is Instant.product
    assert best < 50e-6


def _seconds(array: CimArray, v) -> float:
    start = time.perf_counter()
    for _ in range(20):
        array.vmm(v)
    return (time.perf_counter() - start) / 20


volts = st.sampled_from([-1.5, 0.0, 2.0])
addresses = st.sets(st.integers(0, SPEC.size - 1), min_size=1).map(lambda s: np.array(sorted(s)))


@given(st.lists(st.tuples(addresses, st.data()), max_size=8))
def test_the_ledger_counts_exactly_what_was_applied(steps):
    """Against a dictionary that counts pulse by pulse."""
    ledger = Ledger(SPEC)
    array = Tapped(Recorder(), ledger)
    expected = dict.fromkeys(range(SPEC.size), 0)
    for cells, data in steps:
        v = np.array(data.draw(st.lists(volts, min_size=cells.size, max_size=cells.size)))
        count = data.draw(st.integers(0, 9))
        if data.draw(st.booleans()):
            array.pulse(v, 1e-6, count, cells)
        else:
            array.pulse_and_read(v, 1e-6, 0.1, cells, np.full(cells.size, count))
        for cell, volt in zip(cells, v, strict=True):
            expected[int(cell)] += count if volt else 0
    assert ledger.pulses.dtype == np.uint32
    assert ledger.pulses.ravel().tolist() == list(expected.values())


def test_the_ledger_counts_whole_arrays_and_jobs():
    ledger = Ledger(SPEC)
    array = Tapped(Recorder(), ledger)
    v = np.ones(SPEC.shape)
    v[1] = 0.0
    array.pulse(v, 1e-6, 3)
    array.run_job("write_verify", {}, CELLS, np.zeros(3))  # the recorder says 0, 1, 2 pulses
    expected = np.zeros(SPEC.shape, int)
    expected[0] = 3
    expected.flat[CELLS] += [0, 1, 2]
    assert ledger.pulses.tolist() == expected.tolist()


def test_the_audit_names_the_cells_that_differ_and_starts_where_the_board_stands():
    start = np.full(SPEC.shape, 2**32 - 1, np.uint32)
    ledger = Ledger(SPEC, start)
    Tapped(Recorder(), ledger).pulse(1.0, 1e-6, 2)  # wraps around, as the board's counters do
    board = np.ones(SPEC.shape, np.uint32)
    assert ledger.differs(board).tolist() == []
    board[1, 0, 3] = 2
    assert ledger.differs(board).tolist() == [19]
    assert start.min() == 2**32 - 1


def test_the_ledger_counts_reads_of_cells_of_the_whole_array_and_after_pulses():
    ledger = Ledger(SPEC)
    array = Tapped(Recorder(), ledger)
    array.read(0.1, averages=8)  # once, however many conversions
    array.read(0.1, CELLS)
    array.pulse_and_read(1.5, 1e-6, 0.1, CELLS)
    array.run_job("write_verify", {}, CELLS, np.zeros(3))  # 0, 1, 2 pulses, each verified
    array.ground()
    expected = np.ones(SPEC.shape, int)
    expected.flat[CELLS] += [2, 3, 4]
    assert ledger.reads.tolist() == expected.tolist()
