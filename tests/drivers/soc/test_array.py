"""SocArray on a stream: cutting, failures, reconnection, farewell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.board.service import BoardService
from cimlab.core.array import Converters, Unfold, Window
from cimlab.core.clock import VirtualClock
from cimlab.core.errors import (
    BoardError,
    CapabilityError,
    ConfigError,
    LimitError,
    LinkClosed,
    LinkTimeout,
)
from cimlab.core.stream import Stream
from cimlab.drivers.soc import SocArray
from cimlab.wire.status import Status
from tests.board.hostile import BoardStream, Faults
from tests.board.stub import COLS, LIMITS, ROWS, SIZE, TILES, StubHal
from tests.drivers.soc.test_exactly_once import count_up

CELLS = np.array([1, 2, 50], np.int64)


class Bench:
    """A board, a clock and the streams that were opened to it."""

    def __init__(self, **options: object) -> None:
        self.hal, self.clock = StubHal(), VirtualClock()
        self.service = self.boot(**options)
        self.streams: list[BoardStream] = []
        self.refused = 0

    def boot(self, **options: object) -> BoardService:
        """Switch the board on, or off and on again."""
        self.service = BoardService(self.hal, {"count_up": count_up}, **options)  # type: ignore[arg-type]
        return self.service

    def open(self) -> Stream:
        """A stream, once nobody refuses."""
        if self.refused:
            self.refused -= 1
            raise LinkClosed("nobody listens")
        self.streams.append(BoardStream(self.service, self.clock))
        return self.streams[-1]

    def array(self, token: str = "") -> SocArray:
        return SocArray(self.open, token, clock=self.clock)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def array(bench: Bench) -> Iterator[SocArray]:
    with bench.array() as array:
        yield array


def test_the_spec_is_what_the_board_said(array: SocArray) -> None:
    spec = array.spec
    assert (spec.shape, spec.dac_bits, spec.adc_bits) == ((TILES, ROWS, COLS), 8, 8)
    assert (spec.limits, spec.vmm, spec.origin, spec.identity) == (
        LIMITS,
        "analog",
        "emulated",
        "stub",
    )
    assert spec.capabilities == {
        "unfold",
        "transpose",
        "counters",
        "pairs",
        "rest",
        "job:count_up",
    }
    assert array.converters == HalArray(StubHal()).converters


def test_one_transaction_a_verb_however_many_cells(bench: Bench, array: SocArray) -> None:
    calls: list[Callable[[], object]] = [
        lambda: array.read(0.1),
        lambda: array.pulse(1.0, 1e-6),
        lambda: array.pulse_and_read(1.0, 1e-6, 0.1, CELLS),
        lambda: array.vmm(np.zeros((TILES, 50, ROWS))),
        lambda: array.run_job("count_up", {"rounds": 20}, CELLS, np.ones(3)),
        array.counters,
    ]
    for call in calls:
        before = array.statistics.requests
        call()
        assert array.statistics.requests == before + 1
    assert array.statistics.retries == 0


def test_a_job_and_the_read_after_it_are_one_round_trip(
    bench: Bench, array: SocArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    for name in ("write", "read"):
        whole = getattr(BoardStream, name)
        monkeypatch.setattr(
            BoardStream, name, lambda *a, name=name, whole=whole: log.append(name) or whole(*a)
        )
    done, reading = array.run_job_and_read("count_up", {"rounds": 2}, CELLS, np.ones(3), 0.1)
    assert log[:3] == ["write", "write", "read"]
    assert "write" not in log[3:]
    assert done.pulses.tolist() == [2, 2, 2]
    with Bench().array() as other:
        alone = other.run_job("count_up", {"rounds": 2}, CELLS, np.ones(3))
        np.testing.assert_array_equal(done.current, alone.current)
        np.testing.assert_array_equal(reading.current, other.read(0.1, CELLS).current)


def test_after_a_job_that_failed_its_read_is_waited_for(bench: Bench, array: SocArray) -> None:
    with pytest.raises(BoardError) as caught:
        array.run_job_and_read("count_up", {"laps": 2}, CELLS, np.ones(3), 0.1)
    assert caught.value.code == Status.JOB
    assert array.counters().sum() == 0


def test_a_job_that_a_board_lacks_is_refused_with_its_read(array: SocArray) -> None:
    before = array.statistics.requests
    with pytest.raises(CapabilityError, match="job:paint"):
        array.run_job_and_read("paint", {}, CELLS, np.ones(3), 0.1)
    assert array.statistics.requests == before


def test_what_was_offered_is_done_once_while_the_board_works(array: SocArray) -> None:
    at: list[int] = []
    array.meanwhile(lambda: at.append(array.statistics.requests))
    assert at == []
    before = array.statistics.requests
    array.read(0.1, CELLS)
    array.read(0.1, CELLS)
    assert at == [before + 1]


def test_voltages_are_reported_as_applied(array: SocArray) -> None:
    assert array.read(0.0501, CELLS).v == pytest.approx(128 / 255 * 0.1)


@pytest.mark.parametrize("cells", [[2, 1], [1, 1], [-1, 2], [1, SIZE]])
def test_bad_addresses_do_not_leave(bench: Bench, array: SocArray, cells: list[int]) -> None:
    before = array.statistics.bytes_out
    with pytest.raises(ConfigError, match="ascending"):
        array.read(0.1, np.array(cells, np.int64))
    assert array.statistics.bytes_out == before


def test_the_board_refuses_when_nobody_else_does(bench: Bench, array: SocArray) -> None:
    with pytest.raises(BoardError, match="are not in -2.5 .. 2.0 V") as caught:
        array.pulse(2.1, 1e-6, 1, CELLS)
    assert caught.value.code == Status.LIMIT
    with pytest.raises(BoardError):
        array.pulse(1.0, 1e-6, [1, 1, 301], CELLS)
    assert bench.hal.pulses.sum() == 0


@pytest.mark.parametrize("count", [-1, 65536, 1.5])
def test_counts_that_are_none(bench: Bench, array: SocArray, count: float) -> None:
    with pytest.raises(LimitError, match="whole numbers"):
        array.pulse(1.0, 1e-6, count, CELLS)
    assert bench.hal.pulses.sum() == 0


def test_what_does_not_fit_the_wire_is_refused(array: SocArray) -> None:
    with pytest.raises(LimitError, match="longer"):
        array.pulse(1.0, 1e3, 1, CELLS)
    with pytest.raises(LimitError, match="fit"):
        array.read(0.1, CELLS, averages=1 << 16)


def test_board_limits_can_be_tightened(array: SocArray) -> None:
    tight = type(LIMITS)(1.0, 1.0, 0.1, 1e-6, 1e-5, 10)
    array.configure(array.converters, tight)
    with pytest.raises(BoardError):
        array.pulse(1.1, 1e-6, 1, CELLS)
    with pytest.raises(BoardError, match="tighter"):
        array.configure(array.converters, LIMITS)


def test_refused_settings_are_not_in_force(array: SocArray) -> None:
    before = array.converters
    with pytest.raises(BoardError):
        array.configure(Converters(0.3, 4.0, 5e-6, (4e-5,) * TILES))
    assert array.converters == before


def test_missing_capabilities_are_not_asked_for(bench: Bench) -> None:
    bench.hal = StubHal(frozenset())
    bench.boot()
    with bench.array() as array:
        window = Window((0,), (0, 4), (0, 2))
        with pytest.raises(CapabilityError, match="unfold"):
            array.vmm_unfolded(np.zeros((1, 1, 3, 3)), Unfold((2, 2)), window)
        with pytest.raises(CapabilityError, match="transpose"):
            array.vmm_transposed(np.zeros((TILES, 1, COLS)))
        with pytest.raises(CapabilityError, match="job:paint"):
            array.run_job("paint", {}, CELLS, np.ones(3))
        assert array.statistics.requests == 0


def test_vectors_too_long_for_a_frame() -> None:
    bench = Bench(max_frame=620)
    with bench.array() as array, pytest.raises(ConfigError, match="one vector needs"):
        array.vmm(np.zeros((TILES, 3, ROWS)))


def test_an_empty_batch_and_no_cells(array: SocArray) -> None:
    assert array.vmm(np.zeros((TILES, 0, ROWS))).current.shape == (TILES, 0, COLS)
    assert array.read(0.1, np.empty(0, np.int64)).current.shape == (0,)
    array.pulse(1.0, 1e-6, 1, np.empty(0, np.int64))


def test_after_a_refusal_the_next_verb_works(array: SocArray) -> None:
    """Cut into many requests, of which the first ones fail."""
    bench = Bench(max_frame=700)
    with bench.array() as array:
        with pytest.raises(BoardError):
            array.pulse(2.1, 1e-6)
        bench.hal.fails = OSError
        with pytest.raises(BoardError, match="smoke") as caught:
            array.read(0.1)
        assert caught.value.code == Status.HARDWARE
        bench.hal.fails = None
        assert array.read(0.1).current.shape == (TILES, ROWS, COLS)


# the link


def test_a_busy_board(bench: Bench, array: SocArray) -> None:
    with pytest.raises(BoardError, match="another session") as caught:
        bench.array()
    assert caught.value.code == Status.BUSY
    assert array.read(0.1).current.shape == (TILES, ROWS, COLS)


def test_the_token_is_shown() -> None:
    bench = Bench(token="sesame")
    with pytest.raises(BoardError, match="token"):
        bench.array()
    bench.array("sesame").close()


def test_leaving_frees_the_board(bench: Bench) -> None:
    bench.array().close()
    with bench.array() as array:
        array.pulse(1.0, 1e-6)
        assert bench.hal.lit
    assert not bench.hal.lit
    array.close()
    with pytest.raises(LinkClosed, match="was closed"):
        array.read(0.1)
    bench.array().close()


def test_leaving_with_an_error_in_the_middle_of_a_job_ends_it(bench: Bench) -> None:
    array = bench.array()
    poll, rounds = bench.service.poll, []

    def interrupt(now: float) -> None:
        poll(now)
        rounds.append(now)
        if len(rounds) == 5:
            raise KeyboardInterrupt

    bench.service.poll = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), array:
        array.run_job("count_up", {"rounds": 1000}, CELLS, np.ones(3))
    assert not bench.service.busy
    assert not bench.hal.lit
    assert bench.hal.pulses.max() == 5


def test_a_broken_stream_is_opened_again(bench: Bench, array: SocArray) -> None:
    array.pulse(1.0, 1e-6, 2, CELLS)
    bench.streams[-1].close()
    bench.refused = 3
    array.pulse(1.0, 1e-6, 2, CELLS)
    assert bench.hal.pulses[CELLS].tolist() == [4, 4, 4]
    assert array.statistics.reconnects == 1
    assert bench.clock.now() > 0.3


def test_a_stream_that_stays_away_is_given_up(bench: Bench) -> None:
    array = bench.array()
    bench.streams[-1].close()
    bench.refused = 10**9
    with pytest.raises(LinkClosed, match="nobody listens"):
        array.pulse(1.0, 1e-6, 2, CELLS)
    assert 10 < bench.clock.now() < 11
    array.close()


def test_a_board_that_restarted_ends_the_session(bench: Bench, array: SocArray) -> None:
    array.pulse(1.0, 1e-6, 2, CELLS)
    bench.streams[-1].close()
    bench.boot()
    with pytest.raises(LinkClosed, match="restarted"):
        array.pulse(1.0, 1e-6, 2, CELLS)
    assert bench.hal.pulses.max() == 2


def test_a_board_that_restarts_behind_a_living_stream(bench: Bench, array: SocArray) -> None:
    """As on a serial line, which does not notice."""
    bench.boot()
    bench.streams[-1]._connection = bench.service.connect()
    with pytest.raises(LinkClosed, match="lost it"):
        array.pulse(1.0, 1e-6, 2, CELLS)


def test_nobody_there(bench: Bench) -> None:
    bench.refused = 1
    with pytest.raises(LinkClosed, match="nobody listens"):
        bench.array()


def test_nobody_answers(bench: Bench) -> None:
    deaf = BoardStream(bench.service, bench.clock, Faults(drop=1.0))
    with pytest.raises(LinkTimeout, match="answered nothing for 3 s"):
        SocArray(lambda: deaf, timeout=3.0, clock=bench.clock)
    assert deaf._broken


def test_closing_a_link_to_a_deaf_board_takes_a_second(bench: Bench) -> None:
    array = bench.array()
    bench.streams[-1]._there._faults = Faults(drop=1.0)
    start = bench.clock.now()
    array.close()
    assert 1.0 <= bench.clock.now() - start < 2.0
    assert bench.streams[-1]._broken


def test_statistics_are_a_copy(array: SocArray) -> None:
    before = array.statistics
    array.read(0.1)
    after = array.statistics
    assert after.requests == before.requests + 1
    assert after.frames == before.frames + 2
    assert after.bytes_in > before.bytes_in + SIZE
