"""The host's side of a session: what it sends when, and what it refuses to believe."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cimlab.core.array import Converters, Limits
from cimlab.core.errors import BoardError, LinkClosed, LinkProtocol, LinkTimeout
from cimlab.wire.frames import VERSION, Frame, FrameDecoder, Kind, Verb, encode
from cimlab.wire.host_session import STREAMS_MAX, HostSession
from cimlab.wire.messages import Hello, Info, Report, pack_error, unpack_before
from cimlab.wire.status import Status

ID = 77
BOOT = 5


def info(next_seq: int = 1, window: int = 4, watchdog: float = 3.0) -> Info:
    return Info(
        boot=BOOT,
        next=next_seq,
        max_frame=1000,
        window=window,
        tiles=1,
        rows=2,
        cols=3,
        dac_bits=8,
        adc_bits=8,
        origin="emulated",
        watchdog=watchdog,
        lease=10.0,
        v_pulse=3.3,
        v_gate=5.0,
        tick=1e-8,
        limits=Limits(),
        converters=Converters(0.1, 4.0, 5e-6, (4e-5,)),
        identity="nobody",
        capabilities=frozenset(),
    )


def sent(host: HostSession) -> list[Frame]:
    """What the host wants written, as frames."""
    return [frame for frame in FrameDecoder().feed(host.output()) if frame is not None]


def verbs(host: HostSession) -> list[tuple[int, int]]:
    """What the host wants written, as (verb, seq); for a PING only the verb."""
    return [(f.verb, 0 if f.verb == Verb.PING else f.seq) for f in sent(host)]


def reply(host: HostSession, verb: int, seq: int, payload: bytes = b"", now: float = 0.0) -> None:
    host.receive(encode(Kind.REPLY, verb, ID, seq, [payload]), now)


def error(host: HostSession, verb: int, seq: int, status: int) -> None:
    host.receive(encode(Kind.ERROR, verb, ID, seq, pack_error(status, "no")), 0.0)


def status(host: HostSession, verb: int, seq: int, report: Report, now: float = 0.0) -> None:
    host.receive(encode(Kind.STATUS, verb, ID, seq, report.pack()), now)


def welcome(host: HostSession, now: float = 0.0, **changes: int) -> None:
    """Connect and answer HELLO."""
    host.connect(now)
    (hello,) = sent(host)
    payload = b"".join(bytes(part) for part in info(**changes).pack())
    reply(host, Verb.HELLO, hello.seq, payload, now)


@pytest.fixture
def host() -> HostSession:
    session = HostSession(ID, timeout=5.0)
    welcome(session)
    assert session.ready
    assert session.output() == b""
    return session


def test_hello_ends_garbage_and_opens() -> None:
    host = HostSession(ID, token="sesame", max_frame=5000)
    host.connect(0.0)
    data = host.output()
    assert data[0] == 0
    (frame,) = FrameDecoder().feed(data)
    assert frame is not None
    assert (frame.kind, frame.verb, frame.session) == (Kind.REQUEST, Verb.HELLO, ID)
    assert Hello.unpack(frame.payload) == Hello(0, 5000, "sesame")
    assert not host.ready
    assert not host.room
    assert host.payload_max == 5000 - 16


def test_hello_is_repeated_until_answered(host: HostSession) -> None:
    late = HostSession(ID, timeout=5.0)
    late.connect(0.0)
    (hello,) = sent(late)
    late.poll(0.1)
    assert sent(late) == []
    late.poll(late.wait(0.0))
    assert [f.seq for f in sent(late)] == [hello.seq]
    with pytest.raises(LinkTimeout, match="answered nothing for 5 s"):
        late.poll(5.1)


@pytest.mark.parametrize("code", [Status.BUSY, Status.DENIED])
def test_a_refused_hello_is_a_board_error(code: Status) -> None:
    host = HostSession(ID)
    host.connect(0.0)
    (hello,) = sent(host)
    with pytest.raises(BoardError) as caught:
        error(host, Verb.HELLO, hello.seq, code)
    assert caught.value.code == code


def test_requests_are_numbered_and_held_to_the_window(host: HostSession) -> None:
    assert [host.send(Verb.READ, [b"x"], 0, 0.0) for _ in range(4)] == [1, 2, 3, 4]
    assert not host.room
    reply(host, Verb.READ, 2, b"two")
    assert not host.room  # the oldest is unanswered
    reply(host, Verb.READ, 1, b"one")
    assert host.room
    assert [host.take(seq) and bytes(host.take(seq) or b"") for seq in (3, 4)] == [None, None]
    assert bytes(host.take(1) or b"") == b"one"
    assert bytes(host.take(2) or b"") == b"two"
    assert host.take(1) is None


def test_an_error_is_raised_where_the_answer_is_taken(host: HostSession) -> None:
    seq = host.send(Verb.PULSE, [], 0, 0.0)
    error(host, Verb.PULSE, seq, Status.LIMIT)
    with pytest.raises(BoardError, match="no") as caught:
        host.take(seq)
    assert caught.value.code == Status.LIMIT


def test_a_gap_in_the_answers_is_a_lost_answer(host: HostSession) -> None:
    for _ in range(3):
        host.send(Verb.READ, [], 0, 0.0)
    host.output()
    reply(host, Verb.READ, 2)
    assert verbs(host) == [(Verb.READ, 1)]
    reply(host, Verb.READ, 3)  # was sent before the repeat: tells nothing new
    assert verbs(host) == []
    assert host.statistics.retries == 1


def test_a_status_tells_lost_requests_from_slow_ones(host: HostSession) -> None:
    for _ in range(4):
        host.send(Verb.READ, [], 0, 0.0)
    host.output()
    # 2 is missing, 3 made the board say so; 4 may be under way still
    status(host, Verb.READ, 3, Report(next=2, have=0b10))
    assert verbs(host) == [(Verb.READ, 1), (Verb.READ, 2)]
    status(host, Verb.READ, 4, Report(next=2, have=0b110))
    assert verbs(host) == []  # the repeats are under way


def test_silence_draws_a_ping_whose_answer_draws_repeats(host: HostSession) -> None:
    host.send(Verb.JOB, [], 0, 0.0)
    host.send(Verb.READ, [], 0, 0.0)
    host.output()
    now = host.wait(0.0)
    assert 0 < now < 0.5
    host.poll(now)
    (ping,) = sent(host)
    assert ping.verb == Verb.PING
    assert host.wait(now) == pytest.approx(2 * now)
    status(host, Verb.PING, ping.seq, Report(next=1, have=0b01), now)
    assert verbs(host) == [(Verb.READ, 2)]


def test_a_ping_comes_often_enough_for_the_watchdog(host: HostSession) -> None:
    host.send(Verb.JOB, [], 0, 0.0)
    now, pings = 0.0, []
    while now < 60:
        now += host.wait(now)
        host.poll(now)
        for frame in sent(host):
            if frame.verb == Verb.PING:
                pings.append(now)
                status(host, Verb.PING, frame.seq, Report(next=1, have=1), now)
    assert max(b - a for a, b in pairwise(pings)) <= 1.0 + 1e-9
    assert len(pings) < 100


def test_slow_answers_make_the_host_patient(host: HostSession) -> None:
    now = 0.0
    for _ in range(50):
        seq = host.send(Verb.VMM, [], 0, now)
        now += 0.1
        reply(host, Verb.VMM, seq, now=now)
        host.take(seq)
    host.send(Verb.VMM, [], 0, now)
    assert 0.3 < host.wait(now) < 0.5


def test_no_progress_is_a_timeout_whatever_else_arrives(host: HostSession) -> None:
    host.send(Verb.READ, [], 0, 0.0)
    for now in np.arange(0, 5, 0.01):
        # the board is there, but never gets the request
        status(host, Verb.PING, 10**6, Report(next=1, have=0), now)
        host.poll(now)
    with pytest.raises(LinkTimeout):
        host.poll(5.01)


def test_idleness_is_no_timeout(host: HostSession) -> None:
    host.poll(1000.0)
    host.send(Verb.READ, [], 0, 1000.0)
    host.poll(1001.0)


def test_broken_frames_draw_a_ping_while_something_is_unanswered(host: HostSession) -> None:
    host.receive(b"\5\5\0", 0.0)
    assert verbs(host) == []
    host.send(Verb.READ, [], 0, 0.0)
    host.output()
    host.receive(b"\5\5\0", 0.0)
    assert verbs(host) == [(Verb.PING, 0)]
    assert host.statistics.broken == 2


def test_a_frame_that_broke_on_its_way_there_is_repeated_at_once(host: HostSession) -> None:
    for _ in range(2):
        host.send(Verb.READ, [], 0, 0.0)
    host.output()
    status(host, 0, 0, Report(next=1, have=0))
    assert verbs(host) == [(Verb.READ, 1)]
    status(host, 0, 0, Report(next=1, have=1))  # has it: what broke was something else
    assert verbs(host) == []


def test_late_and_foreign_frames_are_ignored(host: HostSession) -> None:
    seq = host.send(Verb.READ, [], 0, 0.0)
    reply(host, Verb.READ, seq, b"first")
    reply(host, Verb.READ, seq, b"again")
    reply(host, Verb.GROUND, 9999)
    host.receive(encode(Kind.REPLY, Verb.READ, ID + 1, 55, []), 0.0)
    host.receive(encode(Kind.REQUEST, Verb.READ, ID, 1, []), 0.0)
    host.receive(encode(9, Verb.READ, ID, 1, []), 0.0)
    status(host, Verb.READ, seq, Report(next=2, have=0))
    assert bytes(host.take(seq) or b"") == b"first"
    assert verbs(host) == [(Verb.READ, 1)]


def test_lies_are_protocol_errors(host: HostSession) -> None:
    with pytest.raises(LinkProtocol, match="never sent"):
        reply(host, Verb.READ, 1)
    seq = host.send(Verb.READ, [], 0, 0.0)
    with pytest.raises(LinkProtocol, match="answers to"):
        reply(host, Verb.PULSE, seq)
    with pytest.raises(LinkProtocol, match="answers to"):
        reply(host, Verb.BYE, -host.ground(0.0))
    with pytest.raises(LinkProtocol, match="too short"):
        host.receive(encode(Kind.STATUS, Verb.PING, ID, 1, []), 0.0)
    with pytest.raises(LinkProtocol, match="does not speak"):
        error(host, Verb.READ, seq, Status.VERSION)


def test_another_version_is_a_protocol_error(host: HostSession, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("cimlab.wire.frames.VERSION", VERSION + 1)
    with pytest.raises(LinkProtocol, match="version 2"):
        reply(host, Verb.READ, 1)


@pytest.mark.parametrize("code", [Status.NO_SESSION, Status.RESTARTED])
def test_a_lost_session_closes_the_link(host: HostSession, code: Status) -> None:
    seq = host.send(Verb.PULSE, [], 0, 0.0)
    with pytest.raises(LinkClosed, match="the board"):
        error(host, Verb.PULSE, seq, code)


def test_ground_covers_everything_sent_so_far(host: HostSession) -> None:
    host.send(Verb.JOB, [], 0, 0.0)
    host.output()
    key = host.ground(0.0)
    (frame,) = sent(host)
    assert unpack_before(frame.payload) == 2
    assert host.take(key) is None
    host.poll(host.wait(0.0))
    repeated, ping = sent(host)
    assert (repeated.verb, repeated.seq) == (Verb.GROUND, frame.seq)
    assert ping.verb == Verb.PING
    reply(host, Verb.GROUND, frame.seq)
    payload = host.take(key)
    assert payload is not None
    assert not len(payload)


def test_a_new_stream_resumes_and_repeats(host: HostSession) -> None:
    for _ in range(3):
        host.send(Verb.PULSE, [], 0, 0.0)
    reply(host, Verb.PULSE, 1)
    host.receive(b"half a frame", 0.0)
    host.connect(1.0)
    assert not host.room
    (hello,) = sent(host)
    assert Hello.unpack(hello.payload).boot == BOOT
    host.poll(2.0)
    assert verbs(host) == [(Verb.HELLO, hello.seq)]
    payload = b"".join(bytes(part) for part in info(next_seq=3).pack())
    reply(host, Verb.HELLO, hello.seq, payload)
    assert verbs(host) == [(Verb.PULSE, 2), (Verb.PULSE, 3)]
    assert host.statistics.reconnects == 1


def test_an_answer_may_overtake_the_welcome(host: HostSession) -> None:
    """On a stream that does not keep the order: INFO then tells of a number answered meanwhile."""
    for _ in range(2):
        host.send(Verb.PULSE, [], 0, 0.0)
    host.connect(1.0)
    (hello,) = sent(host)
    reply(host, Verb.PULSE, 1)
    payload = b"".join(bytes(part) for part in info(next_seq=1).pack())
    reply(host, Verb.HELLO, hello.seq, payload)
    assert verbs(host) == [(Verb.PULSE, 2)]


@pytest.mark.parametrize("expected", [1, 4])
def test_a_board_at_an_impossible_number_is_refused(host: HostSession, expected: int) -> None:
    for seq in (1, 2):
        host.send(Verb.PULSE, [], 0, 0.0)
        if seq == 1:
            reply(host, Verb.PULSE, 1)
    with pytest.raises(LinkProtocol, match="expects request"):
        welcome(host, next_seq=expected)


def test_streams_that_break_again_and_again_are_given_up(host: HostSession) -> None:
    host.send(Verb.PULSE, [], 0, 0.0)
    for _ in range(STREAMS_MAX - 1):  # the first one answered HELLO, too
        welcome(host)
    with pytest.raises(LinkClosed, match="streams broke"):
        welcome(host)
    assert not host.expired(0.0)


def test_impossible_boards_are_refused() -> None:
    host = HostSession(ID)
    with pytest.raises(LinkProtocol, match="impossible"):
        welcome(host, window=0)
