"""Payloads of the verbs that act on the array (docs/wire.md 3.4, 3.5, 3.7, 3.8), but for products.

Arrays are written and read in place: a request packs into pieces, a payload unpacks into views.
Unpacking checks form (LinkProtocol); whether the array has it and stands it is the service's.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, JobResult, Mask
from cimlab.core.errors import LinkProtocol

from .fields import Reader, bitmap, pack, selection, text
from .frames import Buffer

_READ = struct.Struct("<HB")
_PULSE = struct.Struct("<IHBB")
_U8 = struct.Struct("<B")
_U16 = struct.Struct("<H")
_I16 = struct.Struct("<h")
_U32 = struct.Struct("<I")
_F64 = struct.Struct("<d")

AVERAGES_MAX = 257
"""257 x 255 is the largest sum that fits u16."""
EACH_AMPLITUDE, EACH_COUNT, WIDE_COUNT = 1, 2, 4


def count(cells: Addresses | None, size: int) -> int:
    """How many cells a selection names."""
    return size if cells is None else int(cells.size)


@dataclass(frozen=True, slots=True)
class Read:
    """Read cells with a DAC code, each `averages` times."""

    code: int
    averages: int
    cells: Addresses | None

    def pack(self, size: int) -> list[Buffer]:
        """The payload, for an array of so many cells."""
        return [pack(_READ, self.averages, self.code), *selection(self.cells, size)]

    @classmethod
    def unpack(cls, payload: memoryview, size: int) -> Read:
        """From a payload."""
        reader = Reader(payload)
        averages, code = reader.unpack(_READ)
        read = cls(code, averages, reader.cells(size))
        reader.end()
        return read


@dataclass(frozen=True, slots=True)
class Codes:
    """Answer to a read: sums of ADC codes (n,), and which cells clipped."""

    sums: NDArray[np.integer]
    clipped: Mask

    def pack(self, averages: int) -> list[Buffer]:
        """The payload; the marks of single conversions are their top codes."""
        if averages == 1:
            return [self.sums.astype(np.uint8)]
        return [self.sums.astype("<u2"), bitmap(self.clipped)]

    @classmethod
    def unpack(cls, payload: memoryview, n: int, averages: int, top: int) -> Codes:
        """From a payload; top is the ADC's largest code."""
        reader = Reader(payload)
        if averages == 1:
            sums: NDArray[np.integer] = reader.array(np.uint8, n)
            codes = cls(sums, sums == top)
        else:
            codes = cls(reader.array("<u2", n), reader.bitmap(n))
        reader.end()
        return codes

    @staticmethod
    def length(n: int, averages: int) -> int:
        """Bytes of the payload."""
        return n if averages == 1 else 2 * n + (n + 7) // 8


@dataclass(frozen=True, slots=True)
class Pulse:
    """Pulse cells, then read them if averages is not 0; codes and counts are (n,)."""

    ticks: int
    codes: NDArray[np.int16]
    counts: NDArray[np.uint16]
    cells: Addresses | None
    averages: int = 0
    code: int = 0

    def pack(self, size: int) -> list[Buffer]:
        """The shortest payload; one number stands for all cells that share it."""
        codes, counts, form = self.codes, self.counts, 0
        amplitudes: list[Buffer] = [_I16.pack(codes[0] if codes.size else 0)]
        if codes.size and (codes != codes[0]).any():
            form |= EACH_AMPLITUDE
            amplitudes = [np.abs(codes).astype(np.uint8), bitmap(codes < 0)]
        trains: Buffer = _U16.pack(counts[0] if counts.size else 0)
        if counts.size and (counts != counts[0]).any():
            wide = bool(counts.max() > 255)
            form |= EACH_COUNT | (WIDE_COUNT if wide else 0)
            trains = counts.astype("<u2" if wide else np.uint8)
        head = pack(_PULSE, self.ticks, self.averages, self.code, form)
        return [head, *selection(self.cells, size), *amplitudes, trains]

    @classmethod
    def unpack(cls, payload: memoryview, size: int) -> Pulse:
        """From a payload."""
        reader = Reader(payload)
        ticks, averages, code, form = reader.unpack(_PULSE)
        if form > 7 or form & (EACH_COUNT | WIDE_COUNT) == WIDE_COUNT:
            raise LinkProtocol(f"unknown form {form} of a pulse")
        cells = reader.cells(size)
        n = count(cells, size)
        if form & EACH_AMPLITUDE:
            magnitudes = reader.array(np.uint8, n).astype(np.int16)
            codes = np.where(reader.bitmap(n), -magnitudes, magnitudes)
        else:
            codes = np.full(n, reader.unpack(_I16)[0], np.int16)
        if form & EACH_COUNT:
            kind = "<u2" if form & WIDE_COUNT else np.uint8
            counts = reader.array(kind, n).astype(np.uint16)
        else:
            counts = np.full(n, reader.unpack(_U16)[0], np.uint16)
        reader.end()
        return cls(ticks, codes, counts, cells, averages, code)


@dataclass(frozen=True, slots=True)
class Job:
    """Run a programming job: target (n,) A."""

    name: str
    settings: Mapping[str, float]
    cells: Addresses | None
    target: NDArray[np.float32]

    def pack(self, size: int) -> list[Buffer]:
        """The payload."""
        head = _job_head(self.name, tuple(self.settings.items()))
        return [head, *selection(self.cells, size), self.target.astype("<f4")]

    @classmethod
    def unpack(cls, payload: memoryview, size: int) -> Job:
        """From a payload."""
        reader = Reader(payload)
        name = reader.text(_U8)
        (n,) = reader.unpack(_U8)
        # a training asks for jobs with the same settings: they are passed over, and looked up
        settings = _settings(bytes(reader.passed(n, _U8, _F64.size)), n)
        cells = reader.cells(size)
        target = reader.array("<f4", count(cells, size))
        reader.end()
        return cls(name, settings, cells, target)


@functools.lru_cache(maxsize=64)
def _job_head(name: str, settings: tuple[tuple[str, float], ...]) -> bytes:
    fields = b"".join(text(k, _U8) + _F64.pack(v) for k, v in settings)
    return text(name, _U8) + pack(_U8, len(settings)) + fields


@functools.lru_cache(maxsize=64)
def _settings(fields: bytes, n: int) -> Mapping[str, float]:
    reader = Reader(memoryview(fields))
    settings = {reader.text(_U8): reader.unpack(_F64)[0] for _ in range(n)}
    if len(settings) != n:
        raise LinkProtocol("a job's setting is given twice")
    return MappingProxyType(settings)


def pack_rest(seconds: float) -> list[Buffer]:
    """Payload of REST."""
    return [_F64.pack(seconds)]


def unpack_rest(payload: memoryview) -> float:
    """From the payload of REST."""
    reader = Reader(payload)
    (seconds,) = reader.unpack(_F64)
    reader.end()
    return float(seconds)


def pack_result(result: JobResult) -> list[Buffer]:
    """Payload of the answer to a job."""
    return [
        _U32.pack(result.rounds),
        result.current.astype("<f8"),
        result.pulses.astype("<u4"),
        bitmap(result.converged),
    ]


def unpack_result(payload: memoryview, n: int) -> JobResult:
    """From the answer to a job on n cells."""
    reader = Reader(payload)
    (rounds,) = reader.unpack(_U32)
    current = reader.array("<f8", n).astype(np.float64)
    pulses = reader.array("<u4", n).astype(np.int64)
    result = JobResult(current, pulses, reader.bitmap(n), rounds)
    reader.end()
    return result


def result_length(n: int) -> int:
    """Bytes of the answer to a job on n cells."""
    return 4 + 12 * n + (n + 7) // 8
