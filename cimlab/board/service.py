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
import math
import secrets
from collections.abc import Callable, Generator, Mapping

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, CimArray, Floats, JobResult, Limits
from cimlab.core.errors import BoardError, CapabilityError, ConfigError, LimitError, LinkProtocol
from cimlab.core.pairs import Part
from cimlab.wire import messages, products, scaling, verbs
from cimlab.wire.board_session import BoardSession, Outbox
from cimlab.wire.fields import Reader
from cimlab.wire.frames import MAX_FRAME, Buffer, FrameDecoder, Verb
from cimlab.wire.status import Status

from .counting import CountingHal, check_vmm
from .hal import BoardHal
from .hal_array import HalArray

Settings = Mapping[str, float]
Job = Callable[[CimArray, Settings, Addresses, Floats], Generator[object, None, JobResult]]
"""An on-board programming protocol: a generator that yields after each round."""

WATCHDOG = 2.0
SILENCE = 0.9
"""Share of the watchdog time after which lines are grounded, so that they are once it is over."""
LEASE = 10.0
WINDOW = 8
JOB_CELLS = 8192
"""Cells that a job of the hardware's own takes at a time."""

_log = logging.getLogger(__name__)
_FLAGS: dict[int, int] = {
    Verb.CONFIGURE: messages.WITH_LIMITS,
    Verb.VMM: products.UNFOLD | products.TRANSPOSED,
    Verb.PAIRS: products.UNFOLD,
}


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
        self._size = hal.info.tiles * hal.info.rows * hal.info.cols
        self._all = np.arange(self._size, dtype=np.int64)
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
            self._array = HalArray(self._hal)
        except Exception as error:
            raise self._failure(error) from error
        self._weights = products.power_on_weights(self._hal.info.tiles, self._hal.info.cols)
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
            converters=self._array.converters,
            identity=hal.identity,
            capabilities=hal.capabilities
            | {"counters", "pairs"}
            | {f"job:{name}" for name in self._jobs},
        ).pack()

    def execute(self, verb: int, flags: int, payload: memoryview) -> list[Buffer] | None:
        """Do a numbered request; every failure becomes a BoardError."""
        try:
            return self._execute(verb, flags, payload)
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

    # numbered requests

    def _execute(self, verb: int, flags: int, payload: memoryview) -> list[Buffer] | None:
        if flags & ~_FLAGS.get(verb, 0):
            raise BoardError(Status.VERB, f"flags 0x{flags:02x} of verb 0x{verb:02x}")
        match verb:
            case Verb.CONFIGURE:
                return self._configure(messages.Configure.unpack(payload, flags))
            case Verb.READ:
                read = verbs.Read.unpack(payload, self._size)
                return self._read(read.code, read.averages, read.cells)
            case Verb.PULSE:
                return self._pulse(verbs.Pulse.unpack(payload, self._size))
            case Verb.VMM:
                return self._vmm(products.Vmm.unpack(payload, flags))
            case Verb.PAIRS:
                return self._pairs(products.Pairs.unpack(payload, flags))
            case Verb.WEIGHTS:
                info = self._hal.info
                weights = products.unpack_weights(payload, info.tiles, info.cols)
                self._weights = scaling.sixteen_bits(weights)
                return []
            case Verb.COUNTERS:
                return self._counters(payload)
            case Verb.REST:
                self._hal.relax(verbs.unpack_rest(payload))
                return []
            case Verb.JOB:
                self._start(verbs.Job.unpack(payload, self._size))
                return None
        raise BoardError(Status.VERB, f"unknown verb 0x{verb:02x}")

    def _configure(self, request: messages.Configure) -> list[Buffer]:
        limits, settings = self._hal.limits, self._array.converters
        if request.limits is not None:
            self._hal.limits = _tightened(limits, request.limits)
        try:
            self._array.configure(request.converters)
        except LimitError:
            self._hal.limits = limits
            self._array.configure(settings)
            raise
        return []

    def _read(self, code: int, averages: int, cells: Addresses | None) -> list[Buffer]:
        self._fits(verbs.Codes.length(verbs.count(cells, self._size), averages))
        sums, clipped = self._hal.read(code, self._all if cells is None else cells, averages)
        return verbs.Codes(sums, clipped).pack(averages)

    def _pulse(self, p: verbs.Pulse) -> list[Buffer]:
        if p.averages:  # refuse the read before the pulse is given
            self._fits(verbs.Codes.length(p.codes.size, p.averages))
            self._hal.check_read(p.code, p.averages)
        cells = self._all if p.cells is None else p.cells
        self._hal.pulse(cells, p.codes, p.ticks, p.counts)
        return self._read(p.code, p.averages, p.cells) if p.averages else []

    def _vmm(self, vmm: products.Vmm) -> list[Buffer]:
        check_vmm(vmm.codes.shape, vmm.window, vmm.unfold, vmm.transposed, self._hal.info)
        tiles, vectors, outputs = vmm.answer_shape
        self._fits(tiles * vectors * outputs)
        # a copy: hardware interfaces, and compiled code, want arrays that may be written
        codes = vmm.codes.copy()
        return [self._hal.convert(codes, vmm.window, vmm.unfold, vmm.transposed)]

    def _pairs(self, p: products.Pairs) -> list[Buffer]:
        info, parts = self._hal.info, []
        for w, wanted in zip(p.windows, p.wanted, strict=True):
            check_vmm(p.codes.shape, w, p.unfold, False, info)
            parts.append(Part(w, self._weights[list(w.tiles), slice(*w.cols)], wanted))
        self._fits(products.pairs_length(math.prod(p.answer_shape), p.tiles))
        return products.pack_pairs(*self._hal.convert_pairs(p.codes.copy(), parts, p.unfold))

    def _counters(self, payload: memoryview) -> list[Buffer]:
        reader = Reader(payload)
        cells = reader.cells(self._size)
        reader.end()
        self._fits(4 * verbs.count(cells, self._size))
        counts = self._hal.counts
        return [(counts if cells is None else counts[cells]).astype("<u4")]

    def _start(self, request: verbs.Job) -> None:
        native = f"job:{request.name}" in self._hal.info.capabilities
        if not native and request.name not in self._jobs:
            raise BoardError(Status.CAPABILITY, f"no job is called {request.name!r}")
        cells = self._all if request.cells is None else request.cells
        self._fits(verbs.result_length(cells.size))
        if not np.isfinite(request.target).all():
            raise BoardError(Status.JOB, "targets must be finite")
        target = request.target.astype(np.float64)
        if native:
            self._job = _in_parts(self._array, request.name, request.settings, cells, target)
        else:
            self._job = self._jobs[request.name](self._array, request.settings, cells, target)

    def _step(self, job: Generator[object, None, JobResult]) -> None:
        answer: list[Buffer] | BoardError
        try:
            next(job)
            return
        except StopIteration as stop:
            answer = verbs.pack_result(stop.value)
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            answer = BoardError(Status.JOB, f"{type(error).__name__}: {error}")
            self.ground()
        except Exception as error:
            answer = self._failure(error)
        self._job = None
        self._session.finish(answer)

    def _fits(self, length: int) -> None:
        if length > self._session.reply_max:
            raise BoardError(
                Status.TOO_LARGE,
                f"the answer has {length} bytes, frames carry {self._session.reply_max}",
            )

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

    def receive(self, data: bytes, now: float) -> bytes:
        """Take in bytes that arrived at time now (s, monotonic); returns bytes to send."""
        for frame in self._decoder.feed(data):
            self._session.receive(frame, self._outbox, now)
        return self._drain()

    def poll(self, now: float) -> bytes:
        """Let time pass; returns bytes to send."""
        self._service.poll(now)
        return self._drain()

    def _drain(self) -> bytes:
        data = self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox)
        self._outbox.clear()
        return data


def _in_parts(
    array: CimArray, name: str, settings: Settings, cells: Addresses, target: Floats
) -> Generator[object, None, JobResult]:
    """A job of the hardware's own, so many cells at a time: between two parts the link is heard."""
    parts = []
    for start in range(0, max(cells.size, 1), JOB_CELLS):
        span = slice(start, start + JOB_CELLS)
        parts.append(array.run_job(name, settings, cells[span], target[span]))
        yield parts[-1]
    return JobResult(
        np.concatenate([part.current for part in parts]),
        np.concatenate([part.pulses for part in parts]),
        np.concatenate([part.converged for part in parts]),
        max(part.rounds for part in parts),
    )


def _tightened(now: Limits, wanted: Limits) -> Limits:
    pairs = [
        (wanted.v_set, now.v_set),
        (wanted.v_reset, now.v_reset),
        (wanted.v_read, now.v_read),
        (now.width_min, wanted.width_min),
        (wanted.width_max, now.width_max),
        (wanted.count_max, now.count_max),
    ]
    if not all(tight <= loose for tight, loose in pairs):
        raise LimitError("limits may only become tighter")
    return wanted
