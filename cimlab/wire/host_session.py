"""The host's side of a session (docs/wire.md 2 and 4), sans-IO: no sockets, threads or clock.

Numbered requests go out within the board's window; what was lost goes out again. The stream keeps
the order of frames, so a loss shows as soon as something sent later is answered: every
transmission gets a number in order, and a PING carries it as its tag.
"""

from __future__ import annotations

from dataclasses import dataclass

from cimlab.core.errors import BoardError, LinkClosed, LinkProtocol, LinkTimeout

from .frames import MAX_FRAME, OVERHEAD, VERSION, Buffer, Frame, FrameDecoder, Kind, Verb, encode
from .messages import Hello, Info, Report, pack_before, unpack_error
from .patience import Patience
from .statistics import LinkStatistics
from .status import Status

STREAMS_MAX = 20
"""Most streams in a row that break before a request is answered."""

_LOST = {
    Status.NO_SESSION: "the board has given this session to another host, or lost it",
    Status.RESTARTED: "the board restarted, so it is unknown whether the last pulses happened",
}


@dataclass(slots=True)
class _Pending:
    """A request without an answer."""

    verb: int
    data: bytes
    order: int
    sent: float
    repeated: bool = False


class HostSession:
    """One session with one board, over any number of streams one after another.

    Args:
        session: Its id, drawn at random by the caller, 1 .. 2**32 - 1.
        token: What the board wants to be told.
        max_frame: Longest body that is accepted.
        timeout: Give up when nothing has been answered for so long, s.

    Attributes:
        info: What the board said about itself; None until it did.
        statistics: What went over the link so far.
        astray: Bytes were lost on a stream that carries bulk payloads: no telling where a frame
            begins. The owner opens another one.
    """

    def __init__(
        self, session: int, token: str = "", max_frame: int = MAX_FRAME, timeout: float = 10.0
    ) -> None:
        self.info: Info | None = None
        self.statistics = LinkStatistics()
        self._id = session
        self._token = token
        self._patience = Patience(timeout)
        self._decoder = FrameDecoder(max_frame)
        self._out: list[bytes] = []
        self._next = 1
        self._order = 0
        self._pending: dict[int, _Pending] = {}  # numbered, by number
        self._calls: dict[int, _Pending] = {}  # HELLO, GROUND, BYE, by tag
        self._answers: dict[int, Frame] = {}  # by number, or minus tag
        self._ready = False
        self._streams = 0
        self._greeted = self._next
        self._bulk = False
        self.astray = False

    # what the owner asks for

    def connect(self, now: float) -> None:
        """A stream is open: say HELLO on it, and repeat what is unanswered once that is answered.

        Raises:
            LinkClosed: Streams break again and again without one request answered.
        """
        self._streams += 1
        if self._streams > STREAMS_MAX:
            raise LinkClosed(f"{STREAMS_MAX} streams broke before one request was answered")
        if self.info is None:
            self._patience.progress(now)
        else:
            self.statistics.reconnects += 1
        self._ready = self.astray = False
        self._decoder.reset()
        self._out = [b"\0"]
        self._calls = {t: p for t, p in self._calls.items() if p.verb != Verb.HELLO}
        # answers may overtake INFO on a stream that does not keep the order
        self._greeted = min(self._pending, default=self._next)
        boot = self.info.boot if self.info else 0
        self._call(Verb.HELLO, Hello(boot, self._decoder.max_frame, self._token).pack(), now)

    @property
    def ready(self) -> bool:
        """Whether the board has answered HELLO on this stream."""
        return self._ready

    @property
    def room(self) -> bool:
        """Whether another numbered request may be sent now."""
        oldest = min(self._pending, default=self._next)
        return self._ready and self.info is not None and self._next - oldest < self.info.window

    @property
    def payload_max(self) -> int:
        """Longest payload that both sides accept."""
        limit = self._decoder.max_frame
        return (min(limit, self.info.max_frame) if self.info else limit) - OVERHEAD

    def send(
        self, verb: Verb, payload: list[Buffer], flags: int, now: float, bulk: bool = False
    ) -> int:
        """Send a numbered request, for which there must be room; returns its number.

        bulk: Long payloads, of its answer too, go behind their frames.
        """
        if not (self._pending or self._calls):
            self._patience.progress(now)
        self._bulk |= bulk
        seq = self._next
        self._next += 1
        self.statistics.requests += 1
        data = encode(Kind.REQUEST, verb, self._id, seq, payload, flags, bulk)
        self._pending[seq] = self._transmit(verb, data, now)
        return seq

    def ground(self, now: float) -> int:
        """Send GROUND; every request sent so far that is not complete is aborted."""
        return self._call(Verb.GROUND, pack_before(self._next), now)

    def bye(self, now: float) -> int:
        """Send BYE."""
        return self._call(Verb.BYE, [], now)

    def take(self, key: int) -> memoryview | None:
        """The payload of the reply to what `send`, `ground` or `bye` returned; None while it lacks.

        Raises:
            BoardError: The board refused or failed it.
        """
        frame = self._answers.pop(key, None)
        if frame is None:
            return None
        if frame.kind == Kind.ERROR:
            raise BoardError(*unpack_error(frame.payload))
        return frame.payload

    def output(self) -> bytes:
        """What is to be written to the stream now."""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self.statistics.bytes_out += len(data)
        return data

    # what happens to it

    def receive(self, data: bytes, now: float) -> None:
        """Take in what arrived.

        Raises:
            LinkClosed: The board restarted, or gave the session away.
            LinkProtocol: Something that docs/wire.md does not allow.
            BoardError: The board refused HELLO.
        """
        self.statistics.bytes_in += len(data)
        self._patience.heard(now)
        for frame in self._decoder.feed(data):
            if frame is None:
                self.statistics.broken += 1
                if self._bulk:
                    self.astray = True
                elif self._ready and self._pending:
                    self._ping(now)
                continue
            self.statistics.frames += 1
            if frame.session == self._id:
                self._take_in(frame, now)

    def wait(self, now: float) -> float:
        """Seconds until `poll` has something to do, unless bytes arrive before."""
        return self._patience.wait(now)

    def poll(self, now: float) -> None:
        """Ask what became of requests that are unanswered for too long.

        Raises:
            LinkTimeout: Nothing was answered for `timeout` seconds.
        """
        if not (self._pending or self._calls):
            return
        if self.expired(now):
            raise LinkTimeout(
                f"the board answered nothing for {self._patience.timeout:g} s; is it on, and is "
                "the address right?"
            )
        if self.wait(now) == 0.0:
            if self._decoder.give_up():
                self.statistics.broken += 1
                self.astray = True
            for call in self._calls.values():
                self._repeat(call, now)
            if self._ready and self._pending:
                self._ping(now)
            self._patience.asked()

    def expired(self, now: float) -> bool:
        """Whether there was no progress for `timeout` seconds."""
        return self._patience.expired(now)

    def _take_in(self, frame: Frame, now: float) -> None:
        if frame.version != VERSION:
            raise LinkProtocol(f"the board speaks version {frame.version}, not {VERSION}")
        if frame.kind == Kind.STATUS:
            self._status(frame, now)
        elif frame.kind in (Kind.REPLY, Kind.ERROR):
            if frame.kind == Kind.ERROR:
                self._check_session(frame)
            if frame.verb >= Verb.CONFIGURE:
                self._answered(frame, now)
            elif frame.seq in self._calls:
                self._called(frame, now)

    def _check_session(self, frame: Frame) -> None:
        status, reason = unpack_error(frame.payload)
        if status == Status.VERSION:
            raise LinkProtocol(f"the board does not speak version {VERSION}: {reason}")
        if status in _LOST:
            raise LinkClosed(f"{_LOST[Status(status)]}; start again, or resume from a checkpoint")
        if frame.verb == Verb.HELLO:
            raise BoardError(status, reason)

    def _called(self, frame: Frame, now: float) -> None:
        call = self._calls.pop(frame.seq)
        if call.verb != frame.verb:
            raise LinkProtocol(f"verb 0x{frame.verb:02x} answers to 0x{call.verb:02x}")
        self._advanced(now)
        if frame.verb == Verb.HELLO:
            self._welcome(Info.unpack(frame.payload), now)
        else:
            self._answers[-frame.seq] = frame

    def _welcome(self, info: Info, now: float) -> None:
        first = self._greeted
        if not (first <= info.next or first == self._next) or info.next > self._next:
            raise LinkProtocol(f"the board expects request {info.next}, we are at {self._next}")
        self.info = info
        self._patience.watchdog = info.watchdog
        self._ready = True
        for pending in self._pending.values():
            self._repeat(pending, now)

    def _answered(self, frame: Frame, now: float) -> None:
        if not 0 < frame.seq < self._next:
            raise LinkProtocol(f"an answer to request {frame.seq}, which was never sent")
        pending = self._pending.pop(frame.seq, None)
        if pending is None:
            return
        if pending.verb != frame.verb:
            raise LinkProtocol(f"verb 0x{frame.verb:02x} answers to 0x{pending.verb:02x}")
        if not pending.repeated:
            self._patience.answered(now - pending.sent)
        self._advanced(now)
        self._streams = 0
        self._answers[frame.seq] = frame
        for seq, other in self._pending.items():
            if seq < frame.seq and other.order < pending.order:
                self._repeat(other, now)

    def _status(self, frame: Frame, now: float) -> None:
        report = Report.unpack(frame.payload)
        self.astray |= self._bulk and frame.verb == frame.seq == 0
        if frame.verb == Verb.PING:
            order = frame.seq
        elif frame.seq in self._pending:
            order = self._pending[frame.seq].order
        else:
            order = 0
        if report.has(min(self._pending, default=0)):
            self._patience.progress(now)
        for seq, pending in self._pending.items():
            broken = frame.seq == 0 and seq == report.next
            if (pending.order < order or broken) and not report.has(seq):
                self._repeat(pending, now)
                self._patience.hurry()

    def _advanced(self, now: float) -> None:
        self._patience.progress(now)
        self._patience.hurry()

    def _call(self, verb: Verb, payload: list[Buffer], now: float) -> int:
        tag = self._order + 1
        data = encode(Kind.REQUEST, verb, self._id, tag, payload)
        self._calls[tag] = self._transmit(verb, data, now)
        return -tag

    def _ping(self, now: float) -> None:
        data = encode(Kind.REQUEST, Verb.PING, self._id, self._order + 1, [])
        self._transmit(Verb.PING, data, now)

    def _repeat(self, pending: _Pending, now: float) -> None:
        again = self._transmit(pending.verb, pending.data, now)
        pending.order, pending.repeated = again.order, True
        self.statistics.retries += 1

    def _transmit(self, verb: int, data: bytes, now: float) -> _Pending:
        self._order += 1
        self._patience.heard(now)
        self.statistics.frames += 1
        self._out.append(data)
        return _Pending(verb, data, self._order, now)
