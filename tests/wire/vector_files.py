"""Reads the hand-derived vectors of tests/wire/vectors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class Vector:
    """One frame: what it means, and its bytes."""

    name: str
    kind: str
    verb: str
    flags: int
    session: int
    seq: int
    version: int
    array: tuple[int, int, int]
    header: bytes
    payload: bytes
    crc: bytes
    frame: bytes
    answers: str | None
    fields: dict[str, Any]


def octets(text: str) -> bytes:
    """Bytes written as hex; | is for the eye, 2a*5 is 2a five times."""
    data = bytearray()
    for word in text.replace("|", " ").split():
        byte, _, times = word.partition("*")
        data += bytes.fromhex(byte) * int(times or 1)
    return bytes(data)


def numbers(value: Any) -> Any:
    """A list, also when written as "42 * 241" or "0 .. 240"."""
    if isinstance(value, str) and " * " in value:
        item, times = value.split(" * ")
        return [int(item)] * int(times)
    if isinstance(value, str) and " .. " in value:
        first, last = value.split(" .. ")
        return list(range(int(first), int(last) + 1))
    return value


def _vector(entry: dict[str, Any]) -> Vector:
    return Vector(
        name=entry["name"],
        kind=entry["kind"],
        verb=entry["verb"],
        flags=entry.get("flags", 0),
        session=entry["session"],
        seq=entry["seq"],
        version=entry.get("version", 1),
        array=tuple(entry.get("array", (1, 1, 1))),
        **{part: octets(entry[part]) for part in ("header", "payload", "crc", "frame")},
        answers=entry.get("answers"),
        fields={key: numbers(value) for key, value in entry["fields"].items()},
    )


def load() -> dict[str, Vector]:
    """All vectors by name."""
    entries = [
        entry
        for path in sorted(FOLDER.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["vector"]
    ]
    vectors = {entry["name"]: _vector(entry) for entry in entries}
    assert len(vectors) == len(entries), "two vectors have one name"
    return vectors
