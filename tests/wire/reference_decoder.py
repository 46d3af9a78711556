"""A second reading of docs/wire.md: decodes frames, and shares no code with cimlab.wire.

Written from the page alone (own COBS, CRC bit by bit, struct), so that a mistake made by both
ends of the real codec is seen here. Everything becomes plain numbers, lists and dictionaries.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import Any

KINDS = {0: "REQUEST", 1: "REPLY", 2: "ERROR", 3: "STATUS"}
VERBS = {
    0x01: "HELLO",
    0x02: "PING",
    0x03: "GROUND",
    0x04: "BYE",
    0x10: "CONFIGURE",
    0x11: "READ",
    0x12: "PULSE",
    0x13: "VMM",
    0x14: "COUNTERS",
    0x15: "JOB",
    0x16: "REST",
    0x17: "WEIGHTS",
    0x18: "PAIRS",
}
Fields = dict[str, Any]


class BadFrame(Exception):
    """The bytes are not what the page describes."""


@dataclass(frozen=True)
class Message:
    """A frame taken apart; payload still in bytes."""

    version: int
    kind: str
    verb: str
    flags: int
    session: int
    seq: int
    payload: bytes


def crc32(data: bytes) -> int:
    """CRC-32, reflected, one bit after the other."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def uncobs(frame: bytes) -> bytes:
    """The body of a frame given without its closing zero."""
    body = bytearray()
    at = 0
    while at < len(frame):
        length = frame[at]
        block = frame[at + 1 : at + length]
        if length == 0 or 0 in block or len(block) != length - 1:
            raise BadFrame("a block is cut short or holds a zero")
        body += block
        at += length
        if at < len(frame) and length != 0xFF:
            body.append(0)
    return bytes(body)


def frames(stream: bytes) -> list[bytes]:
    """The non-empty frames of a stream that ends with one, without their closing zeros."""
    if stream[-1:] != b"\0":
        raise BadFrame("the last frame is not closed")
    return [frame for frame in stream[:-1].split(b"\0") if frame]


def decode(frame: bytes) -> Message:
    """One frame, without its closing zero."""
    body = uncobs(frame)
    if len(body) < 16:
        raise BadFrame("the body is shorter than header and crc")
    if crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        raise BadFrame("the crc is wrong")
    version, kind, verb, flags, session, seq = struct.unpack("<BBBBII", body[:12])
    name = VERBS.get(verb, f"{verb:#04x}") if verb else ""
    return Message(version, KINDS[kind], name, flags, session, seq, body[12:-4])


class Reader:
    """Takes fields off a payload, front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def bytes(self, n: int) -> bytes:
        """The next n bytes."""
        if n > len(self.data):
            raise BadFrame("the payload is too short")
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def number(self, kind: str) -> Any:
        """The next number, of a struct kind."""
        return struct.unpack("<" + kind, self.bytes(struct.calcsize("<" + kind)))[0]

    def numbers(self, kind: str, n: int) -> list[Any]:
        """The next n numbers."""
        return [self.number(kind) for _ in range(n)]

    def text(self, length_kind: str) -> str:
        """The next str8 ("B") or str16 ("H")."""
        return self.bytes(self.number(length_kind)).decode("utf-8")

    def bitmap(self, n: int) -> list[bool]:
        """The next n bits; the spare ones must be 0."""
        raw = self.bytes((n + 7) // 8)
        bits = [bool(raw[i // 8] >> (i % 8) & 1) for i in range(8 * len(raw))]
        if any(bits[n:]):
            raise BadFrame("a spare bit is set")
        return bits[:n]

    def selection(self, size: int) -> tuple[int, list[int]]:
        """The next selection of an array with so many cells: its mode and the addresses."""
        mode = self.number("B")
        if mode == 0:
            return mode, list(range(size))
        if mode == 1:
            return mode, [a for a, bit in enumerate(self.bitmap(size)) if bit]
        kind = {2: "H", 3: "I"}[mode]
        cells = self.numbers(kind, self.number(kind))
        if any(b <= a for a, b in itertools.pairwise(cells)) or cells[-1:] >= [size]:
            raise BadFrame("addresses must ascend and exist")
        return mode, cells

    def limits(self) -> Fields:
        """The next LIMITS."""
        names = ("v_set", "v_reset", "v_read", "width_min", "width_max")
        return {name: self.number("d") for name in names} | {"count_max": self.number("I")}

    def done(self, fields: Fields) -> Fields:
        """The fields, when nothing is left over."""
        if self.data:
            raise BadFrame("the payload is too long")
        return fields


def request_fields(message: Message, shape: tuple[int, int, int]) -> Fields:
    """What a request asks, for an array of (tiles, rows, cols)."""
    reader = Reader(message.payload)
    size = shape[0] * shape[1] * shape[2]
    if message.verb == "HELLO":
        boot, max_frame = reader.numbers("I", 2)
        return reader.done({"boot": boot, "max_frame": max_frame, "token": reader.text("B")})
    if message.verb == "GROUND":
        return reader.done({"before": reader.number("I")})
    if message.verb == "CONFIGURE":
        return reader.done(_configure(reader, message.flags))
    if message.verb == "READ":
        averages, code = reader.number("H"), reader.number("B")
        mode, cells = reader.selection(size)
        return reader.done({"averages": averages, "code": code, "mode": mode, "cells": cells})
    if message.verb == "PULSE":
        return reader.done(_pulse(reader, size))
    if message.verb == "VMM":
        return reader.done(_vmm(reader, message.flags))
    if message.verb == "PAIRS":
        return reader.done(_pairs(reader, message.flags))
    if message.verb == "WEIGHTS":
        return reader.done({"weights": reader.numbers("f", shape[0] * shape[2])})
    if message.verb == "COUNTERS":
        mode, cells = reader.selection(size)
        return reader.done({"mode": mode, "cells": cells})
    if message.verb == "JOB":
        return reader.done(_job(reader, size))
    if message.verb == "REST":
        return reader.done({"seconds": reader.number("d")})
    return reader.done({})


def _configure(reader: Reader, flags: int) -> Fields:
    fields: Fields = {name: reader.number("d") for name in ("v_gate", "v_read", "i_read")}
    fields["i_vmm"] = reader.numbers("d", reader.number("H"))
    return fields | ({"limits": reader.limits()} if flags & 1 else {})


def _pulse(reader: Reader, size: int) -> Fields:
    ticks, averages, code = reader.number("I"), reader.number("H"), reader.number("B")
    form = reader.number("B")
    mode, cells = reader.selection(size)
    n = len(cells)
    if form & 1:
        magnitudes = reader.numbers("B", n)
        signs = reader.bitmap(n)
        amplitudes = [-m if minus else m for m, minus in zip(magnitudes, signs, strict=True)]
    else:
        amplitudes = [reader.number("h")] * n
    counts = reader.numbers("H" if form & 4 else "B", n) if form & 2 else reader.numbers("H", 1) * n
    fields = {"ticks": ticks, "averages": averages, "code": code, "form": form}
    return fields | {"mode": mode, "cells": cells, "amplitudes": amplitudes, "counts": counts}


def _vmm(reader: Reader, flags: int) -> Fields:
    fields = _window(reader) | {"batch": reader.number("I")}
    if flags & 1:
        n = _map(reader, fields)
    else:
        driven = fields["cols" if flags & 2 else "rows"]
        n = len(fields["tiles"]) * fields["batch"] * (driven[1] - driven[0])
    return fields | {"codes": reader.numbers("B", n)}


def _pairs(reader: Reader, flags: int) -> Fields:
    fields: Fields = {"rows": [], "cols": [], "tiles": [], "wanted": []}
    for _ in range(reader.number("B")):
        window = _window(reader)
        columns = window["cols"][1] - window["cols"][0]
        window["wanted"] = reader.bitmap(len(window["tiles"]) * columns // 2)
        for name, value in window.items():
            fields[name].append(value)
    fields["batch"] = reader.number("I")
    if flags & 1:
        n = _map(reader, fields)
    else:
        fields["inputs"] = reader.number("H")
        n = fields["batch"] * fields["inputs"]
    return fields | {"codes": reader.numbers("B", n)}


def _window(reader: Reader) -> Fields:
    rows, cols = reader.numbers("H", 2), reader.numbers("H", 2)
    tiles = reader.numbers("H", reader.number("H"))
    return {"rows": rows, "cols": cols, "tiles": tiles}


def _map(reader: Reader, fields: Fields) -> int:
    """Adds the geometry to the fields; the number of pixels."""
    channels, height, width = reader.numbers("H", 3)
    geometry = reader.numbers("B", 8)
    pairs = (geometry[0:2], geometry[2:4], geometry[4:6], geometry[6:8])
    fields |= dict(zip(("kernel", "stride", "padding", "dilation"), pairs, strict=True))
    fields["maps"] = [channels, height, width]
    return int(fields["batch"] * channels * height * width)


def _job(reader: Reader, size: int) -> Fields:
    name = reader.text("B")
    settings = {}
    for _ in range(reader.number("B")):
        key = reader.text("B")
        settings[key] = reader.number("d")
    mode, cells = reader.selection(size)
    target = reader.numbers("f", len(cells))
    return {"name": name, "settings": settings, "mode": mode, "cells": cells, "target": target}


def answer_fields(message: Message, request: Fields | None = None, flags: int = 0) -> Fields:
    """What an answer says; the lengths of some replies follow from the request and its flags."""
    reader = Reader(message.payload)
    if message.kind == "ERROR":
        status = reader.number("H")
        return {"status": status, "message": reader.data.decode("utf-8")}
    if message.kind == "STATUS":
        return reader.done({"next": reader.number("I"), "have": reader.number("I")})
    if message.verb == "HELLO":
        return reader.done(_info(reader))
    if request is None or message.verb in ("GROUND", "BYE", "CONFIGURE", "REST", "WEIGHTS"):
        return reader.done({})
    if message.verb in ("READ", "PULSE"):
        return reader.done(_reading(reader, request["averages"], len(request["cells"])))
    if message.verb == "VMM":
        return reader.done({"codes": reader.numbers("B", _outputs(request, flags))})
    if message.verb == "PAIRS":
        clipped = reader.numbers("I", sum(len(tiles) for tiles in request["tiles"]))
        n = sum(sum(bits) for bits in request["wanted"]) * _vectors(request, flags)
        low = reader.numbers("B", n)
        pairs = [a - 256 * negative for a, negative in zip(low, reader.bitmap(n), strict=True)]
        return reader.done({"clipped": clipped, "pairs": pairs})
    if message.verb == "COUNTERS":
        return reader.done({"counts": reader.numbers("I", len(request["cells"]))})
    n = len(request["cells"])
    fields = {"rounds": reader.number("I"), "current": reader.numbers("d", n)}
    fields |= {"pulses": reader.numbers("I", n), "converged": reader.bitmap(n)}
    return reader.done(fields)


def _info(reader: Reader) -> Fields:
    fields: Fields = {name: reader.number("I") for name in ("boot", "next", "max_frame")}
    fields |= {name: reader.number("H") for name in ("window", "tiles", "rows", "cols")}
    fields |= {name: reader.number("B") for name in ("dac_bits", "adc_bits", "origin", "reserved")}
    fields |= {name: reader.number("f") for name in ("watchdog", "lease")}
    fields |= {name: reader.number("d") for name in ("v_pulse", "v_gate", "tick")}
    fields["limits"] = reader.limits()
    fields |= {name: reader.number("d") for name in ("v_gate_set", "v_read", "i_read")}
    fields["i_vmm"] = reader.numbers("d", fields["tiles"])
    return fields | {"identity": reader.text("H"), "capabilities": reader.text("H")}


def _reading(reader: Reader, averages: int, n: int) -> Fields:
    if averages == 0:
        return {}
    if averages == 1:
        return {"codes": reader.numbers("B", n)}
    return {"sums": reader.numbers("H", n), "clipped": reader.bitmap(n)}


def _outputs(request: Fields, flags: int) -> int:
    span = request["rows"] if flags & 2 else request["cols"]
    return int(len(request["tiles"]) * _vectors(request, flags) * (span[1] - span[0]))


def _vectors(request: Fields, flags: int) -> int:
    vectors = request["batch"]
    if flags & 1:
        for i in (0, 1):
            reach = request["dilation"][i] * (request["kernel"][i] - 1) + 1
            room = request["maps"][1 + i] + 2 * request["padding"][i] - reach
            vectors *= room // request["stride"][i] + 1
    return int(vectors)
