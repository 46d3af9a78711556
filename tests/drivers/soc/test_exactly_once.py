"""Whatever the cable does, every request is executed once, in order, and answered."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cimlab.board.counting import CountingHal
from cimlab.board.hal_array import HalArray
from cimlab.board.service import BoardService
from cimlab.core.array import Addresses, CimArray, Converters, Floats, JobResult, Unfold, Window
from cimlab.core.clock import VirtualClock
from cimlab.drivers.soc import SocArray
from tests.board.hostile import BoardStream, Faults
from tests.board.stub import COLS, ROWS, SIZE, TILES, StubHal


def count_up(
    array: CimArray, settings: Mapping[str, float], cells: Addresses, target: Floats
) -> Generator[None, None, JobResult]:
    """A job: pulse and read as often as told."""
    rounds = int(settings["rounds"])
    for _ in range(rounds):
        reading = array.pulse_and_read(1.0, 1e-6, 0.1, cells)
        yield
    pulses = np.full(cells.size, rounds)
    return JobResult(reading.current, pulses, reading.current > target, rounds)


def run(array: CimArray, name: str, settings: Mapping[str, float], cells: Addresses) -> JobResult:
    """A job on the host, for comparison."""
    steps = count_up(array, settings, cells, np.full(cells.size, 2e-6))
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        result: JobResult = stop.value
        return result


Operation = Callable[[Any], Any]
addresses = st.lists(st.integers(0, SIZE - 1), min_size=1, unique=True).map(
    lambda cells: np.array(sorted(cells), np.int64)
)
volts = st.floats(-2.0, 2.0).map(lambda v: round(v, 3))


def _read(cells: NDArray[np.int64] | None, averages: int) -> Operation:
    return lambda array: array.read(0.1, cells, averages).current


def _pulse(cells: NDArray[np.int64], v: list[float], count: int) -> Operation:
    amplitudes = np.resize(v, cells.size)
    return lambda array: array.pulse(amplitudes, 1e-6, count, cells)


def _step(cells: NDArray[np.int64], v: list[float], count: int) -> Operation:
    amplitudes, counts = np.resize(v, cells.size), np.arange(cells.size) % 3 + count
    return lambda array: (
        array.pulse_and_read(amplitudes, 1e-6, 0.08, cells, counts, averages=2).current
    )


def _vmm(batch: int, transposed: bool) -> Operation:
    v = np.linspace(0, 0.1, TILES * batch * (COLS if transposed else ROWS))
    v = v.reshape(TILES, batch, -1)
    return lambda array: (array.vmm_transposed if transposed else array.vmm)(v).current


def _unfolded(batch: int) -> Operation:
    v = np.linspace(0, 0.1, batch * 2 * 9).reshape(batch, 2, 3, 3)
    window = Window((0, 1), (0, 4), (1, 4))
    return lambda array: array.vmm_unfolded(v, Unfold((2, 2)), window).current


def _job(cells: NDArray[np.int64], rounds: int) -> Operation:
    def operation(array: Any) -> Any:
        if isinstance(array, SocArray):
            target = np.full(cells.size, 2e-6)
            return array.run_job("count_up", {"rounds": rounds}, cells, target).current
        return run(array, "count_up", {"rounds": rounds}, cells).current

    return operation


def _job_and_read(cells: NDArray[np.int64], rounds: int) -> Operation:
    def operation(array: Any) -> Any:
        if isinstance(array, SocArray):
            target = np.full(cells.size, 2e-6)
            done, reading = array.run_job_and_read(
                "count_up", {"rounds": rounds}, cells, target, 0.08, averages=2
            )
        else:
            done = run(array, "count_up", {"rounds": rounds}, cells)
            reading = array.read(0.08, cells, 2)
        return np.concatenate([done.current, reading.current])

    return operation


def _configure(i_read: float) -> Operation:
    return lambda array: array.configure(Converters(0.1, 4.0, i_read, (4e-5,) * TILES))


def _rest(seconds: int) -> Operation:
    return lambda array: array.clock.sleep(seconds)


operations = st.one_of(
    st.builds(_read, st.none() | addresses, st.integers(1, 4)),
    st.builds(_pulse, addresses, st.lists(volts, min_size=1, max_size=5), st.integers(1, 9)),
    st.builds(_step, addresses, st.lists(volts, min_size=1, max_size=5), st.integers(0, 300 - 2)),
    st.builds(_vmm, st.integers(1, 20), st.booleans()),
    st.builds(_unfolded, st.integers(1, 5)),
    st.builds(_job, addresses, st.integers(1, 5)),
    st.builds(_job_and_read, addresses, st.integers(1, 5)),
    st.builds(_configure, st.sampled_from([1e-6, 5e-6])),
    st.builds(_rest, st.integers(0, 10**6)),
    st.just(lambda array: array.ground()),
)
chances = st.sampled_from([0.0, 0.05, 0.2])
faults = st.builds(
    Faults,
    drop=chances,
    corrupt=chances,
    duplicate=chances,
    garbage=chances,
    reorder=chances,
    reset=st.sampled_from([0.0, 0.02]),
    fragment=st.booleans(),
)


@given(
    st.lists(operations, min_size=1, max_size=12),
    faults,
    st.integers(0, 2**32),
    st.sampled_from([700, 760, 1 << 20]),
    st.sampled_from([1, 3, 8, 32]),
)
@example(  # an answer overtakes the welcome on a new stream
    [_read(np.array([0]), 1), _read(None, 1)],
    Faults(garbage=0.2, reorder=0.2, reset=0.02),
    585,
    700,
    3,
)
@settings(max_examples=60)
def test_results_and_counters_are_those_without_a_wire(
    script: list[Operation], faults: Faults, seed: int, max_frame: int, window: int
) -> None:
    same(script, faults, seed, max_frame, window, bulk=False)


# the cable strikes between any two zeros, and payloads behind their frames are full of them
seldom = st.sampled_from([0.0, 1e-4])


@given(
    st.lists(operations, min_size=1, max_size=12),
    st.builds(
        Faults,
        drop=seldom,
        corrupt=seldom,
        duplicate=seldom,
        garbage=seldom,
        reset=st.sampled_from([0.0, 2e-4]),
        fragment=st.booleans(),
    ),
    st.integers(0, 2**32),
    st.sampled_from([760, 1 << 20]),
    st.sampled_from([1, 8]),
)
@settings(max_examples=40)
def test_so_they_are_with_payloads_behind_their_frames(
    script: list[Operation], faults: Faults, seed: int, max_frame: int, window: int
) -> None:
    same(script, faults, seed, max_frame, window, bulk=True)


def same(
    script: list[Operation], faults: Faults, seed: int, max_frame: int, window: int, bulk: bool
) -> None:
    """Run a script over the link and without it."""
    hal, twin, clock = StubHal(), CountingHal(StubHal()), VirtualClock()
    model = HalArray(twin)
    service = BoardService(hal, {"count_up": count_up}, max_frame=max_frame, window=window)
    seeds = itertools.count(seed)
    with (
        patch("cimlab.wire.frames.BULK_LEAST", 32),
        SocArray(
            lambda: BoardStream(service, clock, faults, next(seeds)), "", 1e6, clock, bulk
        ) as array,
    ):
        for operation in script:
            np.testing.assert_equal(operation(array), operation(model))
        assert array.clock.now() == model.clock.now()
        np.testing.assert_array_equal(array.counters().reshape(-1), twin.counts)
    np.testing.assert_array_equal(hal.pulses, twin.counts)
    np.testing.assert_array_equal(hal.reads, twin._hal.reads)  # type: ignore[attr-defined]
    assert hal.products == twin._hal.products  # type: ignore[attr-defined]
