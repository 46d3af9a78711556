"""Payloads of the link's own verbs: HELLO and INFO, CONFIGURE, STATUS, ERROR (docs/wire.md)."""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass
from typing import Literal

from cimlab.core.array import Converters, Limits
from cimlab.core.errors import LinkProtocol

from .fields import Reader, text
from .frames import Buffer

_HELLO = struct.Struct("<II")
_POSITION = struct.Struct("<IIIH")
_SHAPE = struct.Struct("<HHHBBBx")
_SCALES = struct.Struct("<ffddd")
_LIMITS = struct.Struct("<dddddI")
_SETTINGS = struct.Struct("<ddd")
_REPORT = struct.Struct("<II")
_U32 = struct.Struct("<I")
_LEN8 = struct.Struct("<B")
_LEN16 = struct.Struct("<H")

WITH_LIMITS = 1
"""Flag of CONFIGURE: limits follow."""
WINDOW_MAX = 32
"""Most requests outstanding: what the bits of a STATUS can name."""

_ORIGINS: tuple[Literal["emulated"], Literal["measured"]] = ("emulated", "measured")


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a session (boot 0) or resumes one."""

    boot: int
    max_frame: int
    token: str

    def pack(self) -> list[Buffer]:
        """The payload."""
        return [_HELLO.pack(self.boot, self.max_frame), text(self.token, _LEN8)]

    @classmethod
    def unpack(cls, payload: memoryview) -> Hello:
        """From a payload."""
        reader = Reader(payload)
        boot, max_frame = reader.unpack(_HELLO)
        hello = cls(boot, max_frame, reader.text(_LEN8))
        reader.end()
        return hello


@dataclass(frozen=True, slots=True)
class Info:
    """What the board is, and where the session stands (INFO)."""

    boot: int
    next: int
    max_frame: int
    window: int
    tiles: int
    rows: int
    cols: int
    dac_bits: int
    adc_bits: int
    origin: Literal["measured", "emulated"]
    watchdog: float
    lease: float
    v_pulse: float
    v_gate: float
    tick: float
    limits: Limits
    converters: Converters
    identity: str
    capabilities: frozenset[str]

    def pack(self) -> list[Buffer]:
        """The payload."""
        return [
            _POSITION.pack(self.boot, self.next, self.max_frame, self.window),
            _SHAPE.pack(
                self.tiles,
                self.rows,
                self.cols,
                self.dac_bits,
                self.adc_bits,
                _ORIGINS.index(self.origin),
            ),
            _SCALES.pack(self.watchdog, self.lease, self.v_pulse, self.v_gate, self.tick),
            _pack_limits(self.limits),
            _SETTINGS.pack(self.converters.v_gate, self.converters.v_read, self.converters.i_read),
            struct.pack(f"<{self.tiles}d", *self.converters.i_vmm),
            text(self.identity, _LEN16),
            text(",".join(sorted(self.capabilities)), _LEN16),
        ]

    @classmethod
    def unpack(cls, payload: memoryview) -> Info:
        """From a payload; LinkProtocol if it describes no possible board."""
        reader = Reader(payload)
        boot, next_seq, max_frame, window = reader.unpack(_POSITION)
        tiles, rows, cols, dac_bits, adc_bits, origin = reader.unpack(_SHAPE)
        if not (
            boot
            and max_frame
            and 1 <= window <= WINDOW_MAX
            and tiles
            and rows
            and cols
            and 1 <= dac_bits <= 8
            and 1 <= adc_bits <= 8
            and origin < len(_ORIGINS)
        ):
            raise LinkProtocol("the board describes itself in an impossible way")
        watchdog, lease, v_pulse, v_gate, tick = reader.unpack(_SCALES)
        limits = _unpack_limits(reader)
        v_gate_set, v_read, i_read = reader.unpack(_SETTINGS)
        i_vmm = tuple(float(x) for x in reader.array("<f8", tiles))
        info = cls(
            boot,
            next_seq,
            max_frame,
            window,
            tiles,
            rows,
            cols,
            dac_bits,
            adc_bits,
            _ORIGINS[origin],
            watchdog,
            lease,
            v_pulse,
            v_gate,
            tick,
            limits,
            Converters(v_read, v_gate_set, i_read, i_vmm),
            reader.text(_LEN16),
            frozenset(reader.text(_LEN16).split(",")) - {""},
        )
        reader.end()
        return info


@dataclass(frozen=True, slots=True)
class Configure:
    """Converter settings, and limits that may only be tighter."""

    converters: Converters
    limits: Limits | None = None

    @property
    def flags(self) -> int:
        """Flags of the header."""
        return 0 if self.limits is None else WITH_LIMITS

    def pack(self) -> list[Buffer]:
        """The payload."""
        c = self.converters
        parts: list[Buffer] = [
            _SETTINGS.pack(c.v_gate, c.v_read, c.i_read),
            struct.pack(f"<H{len(c.i_vmm)}d", len(c.i_vmm), *c.i_vmm),
        ]
        return parts if self.limits is None else [*parts, _pack_limits(self.limits)]

    @classmethod
    def unpack(cls, payload: memoryview, flags: int) -> Configure:
        """From a payload."""
        reader = Reader(payload)
        v_gate, v_read, i_read = reader.unpack(_SETTINGS)
        (n,) = reader.unpack(_LEN16)
        i_vmm = reader.unpack(struct.Struct(f"<{n}d"))
        limits = _unpack_limits(reader) if flags & WITH_LIMITS else None
        reader.end()
        return cls(Converters(v_read, v_gate, i_read, i_vmm), limits)


@dataclass(frozen=True, slots=True)
class Report:
    """What the board has (STATUS): bit i of have means that request next + i arrived."""

    next: int
    have: int

    def has(self, seq: int) -> bool:
        """Whether request seq arrived and is not complete."""
        return 0 <= seq - self.next < WINDOW_MAX and bool(self.have >> (seq - self.next) & 1)

    def pack(self) -> list[Buffer]:
        """The payload."""
        return [_REPORT.pack(self.next, self.have)]

    @classmethod
    def unpack(cls, payload: memoryview) -> Report:
        """From a payload."""
        reader = Reader(payload)
        report = cls(*reader.unpack(_REPORT))
        reader.end()
        return report


def pack_before(seq: int) -> list[Buffer]:
    """Payload of GROUND."""
    return [_U32.pack(seq)]


def unpack_before(payload: memoryview) -> int:
    """From the payload of GROUND."""
    reader = Reader(payload)
    (before,) = reader.unpack(_U32)
    reader.end()
    return int(before)


def pack_error(status: int, message: str) -> list[Buffer]:
    """Payload of ERROR; long messages are cut, between characters."""
    return [_LEN16.pack(status), message.encode()[:400].decode(errors="ignore").encode()]


def unpack_error(payload: memoryview) -> tuple[int, str]:
    """Status and message of an ERROR."""
    reader = Reader(payload)
    (status,) = reader.unpack(_LEN16)
    return status, str(reader.rest(), "utf-8", "replace")


def _pack_limits(limits: Limits) -> bytes:
    return _LIMITS.pack(*dataclasses.astuple(limits))


def _unpack_limits(reader: Reader) -> Limits:
    return Limits(*reader.unpack(_LIMITS))
