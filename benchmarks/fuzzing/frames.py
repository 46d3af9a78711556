"""Frames of the board link, in both directions."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import numpy as np
from fuzzing.topic import Topic, mutate

from cimlab.board.service import BoardService, Connection
from cimlab.core.array import CimArray, Limits, PairSum, Unfold, Window
from cimlab.core.guard import Guarded
from cimlab.drivers.soc import SocArray
from cimlab.mock_hw.board import Chip
from cimlab.mock_hw.devices import device
from cimlab.protocols import Ispp, WriteVerify
from cimlab.protocols.jobs import JOBS
from cimlab.wire.frames import Frame, FrameDecoder, Kind, Verb, encode
from cimlab.wire.messages import Info

CELLS = np.array([0, 5, 77], np.int64)
HONEST = 16
"""Most true answers before the first lie, so that every verb is lied to."""
LIES = 60
"""Made-up answers for each true one."""
PATIENCE = 0.2
"""Of the host, s: how long it listens to a liar."""


def service() -> BoardService:
    """A board on a small chip."""
    return BoardService(Chip(device("brram"), 2, 8, 8).hal(), JOBS, max_frame=1 << 16)


class ServiceStream:
    """A stream to a service in this process; keeps what goes either way."""

    def __init__(self, connection: Connection) -> None:
        self.sent, self.answers = bytearray(), bytearray()
        self._connection = connection
        self._back = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To the board."""
        self.sent += data
        self._back += self._connection.receive(bytes(data), time.monotonic())

    def read(self, timeout: float) -> bytes:
        """What the board has answered."""
        self._back += self._connection.poll(time.monotonic())
        data = bytes(self._back)
        self.answers += data
        self._back.clear()
        return data

    def close(self) -> None:
        """Nothing to release."""


def work(array: CimArray) -> None:
    """Every request that a host makes of a small chip."""
    array.configure(array.converters)
    array.read(0.1)
    array.read(0.1, CELLS, 3)
    array.pulse(1.0, 1e-6, 2, CELLS)
    array.pulse_and_read(np.array([1.0, -1.0, 0.5]), 1e-6, 0.1, CELLS, 1, 2)
    array.vmm(np.full((2, 3, 8), 0.05, np.float32))
    array.vmm_unfolded(
        np.full((1, 1, 4, 4), 0.05, np.float32), Unfold((2, 2)), Window((0,), (0, 4), (0, 8))
    )
    part = PairSum(
        Window((0, 1), (0, 4), (2, 6)),
        np.array([[1.0, -1.0, 0.99, -1.01]] * 2, np.float32),
        np.ones(2, np.float32),
        np.array([[0, 1], [1, -1]]),
        np.zeros(2, np.float32),
    )
    array.vmm_pairs(np.full((3, 8), 0.5, np.float32), 0.05, [part])
    maps = np.full((1, 1, 4, 4), 0.5, np.float32)
    array.vmm_pairs(maps, 0.05, [_first_tile(part)] * 2, Unfold((2, 2)))
    array.counters()
    for plan in (WriteVerify(), Ispp()):
        array.run_job(plan.job, plan.settings(), CELLS, np.full(CELLS.size, 2e-6))
    array.clock.sleep(1.0)
    array.ground()


def _first_tile(part: PairSum) -> PairSum:
    return replace(
        part,
        window=replace(part.window, tiles=(0,)),
        weights=part.weights[:1],
        scales=part.scales[:1],
        targets=part.targets[:1],
    )


def recorded(board: BoardService) -> ServiceStream:
    """A stream over which that work was done."""
    stream = ServiceStream(board.connect())
    with SocArray(lambda: stream) as array:
        work(array)
    return stream


class ToBoard(Topic):
    """Requests to a board, of several sessions over several streams."""

    def __init__(self) -> None:
        super().__init__()
        frames = FrameDecoder().feed(bytes(recorded(service()).sent))
        self._valid = [(frame.verb, bytes(frame.payload)) for frame in frames if frame]
        self._hello = next(payload for verb, payload in self._valid if verb == Verb.HELLO)
        self._service = service()
        self._connection = self._service.connect()
        self._now, self._seq, self._session = 0.0, 0, 0

    def attack(self, rng: random.Random) -> None:
        """See Topic."""
        self.items += 1
        if not self._session or rng.random() < 0.01:
            self._greet(rng)
        verb, payload = rng.choice(self._valid)
        if rng.random() < 0.6:
            payload = mutate(payload, rng)
        if rng.random() < 0.05:
            verb = rng.randrange(256)
        seq = (self._seq + rng.choice((0,) * 9 + (1, 2, 33, -1, 1 << 31))) % 2**32
        flags = rng.choice((0,) * 9 + (1,))
        data = encode(Kind.REQUEST, verb, self._session, seq, [payload], flags)
        if rng.random() < 0.1:
            data = mutate(data, rng)
        answer = self._connection.receive(data, self._now)
        self._now += rng.choice((0.0, 1e-3, 1e-3, 0.3))
        answer += self._connection.poll(self._now)
        for frame in FrameDecoder().feed(answer):
            self.said[Kind(frame.kind).name if frame else "broken"] += 1
            if frame and frame.kind in (Kind.REPLY, Kind.ERROR):
                self._seq = max(self._seq, frame.seq + 1)

    def _greet(self, rng: random.Random) -> None:
        """Come back by a new stream, or as a new host once the lease is over."""
        self._now += rng.choice((0.0, 100.0))
        self._session = rng.choice((max(self._session, 1), self._session + 1))
        self._connection = self._service.connect()
        hello = encode(Kind.REQUEST, Verb.HELLO, self._session, 0, [self._hello])
        (frame,) = FrameDecoder().feed(self._connection.receive(hello, self._now))
        if frame and frame.kind == Kind.REPLY:
            self._seq = Info.unpack(frame.payload).next


class ToHost(Topic):
    """Answers to a host: true ones, changed ones, made up ones."""

    def __init__(self) -> None:
        super().__init__()
        answers = FrameDecoder().feed(bytes(recorded(service()).answers))
        self._recorded = [frame for frame in answers if frame]
        self._board = service()

    def attack(self, rng: random.Random) -> None:
        """See Topic; some thousand frames a time."""

        def liar() -> Liar:
            return Liar(ServiceStream(self._board.connect()), self, self._recorded, rng)

        with Guarded(SocArray(liar, timeout=PATIENCE), Limits()) as array:
            work(array)


class Liar:
    """A stream whose board tells the truth at first, and then what the fuzzer wants."""

    def __init__(
        self, true: ServiceStream, topic: ToHost, others: list[Frame], rng: random.Random
    ) -> None:
        self._true, self._topic, self._others, self._rng = true, topic, others, rng
        self._honest = rng.randrange(HONEST)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To the true board."""
        self._true.write(data)

    def read(self, timeout: float) -> bytes:
        """Its answers and as many others, most of them changed, all of this session."""
        data, rng = self._true.read(0.0), self._rng
        frames = [frame for frame in FrameDecoder().feed(data) if frame]
        self._honest -= len(frames)
        if not frames or self._honest > 0:
            return data
        session, last = frames[-1].session, frames[-1].seq
        made_up = [
            frame._replace(session=session, seq=last + rng.randrange(-2, 4))
            for frame in rng.choices(self._others, k=LIES)
        ]
        self._topic.items += len(frames) + len(made_up)
        both = frames + made_up
        rng.shuffle(both)
        return b"".join(_lie(frame, rng) for frame in both)

    def close(self) -> None:
        """Nothing to release."""


def _lie(frame: Frame, rng: random.Random) -> bytes:
    """A frame on the wire: as it is, damaged, changed under a valid checksum, or garbage."""
    match rng.randrange(6):
        case 0:
            return mutate(_encoded(frame), rng)
        case 1 | 2:
            return _encoded(
                frame._replace(
                    kind=rng.choice((frame.kind, frame.kind, rng.randrange(256))),
                    verb=rng.choice((frame.verb, frame.verb, rng.randrange(256))),
                    flags=rng.choice((0, 1, 255)),
                    payload=memoryview(mutate(bytes(frame.payload), rng)),
                )
            )
        case 3:
            return rng.randbytes(rng.randrange(40)) + b"\0"
    return _encoded(frame)


def _encoded(frame: Frame) -> bytes:
    seq = frame.seq % 2**32
    return encode(frame.kind, frame.verb, frame.session, seq, [frame.payload], frame.flags)
