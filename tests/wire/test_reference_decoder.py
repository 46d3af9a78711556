"""The reference decoder against published values, the vectors and the page's own examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.wire import reference_decoder as reference
from tests.wire.vector_files import Vector, load, octets

VECTORS = load()
PAGE = Path(__file__).parents[2] / "docs" / "wire.md"


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"", 0), (b"123456789", 0xCBF43926), (b"a", 0xE8B7BE43), (bytes(4), 0x2144DF1C)],
)
def test_crc_has_its_published_values(data: bytes, value: int) -> None:
    assert reference.crc32(data) == value


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        # the examples of Wikipedia's article on COBS, without their closing 00
        ("00", "01 01"),
        ("00 00", "01 01 01"),
        ("00 11 00", "01 02 11 01"),
        ("11 22 00 33", "03 11 22 02 33"),
        ("11 22 33 44", "05 11 22 33 44"),
        ("11 00 00 00", "02 11 01 01 01"),
        ("aa*254", "ff aa*254"),
        ("00 aa*254", "01 ff aa*254"),
        ("aa*255", "ff aa*254 02 aa"),
        ("aa*254 00", "ff aa*254 01 01"),
        ("aa*253 00 01", "fe aa*253 02 01"),
        ("aa*254", "ff aa*254 01"),  # the closing block that a receiver also accepts
    ],
)
def test_cobs_has_its_published_values(body: str, frame: str) -> None:
    assert reference.uncobs(octets(frame)) == octets(body)


@pytest.mark.parametrize("frame", ["03 11", "02", "05 11 22 33", "02 00", "00"])
def test_cut_frames_are_refused(frame: str) -> None:
    with pytest.raises(reference.BadFrame):
        reference.uncobs(octets(frame))


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_reference_understands_the_vectors(vector: Vector) -> None:
    (frame,) = reference.frames(vector.frame)
    assert reference.uncobs(frame) == vector.header + vector.payload + vector.crc
    message = reference.decode(frame)
    assert message == reference.Message(
        vector.version,
        vector.kind,
        vector.verb,
        vector.flags,
        vector.session,
        vector.seq,
        vector.payload,
    )
    if vector.kind == "REQUEST":
        fields = reference.request_fields(message, vector.array)
    elif vector.answers:
        request = VECTORS[vector.answers]
        assert (vector.verb, vector.session, vector.seq) == (
            request.verb,
            request.session,
            request.seq,
        )
        fields = reference.answer_fields(message, request.fields, request.flags)
    else:
        fields = reference.answer_fields(message)
    assert fields == vector.fields


def test_every_verb_and_kind_has_a_vector() -> None:
    asked = {v.verb for v in VECTORS.values() if v.kind == "REQUEST"}
    assert asked == set(reference.VERBS.values())
    answered = {v.verb for v in VECTORS.values() if v.kind == "REPLY"}
    assert answered == set(reference.VERBS.values()) - {"PING"}
    assert {v.kind for v in VECTORS.values()} == set(reference.KINDS.values())


def test_the_examples_of_the_page_are_consistent() -> None:
    examples = PAGE.read_text(encoding="utf-8").split("## 6. Worked bytes")[1]
    parts = re.findall(r"^(header|payload|crc|frame) ((?: +|[0-9a-f]{2}\b|\|)+)", examples, re.M)
    body = b""
    checked = 0
    for name, text in parts:
        if name != "frame":
            body += octets(text)
            continue
        (frame,) = reference.frames(octets(text))
        assert reference.uncobs(frame) == body
        assert reference.decode(frame).session == 0x12345678
        body, checked = b"", checked + 1
    assert checked == examples.count("\nframe ") >= 8
