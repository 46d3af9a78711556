"""Hostile input: frames to the board and to the host, instrument messages, TOML and HDF5 files.

    python benchmarks/fuzz.py frames-to-board --items 1000000

Half of the input is a valid item with some bytes changed, cut out, repeated or put in; frames are
given a valid checksum most of the time, so that what is inside gets through to whoever reads it.
Allowed: an answer, a refusal, a typed error of cimlab. Counted: any other exception (a crash), an
item that takes more than some seconds (a hang), memory that grows. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from cimlab.core.errors import CimError

HANG_SECONDS = 10
Item = Callable[[random.Random], None]


class Hang(Exception):
    """An item took too long."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, repeated, or put in."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + rng.choice((1, 1, 4, 60))]
            case 2:
                out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 60)))
            case 3:
                out[at:at] = out[at : at + rng.choice((1, 4, 60))]
            case 4:
                word = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff", b"\x80\0\0\0"))
                out[at : at + len(word)] = word
    return bytes(out)


def frames_to_board() -> Item:
    """Requests to a board's service on a small chip, several sessions and streams."""
    from cimlab.board.service import BoardService
    from cimlab.mock_hw.board import Chip
    from cimlab.mock_hw.devices import device
    from cimlab.protocols.jobs import JOBS
    from cimlab.wire.frames import FrameDecoder, Kind, Verb, encode

    service = BoardService(Chip(device("brram"), 2, 8, 8).hal(), JOBS, max_frame=1 << 16)
    connection, now, seq, session = service.connect(), 0.0, 0, 0
    valid = list(_requests())
    hello = next(payload for verb, payload in valid if verb == Verb.HELLO)
    answers: Counter[str] = Counter()

    def item(rng: random.Random) -> None:
        nonlocal connection, now, seq, session
        if session == 0 or rng.random() < 0.01:  # come back, or a new host after the lease
            now += rng.choice((0.0, 100.0))
            session = rng.choice((max(session, 1), session + 1))
            connection = service.connect()
            data = connection.receive(encode(Kind.REQUEST, Verb.HELLO, session, 0, [hello]), now)
            (frame,) = FrameDecoder().feed(data)
            seq = _next(frame)
        verb, payload = rng.choice(valid)
        if rng.random() < 0.6:
            payload = mutate(payload, rng)
        if rng.random() < 0.05:
            verb = rng.randrange(256)
        number = (seq + rng.choice((0,) * 9 + (1, 2, 33, -1, 1 << 31))) % 2**32
        data = encode(Kind.REQUEST, verb, session, number, [payload], rng.choice((0,) * 9 + (1,)))
        if rng.random() < 0.1:
            data = mutate(data, rng)
        data = connection.receive(data, now)
        now += rng.choice((0.0, 1e-3, 1e-3, 0.3))
        data += connection.poll(now)
        for frame in FrameDecoder().feed(data):
            answers[Kind(frame.kind).name if frame else "broken"] += 1
            seq = max(seq, frame.seq + 1) if frame and frame.kind in (1, 2) else seq

    item.answers = answers  # type: ignore[attr-defined]
    return item


def _next(frame: object) -> int:
    """The number that the board waits for, as its answer to HELLO says; 0 if it refused."""
    from cimlab.wire.frames import Frame, Kind
    from cimlab.wire.messages import Info

    if not isinstance(frame, Frame) or frame.kind != Kind.REPLY:
        return 0
    return Info.unpack(frame.payload).next


def _requests() -> Iterator[tuple[int, bytes]]:
    """Every request that a host makes of a small chip, as (verb, payload)."""
    from cimlab.core.array import Unfold, Window
    from cimlab.drivers.soc import SocArray
    from cimlab.drivers.streams.memory import MemoryStream  # noqa: F401
    from cimlab.wire.frames import FrameDecoder, Verb

    sent = bytearray()
    with _board_in_memory(sent) as open_stream, SocArray(open_stream) as array:
        cells = np.array([0, 5, 77], np.int64)
        array.configure(array.converters)
        array.read(0.1)
        array.read(0.1, cells, 3)
        array.pulse(1.0, 1e-6, 2, cells)
        array.pulse_and_read(np.array([1.0, -1.0, 0.5]), 1e-6, 0.1, cells, 1, 2)
        array.vmm(np.full((2, 3, 8), 0.05, np.float32))
        array.vmm_unfolded(
            np.full((1, 1, 4, 4), 0.05, np.float32), Unfold((2, 2)), Window((0,), (0, 4), (0, 8))
        )
        array.counters()
        array.ground()
        for name in ("write_verify", "ispp"):
            if f"job:{name}" in array.spec.capabilities:
                plan = _plan(name)
                array.run_job(name, plan.settings(), cells, np.full(3, 2e-6))
    for frame in FrameDecoder().feed(bytes(sent)):
        if frame is not None:
            yield frame.verb, bytes(frame.payload)
    yield Verb.PING, b"12345678"


def _plan(name: str):
    from cimlab.protocols import Ispp, WriteVerify

    return {"write_verify": WriteVerify, "ispp": Ispp}[name]()


class _Recording:
    """A stream to a service in this process; keeps what the host writes, and the answers."""

    def __init__(self, connection, sent: bytearray, answers: bytearray) -> None:
        self._connection, self._sent, self._answers = connection, sent, answers
        self._back = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._sent += data
        self._back += self._connection.receive(bytes(data), time.monotonic())

    def read(self, timeout: float) -> bytes:
        self._back += self._connection.poll(time.monotonic())
        data = bytes(self._back)
        self._answers += data
        self._back.clear()
        return data

    def close(self) -> None:
        pass


class _board_in_memory:  # noqa: N801 - used as a function
    def __init__(self, sent: bytearray, answers: bytearray | None = None) -> None:
        from cimlab.board.service import BoardService
        from cimlab.mock_hw.board import Chip
        from cimlab.mock_hw.devices import device
        from cimlab.protocols.jobs import JOBS

        self._sent, self._answers = sent, bytearray() if answers is None else answers
        self._service = BoardService(Chip(device("brram"), 2, 8, 8).hal(), JOBS)

    def __enter__(self):
        return lambda: _Recording(self._service.connect(), self._sent, self._answers)

    def __exit__(self, *_: object) -> None:
        pass


def frames_to_host() -> Item:
    """Answers to a host's session: valid ones, changed ones, made up ones."""
    from cimlab.core.array import Limits
    from cimlab.core.guard import Guarded
    from cimlab.drivers.soc import SocArray
    from cimlab.wire.frames import Kind, Verb, encode

    sent, answers = bytearray(), bytearray()
    cells = np.array([0, 5, 77], np.int64)
    board = _board_in_memory(sent, answers)
    with board as open_stream, SocArray(open_stream) as array:
        array.read(0.1, cells)
        array.pulse_and_read(1.0, 1e-6, 0.1, cells)
        array.vmm(np.full((2, 3, 8), 0.05, np.float32))
        array.counters()
    recorded = [body + b"\0" for body in bytes(answers).split(b"\0") if body]

    class Liar:
        """A stream whose board tells the truth at first, and then whatever the fuzzer wants."""

        def __init__(self, rng: random.Random) -> None:
            self._rng = rng
            self._true = open_stream()
            self.items = 0

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self._true.write(data)

        def read(self, timeout: float) -> bytes:
            rng, data = self._rng, self._true.read(0.0)
            pieces = [body + b"\0" for body in data.split(b"\0") if body]
            out = b""
            for piece in pieces + rng.choices(recorded, k=60):
                self.items += 1
                out += self._lie(piece, rng)
            return out

        def _lie(self, piece: bytes, rng: random.Random) -> bytes:
            match rng.randrange(6):
                case 0:
                    return mutate(piece, rng)
                case 1 | 2:
                    from cimlab.wire.frames import decode

                    frame = decode(piece[:-1])
                    if frame is None:
                        return piece
                    return encode(
                        rng.choice((frame.kind, frame.kind, rng.randrange(256))),
                        rng.choice((frame.verb, frame.verb, rng.randrange(256))),
                        frame.session,
                        rng.choice((frame.seq, frame.seq + 1, rng.randrange(2**32))) % 2**32,
                        [mutate(bytes(frame.payload), rng)],
                        rng.choice((0, 1, 255)),
                    )
                case 3:
                    return rng.randbytes(rng.randrange(40)) + b"\0"
            return piece

        def close(self) -> None:
            pass

    def item(rng: random.Random) -> None:
        from cimlab.core.clock import VirtualClock

        streams: list[Liar] = []

        def liar() -> Liar:
            streams.append(Liar(rng))
            return streams[-1]

        try:
            with Guarded(SocArray(liar, timeout=0.2), Limits()) as array:
                array.read(0.1, cells)
                array.pulse_and_read(1.0, 1e-6, 0.1, cells)
                array.vmm(np.full((2, 3, 8), 0.05, np.float32))
                array.counters()
        finally:
            item.count += sum(stream.items for stream in streams)  # type: ignore[attr-defined]
        _ = (Kind, Verb, VirtualClock)

    item.count = 0  # type: ignore[attr-defined]
    return item


def instruments() -> Item:
    """Messages to every emulated instrument."""
    from cimlab.mock_hw.instruments import EMULATORS
    from cimlab.mock_hw.instruments.bench import Bench
    from cimlab.mock_hw.instruments.dut import dut

    bench = Bench(dut("crossbar:4x4:brram"), matrix=True)
    emulators = {name: make(bench) for name, make in EMULATORS.items()}
    valid = [line.encode() for line in _LINES]

    def item(rng: random.Random) -> None:
        line = rng.choice(valid)
        if rng.random() < 0.8:
            line = mutate(line, rng)
        if rng.random() < 0.2:
            line += b";" + mutate(rng.choice(valid), rng)
        emulators[rng.choice(list(emulators))].handle(line)

    return item


_LINES = (
    "*IDN?",
    "*RST",
    "*CLS",
    "*ESR?",
    "*STB?",
    "*OPC?",
    "*ESE 255",
    "*SRE 32",
    "*LANG?",
    ":SOUR:FUNC VOLT",
    "SOUR:VOLT:LEV 0.1",
    ":SENS:CURR:PROT 1e-4",
    "sens:func 'curr'",
    ":OUTP ON;:READ?;:OUTP OFF",
    ":SOUR:VOLT:MODE LIST;LIST 0.1,0.2",
    "TRIG:COUN 10",
    ":SYST:ERR?",
    ":FETCh?",
    ":TRAC:DATA? 1,10",
    ":SENS:CURR:NPLC 0.01",
    ":FORM:ELEM VOLT,CURR",
    ":ROUT:CLOS (@1!1,1!2:1!4)",
    "ROUT:CLOS (@101,102)",
    ":ROUT:OPEN:ALL",
    ":ROUT:CLOS? (@1101)",
    "smua.source.levelv = 0.1",
    "print(smua.measure.i())",
    "smua.source.output = 1",
    "for i = 1, 10 do smua.source.levelv = i / 100 end",
    "print(errorqueue.next())",
    "channel.close('1A01')",
    "print(channel.getclose('slot1'))",
    "reset()",
    "x = {} x.y.z = 1",
    "ID",
    "US",
    "DV1,0,0.1,1e-4",
    "TI1",
    "TV1",
    "SP",
    "BC",
    "DR1",
    "DI2,0,1e-6,1",
    "MD ME1",
    ":PULS:WIDT 1e-6",
    "BURS:NCYC 10",
    ":VOLT 1.5",
    ":VOLT:OFFS 0",
    "OUTP1:LOAD INF",
    "TRIG",
    "APPL:PULS 1e6,1,0.5",
    ":FUNC PULS",
    "BURS:STAT ON",
    ":OUTP1:IMP 50 OHM",
    "#3100",
)


def toml() -> Item:
    """Station and device files."""
    from cimlab.core.station import parse_station
    from cimlab.mock_hw.devices import device

    stations = [
        b'[array]\nconnect = "tcp://127.0.0.1:5000?token=x"\n[array.limits]\nv_set = 2.8\n'
        b"count_max = 10\n[array.converters]\nv_read = 0.1\ni_vmm = [1e-5, 2e-5]\n",
        b'[array]\nconnect = "model:?tiles=4&seed=3"\n',
        b'[bench]\ni_comp = 1e-4\n[bench.smu]\ndriver = "keithley2450"\nresource = "TCPIP::1"\n'
        b"[bench.wiring]\nrows = [1, 2]\ncols = [9, 10]\n",
    ]
    devices = [b'model = "brram"\ng_min = 4e-6\nc2c = 0.3\n', b'model = "softbounds"\nc2c = 1.0\n']
    file = Path(tempfile.mkdtemp()) / "device.toml"

    def item(rng: random.Random) -> None:
        if rng.random() < 0.5:
            text = mutate(rng.choice(stations), rng).decode("utf-8", "replace")
            parse_station(text, "hostile.toml")
        else:
            file.write_bytes(mutate(rng.choice(devices), rng))
            device(str(file))

    return item


def hdf5() -> Item:
    """Run files, each read in a process of its own: a fault of the HDF5 library would end it."""
    from cimlab import records
    from cimlab.core.array import ArraySpec, Limits
    from cimlab.records import Header, RunWriter
    from cimlab.records.layout import TABLES

    folder = Path(tempfile.mkdtemp())
    spec = ArraySpec(1, 4, 4, 8, 8, Limits(), "analog", "emulated", "fuzz")
    with RunWriter.create(folder / "run.h5", Header("train", spec), {"a": np.zeros(3)}) as run:
        run.checkpoint({"a": np.ones(3)}, {"step": 1})
    whole = (folder / "run.h5").read_bytes()
    file = folder / "hostile.h5"

    def look() -> None:
        with records.load(file) as found:
            _ = found.status
            for table in TABLES:
                found.columns(table, TABLES[table])
            found.checkpoint()

    def item(rng: random.Random) -> None:
        data = whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else mutate(whole, rng)
        file.write_bytes(data)
        child = os.fork()
        if child == 0:
            code = 0
            signal.alarm(0)
            try:
                look()
            except CimError:
                code = 1
            except BaseException as error:
                print(f"hdf5: {type(error).__name__}: {error}", file=sys.stderr)
                code = 2
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise RuntimeError(f"killed by signal {os.WTERMSIG(status)}")
        if os.WEXITSTATUS(status) == 1:
            raise CimError("refused")
        if os.WEXITSTATUS(status) == 2:
            raise RuntimeError("an untyped error")

    return item


TOPICS: dict[str, Callable[[], Item]] = {
    "frames-to-board": frames_to_board,
    "frames-to-host": frames_to_host,
    "instruments": instruments,
    "toml": toml,
    "hdf5": hdf5,
}


def fuzz(topic: str, items: int, seed: int) -> dict[str, object]:
    """Run a topic; what happened."""
    item = TOPICS[topic]()
    rng = random.Random(seed)  # noqa: S311 - tests, not secrets
    outcomes: Counter[str] = Counter()
    examples: dict[str, str] = {}
    slowest, start, told = 0.0, time.perf_counter(), time.monotonic()
    memory = 0
    signal.signal(signal.SIGALRM, _hang)
    number = 0
    while (done := getattr(item, "count", number)) < items:
        before = time.perf_counter()
        state = rng.getstate()
        try:
            signal.alarm(HANG_SECONDS)
            item(rng)
            outcomes["answered"] += 1
        except CimError:
            outcomes["refused"] += 1
        except Hang:
            outcomes["hangs"] += 1
        except Exception as error:
            outcomes["crashes"] += 1
            name = f"{type(error).__name__}: {error}"[:200]
            if name not in examples:
                import traceback

                examples[name] = "".join(traceback.format_exception(error)[-3:])
        finally:
            signal.alarm(0)
        number += 1
        slowest = max(slowest, time.perf_counter() - before)
        if done > items / 5 and not memory:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{topic}: {done:,} of {items:,}, {dict(outcomes)}", file=sys.stderr)
        _ = state
    for name, trace in list(examples.items())[:20]:
        print(f"--- {name}\n{trace}", file=sys.stderr)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    return {
        "topic": topic,
        "items": getattr(item, "count", number),
        "calls": number,
        "answered": outcomes["answered"],
        "refused": outcomes["refused"],
        "crashes": outcomes["crashes"],
        "hangs": outcomes["hangs"],
        "said": dict(getattr(item, "answers", {})),
        "slowest_s": slowest,
        "memory_grown_MB": grown / 1024,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", choices=TOPICS)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(json.dumps(fuzz(given.topic, given.items, given.seed)))


if __name__ == "__main__":
    main()
