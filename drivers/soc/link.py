"""A host session on a real stream: sends requests, waits for answers, reconnects."""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cimlab.core.clock import Clock, RealClock
from cimlab.core.errors import BoardError, LinkClosed, LinkError
from cimlab.core.stream import Stream
from cimlab.wire.frames import Buffer, Verb
from cimlab.wire.host_session import HostSession
from cimlab.wire.messages import Info
from cimlab.wire.statistics import LinkStatistics

HEAD = 600
"""An allowance for a request's or an answer's fixed fields, bytes."""
REOPEN_PAUSE = 0.1
"""Wait between attempts to open the stream again, s."""
FAREWELL = 1.0
"""How long `close` waits for the board, s."""


class Request(NamedTuple):
    """A numbered request, not sent yet."""

    verb: Verb
    payload: list[Buffer]
    flags: int = 0


class BoardLink:
    """Blocking exchange of requests with one board; for one thread.

    Args:
        open_stream: Opens a stream to the board; called again when the stream breaks.
        token: What the board wants to be told.
        timeout: Give up when nothing has been answered for so long, s.
        clock: Tells the time; tests bring their own.
        bulk: The streams lose nothing (TCP): long payloads go as they are, behind their frames.

    Raises:
        LinkError: Nobody answers there.
        BoardError: The board is BUSY with another host, or wants another token.
    """

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        token: str = "",
        timeout: float = 10.0,
        clock: Clock | None = None,
        bulk: bool = False,
    ) -> None:
        self._clock = clock or RealClock()
        self._open_stream = open_stream
        self._session = HostSession(secrets.randbelow((1 << 32) - 1) + 1, token, timeout=timeout)
        self._end = math.inf  # of all patience, once the link is being closed
        self._work: Callable[[], None] | None = None
        self._stream: Stream | None = open_stream()
        try:
            self._session.connect(self._clock.now())
            while not self._session.ready:
                self._turn()
        except BaseException:
            self._drop_stream()
            raise
        self._bulk = bulk and "bulk" in self.info.capabilities

    @property
    def info(self) -> Info:
        """What the board said about itself."""
        assert self._session.info is not None  # noqa: S101 - known since the constructor
        return self._session.info

    @property
    def payload_max(self) -> int:
        """Longest payload of a request or an answer."""
        return self._session.payload_max

    @property
    def statistics(self) -> LinkStatistics:
        """What went over the link so far, as a copy."""
        return dataclasses.replace(self._session.statistics)

    def exchange(self, requests: Iterable[Request]) -> Iterator[memoryview]:
        """Payloads of the answers, in order; as many requests as may be are under way at once.

        The first of them are when this returns: what the caller still has to do costs no time.

        Raises:
            BoardError: The board refused or failed a request; those behind it are still waited for.
            LinkError: The link failed for good.
        """
        waiting, sent = iter(requests), deque[int]()
        upcoming = self._send(next(waiting, None), waiting, sent)
        return self._answers(upcoming, waiting, sent)

    def _send(
        self, upcoming: Request | None, waiting: Iterator[Request], sent: deque[int]
    ) -> Request | None:
        """Send what there is room for; the first that there is none for."""
        while upcoming is not None and self._session.room:
            sent.append(self._session.send(*upcoming, self._clock.now(), self._bulk))
            self._flush()  # the board begins while the next one is made
            upcoming = next(waiting, None)
        return upcoming

    def _answers(
        self, upcoming: Request | None, waiting: Iterator[Request], sent: deque[int]
    ) -> Iterator[memoryview]:
        failure: BoardError | None = None
        while upcoming is not None or sent:
            upcoming = self._send(upcoming, waiting, sent)
            try:
                answer = self._session.take(sent[0]) if sent else None
            except BoardError as error:
                failure, upcoming = failure or error, None
                sent.popleft()
                continue
            if answer is None:
                self._turn()
                continue
            sent.popleft()
            if failure is None:
                yield answer
        if failure is not None:
            raise failure

    def ask(self, request: Request) -> memoryview:
        """The payload of the answer to one request."""
        (answer,) = self.exchange([request])
        return answer

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Do this the next time that there is nothing to do but to wait."""
        self._work = work

    def ground(self) -> None:
        """Ground all lines; requests that are not complete are aborted."""
        self._finish(self._session.ground(self._clock.now()))

    def close(self) -> None:
        """GROUND, BYE, and release the stream; best effort, a second call does nothing."""
        if self._stream is None:
            return
        self._end = self._clock.now() + FAREWELL
        try:
            self._session.ground(self._clock.now())
            self._finish(self._session.bye(self._clock.now()))
        except (LinkError, BoardError):
            pass  # the board's watchdog grounds what we cannot
        finally:
            self._drop_stream()

    def _finish(self, key: int) -> None:
        while self._session.take(key) is None and self._clock.now() < self._end:
            self._turn()

    def _turn(self) -> None:
        """Write what is to be written, wait for bytes, take them in."""
        session = self._session
        stream = self._flush()
        if stream is None:
            return
        if self._work is not None:
            work, self._work = self._work, None
            work()
        try:
            data = stream.read(session.wait(self._clock.now()))
        except LinkError as error:
            self._reopen(error)
            return
        now = self._clock.now()
        if data:
            session.receive(data, now)
        session.poll(now)
        if session.astray:
            self._reopen(LinkClosed("bytes were lost on a connection that should not lose any"))

    def _flush(self) -> Stream | None:
        """Write what is to be written; the stream, or None if it broke and another was opened."""
        stream = self._stream
        if stream is None:
            raise LinkClosed("this link was closed; connect to the board again")
        try:
            if data := self._session.output():
                stream.write(data)
        except LinkError as error:
            self._reopen(error)
            return None
        return stream

    def _reopen(self, error: LinkError) -> None:
        """Open the stream again, until the session's patience ends."""
        self._drop_stream()
        while not self._session.expired(now := self._clock.now()) and now < self._end:
            try:
                self._stream = self._open_stream()
            except LinkError as again:
                error = again
                self._clock.sleep(REOPEN_PAUSE)
                continue
            self._session.connect(self._clock.now())
            return
        raise error

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
