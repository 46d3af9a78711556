"""The board's side of the link on top of a HAL: bytes in, bytes out, no sockets or threads.

    service = BoardService(hal)
    connection = service.connect()             # one for each stream
    answer = connection.receive(data, now)     # whenever bytes arrive
    answer = connection.poll(now)              # now and then; at once while service.busy

Everything is called from one thread. Whatever arrives, nothing is raised: requests are refused
or fail with an ERROR frame, and a HAL that fails is grounded.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, CimArray, Floats, JobResult, Limits
from cimlab.core.errors import BoardError, CapabilityError, ConfigError, LimitError, LinkProtocol
from cimlab.wire import messages, verbs
from cimlab.wire.board_session import BoardSession, Outbox
from cimlab.wire.frames import MAX_FRAME, Buffer, FrameDecoder, Verb
from cimlab.wire.status import Status

from .counting import CountingHal
from .hal import BoardHal
from .requests import Requests, check_flags

Settings = Mapping[str, float]
Job = Callable[[CimArray, Settings, Addresses, Floats], Generator[object, None, JobResult]]
"""An on-board programming protocol: a generator that yields after each round."""

WATCHDOG = 2.0
SILENCE = 0.9
"""Share of the watchdog time after which lines are grounded, so that they are once it is over."""
LEASE = 10.0
WINDOW = 8
REST_OF_BULK = 0.2
"""Silence after which the rest of a payload behind its frame is taken for lost, s."""
JOB_CELLS = 8192
"""Cells that a job of the hardware's own takes at a time."""

_log = logging.getLogger(__name__)


class BoardService:
    """Serves one HAL to one session at a time.

    Args:
        hal: The hardware.
        jobs: On-board programming protocols by name, each a capability "job:<name>".
        counts: Where pulses are counted, see CountingHal.
        token: What hosts must say to be let in; None lets everyone in.
        watchdog: Lines are at 0 V when nothing was heard from the session's host for so long, s;
            if `poll` is called a tenth of it later at most.
        lease: How long a silent host keeps others out, s.
        max_frame: Longest frame body accepted or sent.
        window: Requests that may be outstanding.
        boot: Boot id; drawn at random if None.
    """

    def __init__(
        self,
        hal: BoardHal,
        jobs: Mapping[str, Job] | None = None,
        *,
        counts: NDArray[np.uint32] | None = None,
        token: str | None = None,
        watchdog: float = WATCHDOG,
        lease: float = LEASE,
        max_frame: int = MAX_FRAME,
        window: int = WINDOW,
        boot: int | None = None,
    ) -> None:
        self.watchdog = watchdog
        self._jobs = dict(jobs or {})
        self._hal = CountingHal(hal, counts)
        self._limits: Limits = hal.info.limits
        self._job: Generator[object, None, JobResult] | None = None
        self._silent = False
        self._grounded_for: float | None = None  # the silence that began then was dealt with
        boot = boot or secrets.randbelow((1 << 32) - 1) + 1
        self._session = BoardSession(self, boot, max_frame, window, lease, token)
        self.opened()

    @property
    def busy(self) -> bool:
        """Whether a job runs: poll again at once."""
        return self._job is not None and not self._silent

    def connect(self) -> Connection:
        """A new stream is there."""
        return Connection(self, self._session)

    def poll(self, now: float) -> None:
        """Let time pass: the watchdog, and one round of a running job."""
        heard = self._session.heard
        self._silent = heard is not None and now - heard >= SILENCE * self.watchdog
        if self._silent and heard != self._grounded_for:
            _log.info("nothing heard for %g s: grounding", SILENCE * self.watchdog)
            self.ground()
            self._grounded_for = heard
        if self._job is not None and not self._silent:
            self._step(self._job)

    # what the session asks for: see wire.board_session.Board

    def opened(self) -> None:
        """Forget the last session; limits and converters as after power-on."""
        self.abort()
        self._hal.limits = self._limits
        try:
            self._requests = Requests(self._hal, lambda: self._session.reply_max)
        except Exception as error:
            raise self._failure(error) from error
        self.ground()

    def info(self, next_seq: int) -> list[Buffer]:
        """INFO."""
        hal, session = self._hal.info, self._session
        return messages.Info(
            boot=session.boot,
            next=next_seq,
            max_frame=session.max_frame,
            window=session.window,
            tiles=hal.tiles,
            rows=hal.rows,
            cols=hal.cols,
            dac_bits=hal.dac_bits,
            adc_bits=hal.adc_bits,
            origin=hal.origin,
            watchdog=self.watchdog,
            lease=session.lease,
            v_pulse=hal.v_pulse,
            v_gate=hal.v_gate,
            tick=hal.tick,
            limits=hal.limits,
            converters=self._requests.array.converters,
            identity=hal.identity,
            capabilities=hal.capabilities
            | {"bulk", "counters", "pairs"}
            | {f"job:{name}" for name in self._jobs},
        ).pack()

    def execute(self, verb: int, flags: int, payload: memoryview) -> list[Buffer] | None:
        """Do a numbered request; every failure becomes a BoardError."""
        try:
            check_flags(verb, flags)
            if verb == Verb.JOB:
                return self._start(verbs.Job.unpack(payload, self._requests.size))
            return self._requests.execute(verb, flags, payload)
        except (BoardError, LinkProtocol):
            raise
        except Exception as error:
            raise self._failure(error) from error

    def abort(self) -> None:
        """End the running job, if there is one."""
        if self._job is not None:
            job, self._job = self._job, None
            try:
                job.close()
            except Exception:
                _log.exception("a job failed while it was ended")

    def ground(self) -> None:
        """Every line at 0 V."""
        try:
            self._hal.ground()
        except Exception:  # a HAL must not, but the link has to live on
            _log.exception("the hardware failed to ground")

    def _start(self, request: verbs.Job) -> list[Buffer] | None:
        """Begin a job; its reply if it is done at once."""
        native = f"job:{request.name}" in self._hal.info.capabilities
        if not native and request.name not in self._jobs:
            raise BoardError(Status.CAPABILITY, f"no job is called {request.name!r}")
        cells = self._requests.cells(request.cells)
        self._requests.fits(verbs.result_length(cells.size))
        if not np.isfinite(request.target).all():
            raise BoardError(Status.JOB, "targets must be finite")
        target, array = request.target, self._requests.array
        if native:
            self._job = _in_parts(array, request.name, request.settings, cells, target)
            return self._round(self._job)  # of a few cells that is all
        goal = target.astype(np.float64)  # protocols compute in double precision
        self._job = self._jobs[request.name](array, request.settings, cells, goal)
        return None

    def _step(self, job: Generator[object, None, JobResult]) -> None:
        answer: list[Buffer] | BoardError | None
        try:
            answer = self._round(job)
        except BoardError as error:
            answer = error
        if answer is not None:
            self._session.finish(answer)

    def _round(self, job: Generator[object, None, JobResult]) -> list[Buffer] | None:
        """One round of a job; its reply once it is done."""
        try:
            next(job)
            return None
        except StopIteration as stop:
            self._job = None
            return verbs.pack_result(stop.value)
        except Exception as error:
            self._job = None
            if isinstance(error, ConfigError | KeyError | TypeError | ValueError):
                self.ground()
                raise BoardError(Status.JOB, f"{type(error).__name__}: {error}") from error
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> BoardError:
        match error:
            case BoardError():
                return error
            case LimitError():
                return BoardError(Status.LIMIT, str(error))
            case ConfigError():
                return BoardError(Status.ADDRESS, str(error))
            case CapabilityError():
                return BoardError(Status.CAPABILITY, str(error))
        _log.error("the hardware failed", exc_info=error)
        self.ground()
        return BoardError(Status.HARDWARE, f"{type(error).__name__}: {error}")


class Connection:
    """One stream to the board; made by `BoardService.connect`."""

    def __init__(self, service: BoardService, session: BoardSession) -> None:
        self._service = service
        self._session = session
        self._decoder = FrameDecoder(session.max_frame)
        self._outbox: Outbox = []
        self._heard = 0.0

    def receive(self, data: bytes, now: float) -> bytes:
        """Take in bytes that arrived at time now (s, monotonic); returns bytes to send."""
        return b"".join(self.answers(data, now))

    def answers(self, data: bytes, now: float) -> Iterator[bytes]:
        """The same, frame by frame: an answer can leave while the next request is worked on."""
        self._heard = now
        for frame in self._decoder.feed(data):
            self._session.receive(frame, self._outbox, now)
            yield self._drain()

    def poll(self, now: float) -> bytes:
        """Let time pass; returns bytes to send."""
        self._service.poll(now)
        if now - self._heard > REST_OF_BULK and self._decoder.give_up():
            self._session.receive(None, self._outbox, now)
        return self._drain()

    def _drain(self) -> bytes:
        data = self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox)
        self._outbox.clear()
        return data


def _in_parts(
    array: CimArray, name: str, settings: Settings, cells: Addresses, target: Floats
) -> Generator[object, None, JobResult]:
    """A job of the hardware's own, so many cells at a time: between two parts the link is heard."""
    parts: list[JobResult] = []
    for start in range(0, max(cells.size, 1), JOB_CELLS):
        if parts:
            yield parts[-1]
        span = slice(start, start + JOB_CELLS)
        parts.append(array.run_job(name, settings, cells[span], target[span]))
    return JobResult.joined(parts)
