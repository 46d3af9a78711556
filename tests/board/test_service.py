"""The board's side of the link, spoken to in frames: nothing that a host sends gets past it."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.board.hal_array import HalArray
from cimlab.board.service import BoardService, Connection
from cimlab.core.array import Addresses, CimArray, Converters, Floats, JobResult, Unfold, Window
from cimlab.core.clock import RealClock
from cimlab.core.errors import ConfigError
from cimlab.wire.frames import Buffer, Frame, FrameDecoder, Kind, Verb, encode
from cimlab.wire.messages import Configure, Hello, Info, Report, pack_before, unpack_error
from cimlab.wire.products import Pairs, Vmm, pack_weights, unpack_pairs
from cimlab.wire.status import Status
from cimlab.wire.verbs import Codes, Job, Pulse, Read, pack_rest, unpack_result
from tests.board.stub import COLS, LIMITS, ROWS, SIZE, TILES, StubHal

BOOT = 9
SETTINGS = Converters(0.2, 3.0, 1e-6, (1e-5, 2e-5))
CELLS = np.array([0, 7, 33], np.int64)


def steady(
    array: CimArray, settings: Mapping[str, float], cells: Addresses, target: Floats
) -> Generator[None, None, JobResult]:
    """Pulse once a round."""
    if "wrong" in settings:
        raise ConfigError("no such setting: wrong")
    for _ in range(int(settings.get("rounds", 3))):
        array.pulse(settings.get("v", 1.0), 1e-6, 1, cells)
        yield
    n = cells.size
    return JobResult(target.astype(float), np.full(n, 3), np.ones(n, np.bool_), 3)


class Host:
    """Speaks frames to a service, one at a time."""

    def __init__(self, service: BoardService, session: int = 1) -> None:
        self.connection: Connection = service.connect()
        self.session, self.seq, self.now = session, 0, 0.0

    def raw(self, data: bytes) -> list[Frame]:
        frames = FrameDecoder().feed(self.connection.receive(data, self.now))
        return [frame for frame in frames if frame is not None]

    def frame(
        self, verb: int, payload: list[Buffer], seq: int, flags: int = 0, kind: int = Kind.REQUEST
    ) -> list[Frame]:
        return self.raw(encode(kind, verb, self.session, seq, payload, flags))

    def hello(self, boot: int = 0, max_frame: int = 1 << 20, token: str = "") -> Frame:
        (answer,) = self.frame(Verb.HELLO, Hello(boot, max_frame, token).pack(), 1)
        return answer

    def info(self) -> Info:
        return Info.unpack(self.hello().payload)

    def ask(self, verb: int, payload: list[Buffer], flags: int = 0) -> Frame:
        self.seq += 1
        (answer,) = self.frame(verb, payload, self.seq, flags)
        assert (answer.verb, answer.seq, answer.session) == (verb, self.seq, self.session)
        return answer

    def poll(self, now: float) -> list[Frame]:
        self.now = now
        frames = FrameDecoder().feed(self.connection.poll(now))
        return [frame for frame in frames if frame is not None]


def status_of(frame: Frame) -> int:
    assert frame.kind == Kind.ERROR
    return unpack_error(frame.payload)[0]


def pulse(v: int = 100, ticks: int = 100, count: int = 1, cells: Addresses = CELLS) -> list[Buffer]:
    n = cells.size
    return Pulse(ticks, np.full(n, v, np.int16), np.full(n, count, np.uint16), cells).pack(SIZE)


@pytest.fixture
def hal() -> StubHal:
    return StubHal()


@pytest.fixture
def service(hal: StubHal) -> BoardService:
    return BoardService(hal, {"steady": steady}, boot=BOOT)


@pytest.fixture
def host(service: BoardService) -> Host:
    host = Host(service)
    assert host.hello().kind == Kind.REPLY
    return host


# sessions


def test_info_describes_the_board(service: BoardService) -> None:
    info = Host(service).info()
    assert (info.boot, info.next, info.window) == (BOOT, 1, 8)
    assert (info.tiles, info.rows, info.cols) == (TILES, ROWS, COLS)
    assert info.limits == LIMITS
    assert info.converters == Converters(0.1, 4.0, 5e-6, (4e-5, 4e-5))
    assert info.capabilities == {
        "bulk",
        "counters",
        "pairs",
        "unfold",
        "transpose",
        "rest",
        "job:steady",
    }
    assert (info.identity, info.origin, info.watchdog, info.lease) == ("stub", "emulated", 2, 10)


def test_repeats_are_answered_from_the_cache(host: Host, hal: StubHal) -> None:
    request = encode(Kind.REQUEST, Verb.PULSE, 1, 1, pulse())
    first = host.connection.receive(request, 0.0)
    assert host.connection.receive(request + request, 0.0) == first + first
    assert hal.pulses.sum() == 3


def test_the_cache_ends_with_the_window(host: Host, hal: StubHal) -> None:
    for _ in range(9):
        host.ask(Verb.PULSE, pulse())
    assert host.frame(Verb.PULSE, pulse(), 1) == []
    assert len(host.frame(Verb.PULSE, pulse(), 2)) == 1
    assert hal.pulses.sum() == 27


def test_early_requests_wait_for_their_turn(host: Host, hal: StubHal) -> None:
    (early,) = host.frame(Verb.READ, Read(9, 1, CELLS).pack(SIZE), 3)
    assert (early.kind, early.verb, early.seq) == (Kind.STATUS, Verb.READ, 3)
    assert Report.unpack(early.payload) == Report(next=1, have=0b100)
    assert host.frame(Verb.READ, Read(9, 1, CELLS).pack(SIZE), 1 + 8) == []  # beyond the window
    assert hal.calls.count("read") == 0
    host.frame(Verb.PULSE, pulse(), 2)
    answers = host.frame(Verb.PULSE, pulse(), 1)
    assert [(f.kind, f.seq) for f in answers] == [(Kind.REPLY, 1), (Kind.REPLY, 2), (Kind.REPLY, 3)]
    assert [call for call in hal.calls if call in ("pulse", "read")] == ["pulse", "pulse", "read"]


def test_broken_frames_draw_a_status_while_a_session_is_open(
    host: Host, service: BoardService
) -> None:
    (frame,) = host.raw(b"garbage\0")
    assert (frame.kind, frame.verb, frame.seq) == (Kind.STATUS, 0, 0)
    assert Host(service, 2).raw(b"garbage\0") == []


def test_ping_tells_what_the_board_has(host: Host) -> None:
    host.ask(Verb.PULSE, pulse())
    host.frame(Verb.PULSE, pulse(), 4)
    (frame,) = host.frame(Verb.PING, [], 1234)
    assert (frame.kind, frame.verb, frame.seq) == (Kind.STATUS, Verb.PING, 1234)
    assert Report.unpack(frame.payload) == Report(next=2, have=0b100)


def test_a_second_host_is_kept_out_while_the_first_is_there(
    host: Host, service: BoardService, hal: StubHal
) -> None:
    other = Host(service, 2)
    assert status_of(other.hello()) == Status.BUSY
    assert status_of(other.ask(Verb.PULSE, pulse())) == Status.NO_SESSION
    assert status_of(other.frame(Verb.GROUND, pack_before(9), 1)[0]) == Status.NO_SESSION
    assert hal.pulses.sum() == 0
    host.now = 5.0
    host.frame(Verb.PING, [], 1)
    other.now = 14.9
    assert status_of(other.hello()) == Status.BUSY


def test_a_silent_host_loses_the_board_when_another_asks(
    host: Host, service: BoardService, hal: StubHal
) -> None:
    host.ask(Verb.CONFIGURE, Configure(SETTINGS).pack())
    host.now = 50.0  # late, but nobody asked
    assert host.ask(Verb.PULSE, pulse()).kind == Kind.REPLY
    other = Host(service, 2)
    other.now = 60.0
    info = other.info()
    assert (info.next, info.converters) == (1, Converters(0.1, 4.0, 5e-6, (4e-5, 4e-5)))
    assert status_of(host.ask(Verb.PULSE, pulse())) == Status.NO_SESSION
    assert status_of(host.hello(boot=BOOT)) == Status.NO_SESSION
    assert hal.pulses.sum() == 3


def test_resuming(host: Host, service: BoardService) -> None:
    request = encode(Kind.REQUEST, Verb.READ, 1, 1, Read(9, 1, CELLS).pack(SIZE))
    first = host.connection.receive(request, 0.0)
    again = Host(service)
    hello = again.hello(boot=BOOT)
    assert Info.unpack(hello.payload).next == 2
    assert again.connection.receive(request, 0.0) == first
    assert status_of(again.hello(boot=BOOT + 1)) == Status.RESTARTED


def test_answers_go_where_the_host_is(host: Host, service: BoardService) -> None:
    host.frame(Verb.JOB, Job("steady", {}, CELLS, np.ones(3, np.float32)).pack(SIZE), 1)
    again = Host(service)
    again.hello(boot=BOOT)
    assert host.poll(0.1) + host.poll(0.2) + host.poll(0.3) + host.poll(0.4) == []
    (answer,) = again.poll(0.5)
    assert (answer.kind, answer.seq) == (Kind.REPLY, 1)


def test_bye_ends_the_session(host: Host, service: BoardService, hal: StubHal) -> None:
    for _ in range(2):  # a repeat is answered too
        (answer,) = host.frame(Verb.BYE, [], 5)
        assert answer.kind == Kind.REPLY
    assert hal.calls[-1] == "ground"
    assert status_of(host.ask(Verb.PULSE, pulse())) == Status.NO_SESSION
    assert Host(service, 2).hello().kind == Kind.REPLY


@pytest.mark.parametrize(("token", "kind"), [("sesame", Kind.REPLY), ("", Kind.ERROR)])
def test_a_token_is_asked_for(hal: StubHal, token: str, kind: Kind) -> None:
    answer = Host(BoardService(hal, token="sesame")).hello(token=token)
    assert answer.kind == kind
    assert kind == Kind.REPLY or status_of(answer) == Status.DENIED


def test_two_boards_have_two_boot_ids(hal: StubHal) -> None:
    assert Host(BoardService(hal)).info().boot != Host(BoardService(hal)).info().boot


# refusals


def test_another_version_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cimlab.wire.frames.VERSION", 2)
        data = encode(Kind.REQUEST, Verb.PING, 1, 1, [])
    (answer,) = host.raw(data)
    assert status_of(answer) == Status.VERSION
    assert answer.version == 1


def test_frames_that_are_no_requests_are_dropped(host: Host) -> None:
    for kind in (Kind.REPLY, Kind.ERROR, Kind.STATUS, 17):
        assert host.frame(Verb.PULSE, pulse(), 1, kind=kind) == []


@pytest.mark.parametrize(("verb", "flags"), [(0x0F, 0), (Verb.PING, 1), (Verb.HELLO, 64)])
def test_unknown_immediate_verbs_and_flags(host: Host, verb: int, flags: int) -> None:
    assert status_of(host.frame(verb, [], 1, flags)[0]) == Status.VERB


VMM = Vmm(Window((0,), (0, 2), (0, 2)), np.zeros((1, 1, 2), np.uint8))
MAP = Vmm(Window((0, 1), (0, 4), (0, 2)), np.zeros((1, 2, 3, 3), np.uint8), Unfold((2, 2)))


def vmm(**changes: Any) -> tuple[list[Buffer], int]:
    changed = dataclasses.replace(VMM, **changes)
    return changed.pack(), changed.flags


def unfolded(channels: int, rows: int) -> tuple[list[Buffer], int]:
    codes, window = np.zeros((1, channels, 3, 3), np.uint8), Window((0, 1), (0, rows), (0, 2))
    changed = dataclasses.replace(MAP, codes=codes, window=window)
    return changed.pack(), changed.flags


def configure(v_gate: float = 4.0, v_read: float = 0.1, i: float = 1e-6, n: int = TILES) -> Any:
    return Configure(Converters(v_read, v_gate, i, (i,) * n)).pack(), 0


def limits(**changes: float) -> tuple[list[Buffer], int]:
    request = Configure(SETTINGS, dataclasses.replace(LIMITS, **changes))  # type: ignore[arg-type]
    return request.pack(), request.flags


ONES = np.ones(3, np.float32)


def pairs(inputs: int = 4, cols: tuple[int, int] = (0, 2)) -> tuple[list[Buffer], int]:
    """One vector on two rows of both tiles."""
    wanted = np.ones((2, 1), np.bool_)
    window = Window((0, 1), (0, 2), cols)
    return Pairs((window,), (wanted,), np.zeros((1, inputs), np.uint8)).pack(), 0


REFUSED: list[tuple[int, tuple[list[Buffer], int], Status]] = [
    (0x7F, ([], 0), Status.VERB),
    (Verb.READ, (Read(9, 1, None).pack(SIZE), 1), Status.VERB),
    (Verb.READ, ([], 0), Status.MALFORMED),
    (Verb.READ, ([*Read(9, 1, None).pack(SIZE), b"x"], 0), Status.MALFORMED),
    (Verb.READ, ([b"\1\0\x09\4"], 0), Status.MALFORMED),  # selection of mode 4
    (Verb.READ, ([b"\1\0\x09\2\2\0\5\0\5\0"], 0), Status.MALFORMED),  # twice the same cell
    (Verb.READ, ([b"\1\0\x09\1" + b"\xff" * 8], 0), Status.MALFORMED),  # spare bits
    (Verb.READ, (Read(9, 1, np.array([SIZE], np.int64)).pack(SIZE + 1), 0), Status.ADDRESS),
    (Verb.READ, ([b"\1\0\x09\3\1\0\0\0\0\0\0\x80"], 0), Status.ADDRESS),
    (Verb.READ, (Read(0, 1, CELLS).pack(SIZE), 0), Status.LIMIT),
    (Verb.READ, (Read(9, 0, CELLS).pack(SIZE), 0), Status.LIMIT),
    (Verb.READ, (Read(9, 258, CELLS).pack(SIZE), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(v=156), 0), Status.LIMIT),  # 2.019 V, v_set is 2 V
    (Verb.PULSE, (pulse(v=-194), 0), Status.LIMIT),  # -2.511 V, v_reset is 2.5 V
    (Verb.PULSE, (pulse(v=256), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(v=-32768), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(ticks=0), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(ticks=9), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(ticks=10001), 0), Status.LIMIT),
    (Verb.PULSE, (pulse(count=301), 0), Status.LIMIT),
    (Verb.PULSE, ([b"\x64\0\0\0\0\0\0\4\0\1\0\1\0"], 0), Status.MALFORMED),  # form 4
    (Verb.PULSE, ([b"\x64\0\0\0\0\0\0\x08\0\1\0\1\0"], 0), Status.MALFORMED),  # form 8
    (Verb.PULSE, ([b"\x64\0\0\0\1\0\0\0\0\1\0\1\0"], 0), Status.LIMIT),  # read at 0 V
    (Verb.CONFIGURE, configure(v_read=0.21), Status.LIMIT),
    (Verb.CONFIGURE, configure(v_read=0.0), Status.LIMIT),
    (Verb.CONFIGURE, configure(v_read=np.nan), Status.MALFORMED),
    (Verb.CONFIGURE, configure(v_gate=5.1), Status.LIMIT),
    (Verb.CONFIGURE, configure(v_gate=-0.1), Status.LIMIT),
    (Verb.CONFIGURE, configure(i=0.0), Status.LIMIT),
    (Verb.CONFIGURE, configure(n=TILES + 1), Status.ADDRESS),
    (Verb.CONFIGURE, limits(v_set=2.1), Status.LIMIT),
    (Verb.CONFIGURE, limits(width_min=0.0), Status.LIMIT),
    (Verb.CONFIGURE, limits(v_read=0.15), Status.LIMIT),  # below the v_read of the same request
    (Verb.VMM, vmm(window=Window((2,), (0, 2), (0, 2))), Status.ADDRESS),
    (Verb.VMM, vmm(window=Window((0,), (5, 7), (0, 2))), Status.ADDRESS),
    (Verb.VMM, vmm(window=Window((0,), (0, 2), (4, 6))), Status.ADDRESS),
    (Verb.VMM, (vmm()[0], 3), Status.MALFORMED),
    (Verb.VMM, (vmm()[0], 4), Status.VERB),
    (Verb.VMM, ([*vmm()[0], b"x"], 0), Status.MALFORMED),
    (Verb.VMM, vmm(window=Window((0,), (2, 2), (0, 2))), Status.MALFORMED),
    (Verb.VMM, unfolded(channels=3, rows=4), Status.ADDRESS),  # more than fit
    (Verb.VMM, unfolded(channels=1, rows=4), Status.ADDRESS),  # nothing for the second tile
    (Verb.VMM, unfolded(channels=2, rows=5), Status.ADDRESS),  # no whole number of kernels
    (Verb.PAIRS, pairs(cols=(1, 3)), Status.MALFORMED),  # half pairs
    (Verb.PAIRS, pairs(cols=(4, 6)), Status.ADDRESS),
    (Verb.PAIRS, pairs(inputs=5), Status.ADDRESS),  # more than fit
    (Verb.PAIRS, pairs(inputs=2), Status.ADDRESS),  # nothing for the second tile
    (Verb.PAIRS, (pairs()[0], 2), Status.VERB),
    (Verb.PAIRS, ([bytes(7)], 0), Status.MALFORMED),  # no window
    (Verb.PAIRS, ([*pairs()[0], b"x"], 0), Status.MALFORMED),
    (Verb.WEIGHTS, ([bytes(4 * (TILES * COLS - 1))], 0), Status.MALFORMED),
    (Verb.WEIGHTS, (pack_weights(np.full(TILES * COLS, np.nan, np.float32)), 0), Status.LIMIT),
    (Verb.WEIGHTS, (pack_weights(np.full(TILES * COLS, 1e5, np.float32)), 0), Status.LIMIT),
    (Verb.COUNTERS, ([b""], 0), Status.MALFORMED),
    (Verb.REST, ([bytes(7)], 0), Status.MALFORMED),
    (Verb.REST, (pack_rest(np.inf), 0), Status.MALFORMED),
    (Verb.REST, (pack_rest(-1.0), 0), Status.LIMIT),
    (Verb.JOB, (Job("sing", {}, CELLS, ONES).pack(SIZE), 0), Status.CAPABILITY),
    (Verb.JOB, (Job("steady", {}, CELLS, ONES * np.inf).pack(SIZE), 0), Status.JOB),
    (Verb.JOB, ([b"\1\xff\0\0"], 0), Status.MALFORMED),  # a name that is not UTF-8
]


@pytest.mark.parametrize(("verb", "request_", "status"), REFUSED)
def test_refused_behind_the_wire(
    host: Host, hal: StubHal, verb: int, request_: tuple[list[Buffer], int], status: Status
) -> None:
    before = [call for call in hal.calls if call not in ("configure", "ground")]
    assert status_of(host.ask(verb, *request_)) == status
    assert [call for call in hal.calls if call not in ("configure", "ground")] == before
    assert host.info().limits == LIMITS
    assert host.info().converters == Converters(0.1, 4.0, 5e-6, (4e-5, 4e-5))
    assert host.ask(Verb.PULSE, pulse()).kind == Kind.REPLY  # and life goes on


def test_pairs_are_subtracted_by_the_weights_of_this_session(service: BoardService) -> None:
    """The stub numbers its products: column k of tile t in product p is 31 p + 7 (t + 1) k."""
    weights = np.full((TILES, COLS), 0.5, np.float32)
    weights[:, 1::2] = -3.0
    request, _ = pairs()
    for session, numbers in ((1, [-7, -14]), (2, [-7, -14])):
        host = Host(service, session)
        host.info()
        for first in (True, False):
            if not first:
                assert host.ask(Verb.WEIGHTS, pack_weights(weights)).kind == Kind.REPLY
                p = 31 * (2 * session - 1)
                # half to even
                numbers = [round(0.5 * p - 3.0 * (p + 7 * t)) for t in (1, 2)]
                numbers = [max(n, -256) for n in numbers]
            found, clipped = unpack_pairs(host.ask(Verb.PAIRS, request).payload, (1, 2, 1), 2)
            assert found.ravel().tolist() == numbers
            assert clipped.tolist() == [0, 0]
        host.ask(Verb.BYE, [])


def test_a_layer_is_read_once_whatever_its_inputs(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, flags = pairs()
    assert len(request[0]) < 32  # so short that codes follow soon
    expected = host.ask(Verb.PAIRS, request, flags).kind
    monkeypatch.setattr(Pairs, "unpack", None)
    codes = np.asarray(request[-1])
    for value in range(1, 4):
        again = [*request[:-1], np.full_like(codes, value)]
        assert host.ask(Verb.PAIRS, again, flags).kind == expected == Kind.REPLY


def test_two_tiles_must_ascend(host: Host) -> None:
    for tiles in ((1, 0), (1, 1)):
        request = dataclasses.replace(
            VMM, window=Window(tiles, (0, 2), (0, 2)), codes=np.zeros((2, 1, 2), np.uint8)
        )
        assert status_of(host.ask(Verb.VMM, request.pack())) == Status.ADDRESS


@pytest.mark.parametrize(("kernel", "size"), [((0, 2), 3), ((2, 2), 1)])
def test_impossible_maps(host: Host, kernel: tuple[int, int], size: int) -> None:
    codes = np.zeros((1, 2, size, size), np.uint8)
    request = Vmm(Window((0, 1), (0, 4), (0, 2)), codes, Unfold(kernel))
    assert status_of(host.ask(Verb.VMM, request.pack(), request.flags)) == Status.MALFORMED


def test_capabilities_are_the_hardwares() -> None:
    host = Host(BoardService(StubHal(frozenset())))
    assert host.info().capabilities == {"bulk", "counters", "pairs"}
    for request in (MAP, dataclasses.replace(VMM, transposed=True)):
        answer = host.ask(Verb.VMM, request.pack(), request.flags)
        assert status_of(answer) == Status.CAPABILITY
    assert status_of(host.ask(Verb.REST, pack_rest(1.0))) == Status.CAPABILITY


def test_a_hal_whose_cells_age_on_request_gives_a_virtual_clock(hal: StubHal) -> None:
    array = HalArray(hal)
    array.clock.sleep(7.0)
    assert hal.state.tolist() == [7] * SIZE
    assert array.clock.now() == 7.0
    assert isinstance(HalArray(StubHal(frozenset())).clock, RealClock)


def test_answers_too_long_for_the_host_are_refused(service: BoardService, hal: StubHal) -> None:
    host = Host(service)
    host.hello(max_frame=16 + 30)
    assert status_of(host.ask(Verb.READ, Read(9, 1, None).pack(SIZE))) == Status.TOO_LARGE
    n = SIZE
    step = Pulse(100, np.full(n, 9, np.int16), np.ones(n, np.uint16), None, 1, 9)
    assert status_of(host.ask(Verb.PULSE, step.pack(SIZE))) == Status.TOO_LARGE
    assert status_of(host.ask(Verb.COUNTERS, [b"\0"])) == Status.TOO_LARGE
    job = Job("steady", {}, None, np.ones(n, np.float32))
    assert status_of(host.ask(Verb.JOB, job.pack(SIZE))) == Status.TOO_LARGE
    assert not {"read", "pulse"} & set(hal.calls)


def test_frames_without_payload_and_session_0_are_refused(service: BoardService) -> None:
    assert status_of(Host(service).hello(max_frame=16)) == Status.MALFORMED
    assert status_of(Host(service, 0).hello()) == Status.MALFORMED


@given(st.integers(-256, 256), st.integers(0, 20000), st.integers(0, 500))
def test_no_pulse_beyond_the_limits_reaches_the_hardware(v: int, ticks: int, count: int) -> None:
    hal = StubHal()
    host = Host(BoardService(hal))
    host.hello()
    answer = host.ask(Verb.PULSE, pulse(v, ticks, count))
    volts, width = v * 3.3 / 255, ticks * 1e-8
    half = 3.3 / 255 / 2
    allowed = (
        -2.5 - half <= volts <= 2.0 + half and 1e-7 - 1e-12 <= width <= 1e-4 + 1e-12
    ) and count <= 300
    assert (answer.kind == Kind.REPLY) == allowed
    assert hal.pulses[CELLS].tolist() == ([count] * 3 if allowed and v else [0] * 3)


# limits, counters


def test_limits_tighten_for_the_session_only(
    host: Host, service: BoardService, hal: StubHal
) -> None:
    tight = dataclasses.replace(LIMITS, v_set=1.0, v_read=0.05)
    settings = dataclasses.replace(SETTINGS, v_read=0.05)
    request = Configure(settings, tight)
    assert host.ask(Verb.CONFIGURE, request.pack(), request.flags).kind == Kind.REPLY
    assert host.info().limits == tight
    assert host.info().converters == settings
    assert status_of(host.ask(Verb.PULSE, pulse(v=100))) == Status.LIMIT
    assert host.ask(Verb.PULSE, pulse(v=77)).kind == Kind.REPLY
    loose = Configure(settings, LIMITS)
    assert status_of(host.ask(Verb.CONFIGURE, loose.pack(), loose.flags)) == Status.LIMIT
    host.frame(Verb.BYE, [], 1)
    assert Host(service, 2).info().limits == LIMITS


def test_a_lower_read_limit_holds_for_the_settings_in_force(host: Host) -> None:
    """Codes are refused where the full scale is above the limit: it was set before the limit."""
    host.ask(Verb.CONFIGURE, Configure(SETTINGS).pack())
    hal = host.connection._service._hal
    hal.limits = dataclasses.replace(LIMITS, v_read=0.1)
    codes = np.full((1, 1, 2), 129, np.uint8)
    assert status_of(host.ask(Verb.READ, Read(129, 1, CELLS).pack(SIZE))) == Status.LIMIT
    assert status_of(host.ask(Verb.VMM, *vmm(codes=codes))) == Status.LIMIT
    assert host.ask(Verb.READ, Read(128, 1, CELLS).pack(SIZE)).kind == Kind.REPLY
    assert host.ask(Verb.VMM, *vmm(codes=codes - 1)).kind == Kind.REPLY


def test_counters_live_where_they_are_told_to(hal: StubHal) -> None:
    counts = np.zeros((TILES, ROWS, COLS), np.uint32)
    counts[0, 0, 0] = 40
    host = Host(BoardService(hal, counts=counts))
    host.hello()
    host.ask(Verb.PULSE, pulse(count=2))
    assert counts.reshape(-1)[CELLS].tolist() == [42, 2, 2]
    answer = host.ask(Verb.COUNTERS, [b"\2\2\0\0\0\x21\0"])
    assert np.frombuffer(answer.payload, "<u4").tolist() == [42, 2]


@pytest.mark.parametrize("shape", [(SIZE - 1,), (2 * SIZE,)])
def test_counters_must_fit(hal: StubHal, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one entry a cell"):
        BoardService(hal, counts=np.zeros(shape, np.uint32))


def test_counters_must_be_contiguous(hal: StubHal) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        BoardService(hal, counts=np.zeros((ROWS, COLS, TILES), np.uint32).transpose(2, 0, 1))


# watchdog, grounding, failures


def test_silence_grounds_once_and_the_next_pulse_lights_the_gate(host: Host, hal: StubHal) -> None:
    host.ask(Verb.PULSE, pulse())
    assert hal.lit
    grounds = hal.calls.count("ground")
    host.poll(1.75)
    assert hal.calls.count("ground") == grounds
    for now in (1.85, 2.5, 3.0):
        host.poll(now)
        assert hal.calls.count("ground") == grounds + 1
        assert not hal.lit
    assert host.ask(Verb.PULSE, pulse()).kind == Kind.REPLY
    assert hal.lit
    host.poll(10.0)
    assert hal.calls.count("ground") == grounds + 2


def test_a_job_waits_for_a_host_that_is_silent(
    host: Host, service: BoardService, hal: StubHal
) -> None:
    start = Job("steady", {}, CELLS, np.ones(3, np.float32)).pack(SIZE)
    assert host.frame(Verb.JOB, start, 1) == []
    assert service.busy
    assert host.poll(0.1) == []
    assert host.poll(5.0) == []
    assert not service.busy
    assert not hal.lit
    assert hal.pulses.sum() == 3
    host.frame(Verb.PING, [], 1)
    assert [len(host.poll(5.1)) for _ in range(3)] == [0, 0, 1]
    assert hal.pulses.sum() == 9
    assert not service.busy


def test_a_job_runs_between_other_frames(host: Host, service: BoardService, hal: StubHal) -> None:
    start = Job("steady", {}, CELLS, np.full(3, 2e-6, np.float32)).pack(SIZE)
    host.frame(Verb.JOB, start, 1)
    (stored,) = host.frame(Verb.PULSE, pulse(), 2)
    assert Report.unpack(stored.payload) == Report(next=1, have=0b11)
    (repeat,) = host.frame(Verb.JOB, start, 1)
    assert (repeat.kind, repeat.verb, repeat.seq) == (Kind.STATUS, Verb.JOB, 1)
    frames = [frame for k in range(5) for frame in host.poll(k / 10)]
    assert [(f.kind, f.verb, f.seq) for f in frames] == [
        (Kind.REPLY, Verb.JOB, 1),
        (Kind.REPLY, Verb.PULSE, 2),
    ]
    result = unpack_result(frames[0].payload, 3)
    assert result.rounds == 3
    assert result.pulses.tolist() == [3, 3, 3]
    assert result.converged.all()
    np.testing.assert_array_equal(result.current, np.full(3, np.float32(2e-6)))
    assert hal.pulses.sum() == 9 + 3


def test_ground_aborts_what_is_not_complete(host: Host, hal: StubHal) -> None:
    start = Job("steady", {"rounds": 99}, CELLS, np.ones(3, np.float32)).pack(SIZE)
    host.frame(Verb.JOB, start, 1)
    host.poll(0.1)
    host.frame(Verb.PULSE, pulse(), 2)
    host.frame(Verb.PULSE, pulse(), 4)
    aborted, second, grounded = host.frame(Verb.GROUND, pack_before(4), 9)
    assert [status_of(aborted), status_of(second)] == [Status.ABORTED] * 2
    assert (grounded.kind, grounded.verb, grounded.seq) == (Kind.REPLY, Verb.GROUND, 9)
    assert hal.pulses.sum() == 3
    assert not hal.lit
    third, fourth = host.frame(Verb.PULSE, pulse(), 3)  # arrives late, must not happen
    assert status_of(third) == Status.ABORTED
    assert fourth.kind == Kind.REPLY
    host.frame(Verb.GROUND, pack_before(4), 9)  # so does a repeated GROUND, and hurts nobody
    (fifth,) = host.frame(Verb.PULSE, pulse(), 5)
    assert fifth.kind == Kind.REPLY
    assert hal.pulses.sum() == 3 + 6


def test_bye_ends_a_job(host: Host, service: BoardService, hal: StubHal) -> None:
    start = Job("steady", {}, CELLS, np.ones(3, np.float32)).pack(SIZE)
    host.frame(Verb.JOB, start, 1)
    host.frame(Verb.BYE, [], 2)
    assert not service.busy
    host.poll(1.0)
    assert hal.pulses.sum() == 0


def test_a_new_session_ends_a_job(host: Host, service: BoardService, hal: StubHal) -> None:
    start = Job("steady", {}, CELLS, np.ones(3, np.float32)).pack(SIZE)
    host.frame(Verb.JOB, start, 1)
    other = Host(service, 2)
    other.now = 20.0
    other.hello()
    assert other.poll(20.1) == []
    assert not service.busy
    assert hal.pulses.sum() == 0


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"wrong": 1.0}, Status.JOB), ({"v": 2.5}, Status.LIMIT), ({"rounds": 0.0}, None)],
)
def test_how_jobs_end(
    host: Host, settings: dict[str, float], status: Status | None, hal: StubHal
) -> None:
    host.frame(Verb.JOB, Job("steady", settings, CELLS, np.ones(3, np.float32)).pack(SIZE), 1)
    (answer,) = host.poll(0.1)
    assert (status is None) == (answer.kind == Kind.REPLY)
    assert status is None or status_of(answer) == status
    assert hal.pulses.sum() == 0


def test_a_failing_job_is_an_error_of_the_hardware(host: Host, hal: StubHal) -> None:
    host.frame(Verb.JOB, Job("steady", {}, CELLS, np.ones(3, np.float32)).pack(SIZE), 1)
    hal.fails = OSError
    (answer,) = host.poll(0.1)
    assert status_of(answer) == Status.HARDWARE
    assert not hal.lit


def test_a_job_that_fails_while_it_is_ended_hurts_nobody(hal: StubHal) -> None:
    def stubborn(*_: Any) -> Generator[None, None, JobResult]:
        try:
            yield
        finally:
            raise OSError("no")

    service = BoardService(hal, {"stubborn": stubborn})
    host = Host(service)
    host.hello()
    host.frame(Verb.JOB, Job("stubborn", {}, CELLS, np.ones(3, np.float32)).pack(SIZE), 1)
    host.poll(0.1)
    answers = host.frame(Verb.GROUND, pack_before(2), 1)
    assert [answer.kind for answer in answers] == [Kind.ERROR, Kind.REPLY]


def test_failing_hardware_is_grounded_and_counted(host: Host, hal: StubHal) -> None:
    hal.fails = OSError
    answer = host.ask(Verb.PULSE, pulse())
    assert status_of(answer) == Status.HARDWARE
    assert unpack_error(answer.payload)[1] == "OSError: smoke"
    assert not hal.lit
    hal.fails = None
    counts = np.frombuffer(host.ask(Verb.COUNTERS, [b"\0"]).payload, "<u4")
    assert counts[CELLS].tolist() == [1, 1, 1]  # may have happened


def test_hardware_that_cannot_start_opens_no_session(service: BoardService, hal: StubHal) -> None:
    hal.fails = OSError
    host = Host(service)
    assert status_of(host.hello()) == Status.HARDWARE
    assert status_of(host.ask(Verb.PULSE, pulse())) == Status.NO_SESSION
    hal.fails = None
    assert host.hello().kind == Kind.REPLY


def test_a_ground_that_fails_does_not_end_the_link(
    host: Host, hal: StubHal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("stuck relay")

    monkeypatch.setattr(hal, "ground", fail)
    (answer,) = host.frame(Verb.GROUND, pack_before(1), 1)
    assert answer.kind == Kind.REPLY


def test_reads_are_packed_as_small_as_they_may_be(host: Host) -> None:
    assert len(host.ask(Verb.READ, Read(9, 1, CELLS).pack(SIZE)).payload) == 3
    answer = host.ask(Verb.READ, Read(9, 257, CELLS).pack(SIZE))
    assert len(answer.payload) == 3 * 2 + 1
    assert Codes.unpack(answer.payload, 3, 257, 255).sums.max() <= 257 * 255


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 3))
def test_nothing_a_host_sends_raises(payload: bytes, verb: int, flags: int) -> None:
    hal = StubHal()
    host = Host(BoardService(hal, {"steady": steady}))
    host.hello()
    host.frame(verb, [payload], 1, flags)
    host.frame(0x10 + verb % 6, [payload], 1, flags)
    host.frame(Verb.HELLO, [payload], 1)
    host.raw(payload + b"\0")
    for _ in range(3):
        host.poll(0.1)
    host.frame(Verb.PING, [], 7)
