"""The board's side of a session (docs/wire.md 2 and 4), sans-IO: no sockets, threads or clock.

Frames of any number of connections go in; each number is handed to the board once, in order;
answers go to the outbox of the connection that the session's host spoke from last.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from cimlab.core.errors import BoardError, LinkProtocol

from .frames import FIRST_NUMBERED, OVERHEAD, VERSION, Buffer, Frame, Kind, Verb, encode
from .messages import Hello, Report, pack_error, unpack_before
from .status import Status

Outbox = list[bytes]


class Board(Protocol):
    """What a session asks of the board that it belongs to."""

    def opened(self) -> None:
        """A new session begins: forget the old one's job, limits and settings; ground."""
        ...

    def info(self, next_seq: int) -> list[Buffer]:
        """Payload of INFO."""
        ...

    def execute(self, verb: int, flags: int, payload: memoryview) -> list[Buffer] | None:
        """Do a numbered request and return its reply, or None if `finish` will bring it.

        Raises:
            BoardError: Refused or failed; becomes the ERROR.
        """
        ...

    def abort(self) -> None:
        """Drop the running job; the session answers for it."""
        ...

    def ground(self) -> None:
        """Every line at 0 V, now."""
        ...


@dataclass(slots=True)
class _Open:
    """The session that holds the board."""

    id: int
    reply_max: int
    outbox: Outbox
    heard: float
    next: int = 1
    halted: int = 0  # numbers below are aborted when their turn comes
    running: Frame | None = None


class BoardSession:
    """Keeps one session's numbers, window and reply cache.

    Args:
        board: Who executes.
        boot: Drawn at random by the caller when the board starts, never 0.
        max_frame: Longest body that is accepted or sent.
        window: Requests that may be outstanding, and answers that are kept.
        lease: How long a silent session keeps others out, s.
        token: What a HELLO must carry, if anything.
    """

    def __init__(
        self,
        board: Board,
        boot: int,
        max_frame: int,
        window: int,
        lease: float,
        token: str | None = None,
    ) -> None:
        self.boot, self.max_frame, self.window, self.lease = boot, max_frame, window, lease
        self._board = board
        self._token = token
        self._open: _Open | None = None
        self._stored: dict[int, Frame] = {}
        self._answers: OrderedDict[int, bytes] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Whether a session holds the board."""
        return self._open is not None

    @property
    def reply_max(self) -> int:
        """Longest payload that both sides accept."""
        return self._open.reply_max if self._open else self.max_frame - OVERHEAD

    @property
    def heard(self) -> float | None:
        """When the open session was heard last, s; None without one."""
        return self._open.heard if self._open else None

    def receive(self, frame: Frame | None, outbox: Outbox, now: float) -> None:
        """Take in a frame, or None for a broken one, that arrived with this outbox's connection."""
        if frame is None:
            if self._open and self._open.outbox is outbox:
                self._report(self._open, 0, 0)
        elif frame.kind != Kind.REQUEST:
            return
        elif frame.version != VERSION:
            _refuse(frame, outbox, BoardError(Status.VERSION, f"this board speaks {VERSION}"))
        else:
            try:
                self._request(frame, outbox, now)
            except BoardError as error:
                _refuse(frame, outbox, error)
            except LinkProtocol as error:
                _refuse(frame, outbox, BoardError(Status.MALFORMED, str(error)))

    def finish(self, answer: list[Buffer] | BoardError) -> None:
        """The answer to the request whose execution returned None."""
        session = self._open
        if session and session.running:
            self._answer(session, session.running, answer)
            self._advance(session)

    def _request(self, frame: Frame, outbox: Outbox, now: float) -> None:
        if frame.verb == Verb.HELLO and not frame.flags:
            self._hello(frame, outbox, now)
            return
        session = self._open
        if session is None or frame.session != session.id:
            if frame.verb == Verb.BYE:
                outbox.append(_answer_to(frame, []))
                return
            raise BoardError(Status.NO_SESSION, "this session is not open; say HELLO first")
        session.outbox, session.heard = outbox, now
        if frame.verb >= FIRST_NUMBERED:
            self._numbered(session, frame)
        elif frame.flags or frame.verb not in (Verb.PING, Verb.GROUND, Verb.BYE):
            raise BoardError(Status.VERB, f"unknown verb 0x{frame.verb:02x} or flags")
        elif frame.verb == Verb.PING:
            self._report(session, frame.verb, frame.seq)
        else:
            bye = frame.verb == Verb.BYE
            everything = session.next + self.window
            self._ground(session, everything if bye else unpack_before(frame.payload))
            if bye:
                self._open = None
            outbox.append(_answer_to(frame, []))

    def _hello(self, frame: Frame, outbox: Outbox, now: float) -> None:
        hello = Hello.unpack(frame.payload)
        session = self._open
        if self._token is not None and not hmac.compare_digest(
            hello.token.encode(), self._token.encode()
        ):
            raise BoardError(Status.DENIED, "wrong token")
        if hello.boot not in (0, self.boot):
            raise BoardError(Status.RESTARTED, "the board restarted since the session was opened")
        if not frame.session or hello.max_frame <= OVERHEAD:
            raise BoardError(Status.MALFORMED, "session 0, or frames without payload")
        if session is None or session.id != frame.session:
            if hello.boot:
                raise BoardError(Status.NO_SESSION, "the board has given that session away")
            if session is not None and now - session.heard < self.lease:
                raise BoardError(
                    Status.BUSY,
                    "another session holds the board; it can be taken over when that has been "
                    f"silent for {self.lease:g} s",
                )
            self._open = None  # and stays so if the board fails
            self._stored.clear()
            self._answers.clear()
            self._board.opened()
            session = self._open = _Open(frame.session, 0, outbox, now)
        session.outbox, session.heard = outbox, now
        session.reply_max = min(hello.max_frame, self.max_frame) - OVERHEAD
        outbox.append(_answer_to(frame, self._board.info(session.next)))

    def _numbered(self, session: _Open, frame: Frame) -> None:
        ahead = frame.seq - session.next
        if ahead < 0:
            if (cached := self._answers.get(frame.seq)) is not None:
                session.outbox.append(cached)
        elif ahead == 0 and not session.running:
            self._stored[frame.seq] = frame
            self._advance(session)
        elif ahead < self.window:
            if ahead:  # else it is running
                self._stored.setdefault(frame.seq, frame)
            self._report(session, frame.verb, frame.seq)

    def _advance(self, session: _Open) -> None:
        """Execute what is stored, in order, up to a gap or a job."""
        while not session.running and session.next in self._stored:
            frame = self._stored.pop(session.next)
            answer: list[Buffer] | BoardError | None
            try:
                if session.next < session.halted:
                    raise _aborted()
                answer = self._board.execute(frame.verb, frame.flags, frame.payload)
            except BoardError as error:
                answer = error
            except LinkProtocol as error:
                answer = BoardError(Status.MALFORMED, str(error))
            if answer is None:
                session.running = frame
            else:
                self._answer(session, frame, answer)

    def _answer(self, session: _Open, request: Frame, answer: list[Buffer] | BoardError) -> None:
        if isinstance(answer, BoardError):
            kind, payload = Kind.ERROR, pack_error(answer.code, answer.reason)
        else:
            kind, payload = Kind.REPLY, answer
        bulk = request.bulk and kind == Kind.REPLY
        data = encode(kind, request.verb, session.id, session.next, payload, bulk=bulk)
        self._answers[session.next] = data
        if len(self._answers) > self.window:
            self._answers.popitem(last=False)
        session.next += 1
        session.running = None
        session.outbox.append(data)

    def _ground(self, session: _Open, before: int) -> None:
        session.halted = max(session.halted, before)
        if session.running and session.next < before:
            self._board.abort()
            self._board.ground()
            self.finish(_aborted())
        else:
            self._board.ground()

    def _report(self, session: _Open, verb: int, seq: int) -> None:
        have = sum(1 << (s - session.next) for s in self._stored) | (session.running is not None)
        report = Report(session.next, have).pack()
        session.outbox.append(encode(Kind.STATUS, verb, session.id, seq, report))


def _aborted() -> BoardError:
    return BoardError(Status.ABORTED, "ended by GROUND")


def _answer_to(frame: Frame, payload: list[Buffer]) -> bytes:
    return encode(Kind.REPLY, frame.verb, frame.session, frame.seq, payload)


def _refuse(frame: Frame, outbox: Outbox, error: BoardError) -> None:
    payload = pack_error(error.code, error.reason)
    outbox.append(encode(Kind.ERROR, frame.verb, frame.session, frame.seq, payload))
