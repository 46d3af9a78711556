"""The real codec against the hand-derived frames, and against the reference decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cimlab.core.array import Addresses, Converters, JobResult, Limits, Unfold, Window
from cimlab.core.errors import LinkProtocol
from cimlab.wire.frames import VERSION, Buffer, Frame, FrameDecoder, Kind, Verb, encode
from cimlab.wire.messages import (
    Configure,
    Hello,
    Info,
    Report,
    pack_before,
    pack_error,
    unpack_before,
    unpack_error,
)
from cimlab.wire.products import (
    Pairs,
    Vmm,
    pack_pairs,
    pack_weights,
    pairs_length,
    unpack_pairs,
    unpack_weights,
)
from cimlab.wire.verbs import (
    Codes,
    Job,
    Pulse,
    Read,
    count,
    pack_rest,
    pack_result,
    unpack_rest,
    unpack_result,
)
from tests.wire import reference_decoder as reference
from tests.wire.vector_files import Vector, load

VECTORS = load()
OURS = {name: v for name, v in VECTORS.items() if v.version == VERSION}
Fields = dict[str, Any]


def cells_of(fields: Fields) -> Addresses | None:
    return None if fields["mode"] == 0 else np.array(fields["cells"], np.int64)


def selected(cells: Addresses | None, array: tuple[int, int, int]) -> list[int]:
    return list(range(int(np.prod(array)))) if cells is None else cells.tolist()


def pack_request(verb: str, f: Fields, array: tuple[int, int, int]) -> tuple[list[Buffer], int]:
    """Payload and flags as the real codec makes them from a vector's meaning."""
    size = int(np.prod(array))
    if verb == "HELLO":
        return Hello(f["boot"], f["max_frame"], f["token"]).pack(), 0
    if verb == "GROUND":
        return pack_before(f["before"]), 0
    if verb == "CONFIGURE":
        converters = Converters(f["v_read"], f["v_gate"], f["i_read"], tuple(f["i_vmm"]))
        configure = Configure(converters, Limits(**f["limits"]) if "limits" in f else None)
        return configure.pack(), configure.flags
    if verb in ("READ", "COUNTERS"):
        packed = Read(f.get("code", 0), f.get("averages", 0), cells_of(f)).pack(size)
        return (packed if verb == "READ" else packed[1:]), 0  # a bare selection
    if verb == "PULSE":
        codes = np.array(f["amplitudes"], np.int16)
        counts = np.array(f["counts"], np.uint16)
        pulse = Pulse(f["ticks"], codes, counts, cells_of(f), f["averages"], f["code"])
        return pulse.pack(size), 0
    if verb == "VMM":
        vmm = vmm_of(f, transposed=verb == "VMM" and len(f["codes"]) == 2)
        return vmm.pack(), vmm.flags
    if verb == "PAIRS":
        pairs = pairs_of(f)
        return pairs.pack(), pairs.flags
    if verb == "WEIGHTS":
        return pack_weights(np.array(f["weights"], np.float32)), 0
    if verb == "JOB":
        target = np.array(f["target"], np.float32)
        return Job(f["name"], f["settings"], cells_of(f), target).pack(size), 0
    if verb == "REST":
        return pack_rest(f["seconds"]), 0
    return [], 0


def vmm_of(f: Fields, transposed: bool) -> Vmm:
    window = Window(tuple(f["tiles"]), tuple(f["rows"]), tuple(f["cols"]))
    codes = np.array(f["codes"], np.uint8)
    if "maps" not in f:
        return Vmm(window, codes.reshape(len(window.tiles), f["batch"], -1), None, transposed)
    return Vmm(window, codes.reshape(f["batch"], *f["maps"]), unfold_of(f))


def pairs_of(f: Fields) -> Pairs:
    places = zip(f["tiles"], f["rows"], f["cols"], strict=True)
    windows = tuple(Window(tuple(tiles), tuple(rows), tuple(cols)) for tiles, rows, cols in places)
    wanted = tuple(
        np.array(bits, np.bool_).reshape(len(window.tiles), -1)
        for bits, window in zip(f["wanted"], windows, strict=True)
    )
    codes = np.array(f["codes"], np.uint8)
    if "maps" not in f:
        return Pairs(windows, wanted, codes.reshape(f["batch"], f["inputs"]))
    return Pairs(windows, wanted, codes.reshape(f["batch"], *f["maps"]), unfold_of(f))


def unfold_of(f: Fields) -> Unfold:
    return Unfold(*(tuple(f[name]) for name in ("kernel", "stride", "padding", "dilation")))


def pack_answer(vector: Vector) -> list[Buffer]:
    """Payload of an answer as the real codec makes it from a vector's meaning."""
    f = vector.fields
    if vector.kind == "ERROR":
        return pack_error(f["status"], f["message"])
    if vector.kind == "STATUS":
        return Report(f["next"], f["have"]).pack()
    if vector.verb == "HELLO":
        return info_of(f).pack()
    if "sums" in f:
        return Codes(np.array(f["sums"]), np.array(f["clipped"])).pack(averages=2)
    if vector.verb == "COUNTERS":
        return [np.array(f["counts"], "<u4")]
    if vector.verb == "JOB":
        return pack_result(
            JobResult(
                np.array(f["current"]), np.array(f["pulses"]), np.array(f["converged"]), f["rounds"]
            )
        )
    if "pairs" in f:
        return pack_pairs(np.array(f["pairs"], np.int16), np.array(f["clipped"]))
    if "codes" in f:
        return Codes(np.array(f["codes"]), np.array(f["codes"]) == 255).pack(averages=1)
    return []


def info_of(f: Fields) -> Info:
    f = dict(f)
    assert f.pop("reserved") == 0
    f["origin"] = ("emulated", "measured")[f["origin"]]
    f["limits"] = Limits(**f["limits"])
    i_vmm = tuple(f.pop("i_vmm"))
    f["converters"] = Converters(f.pop("v_read"), f.pop("v_gate_set"), f.pop("i_read"), i_vmm)
    f["capabilities"] = frozenset(f["capabilities"].split(","))
    return Info(**f)


def received(stream: bytes) -> Frame:
    (frame,) = FrameDecoder().feed(stream)
    assert frame is not None
    return frame


def unpack_request(vector: Vector, frame: Frame) -> Fields:
    """A request's meaning as the real codec understands it."""
    size = int(np.prod(vector.array))
    payload = frame.payload
    if vector.verb == "HELLO":
        hello = Hello.unpack(payload)
        return {"boot": hello.boot, "max_frame": hello.max_frame, "token": hello.token}
    if vector.verb == "GROUND":
        return {"before": unpack_before(payload)}
    if vector.verb == "CONFIGURE":
        c = Configure.unpack(payload, frame.flags)
        v = c.converters
        fields = {"v_gate": v.v_gate, "v_read": v.v_read, "i_read": v.i_read}
        fields |= {"i_vmm": list(v.i_vmm)}
        return fields | ({"limits": limits_fields(c.limits)} if c.limits else {})
    if vector.verb == "READ":
        read = Read.unpack(payload, size)
        cells = selected(read.cells, vector.array)
        return {"averages": read.averages, "code": read.code, "cells": cells}
    if vector.verb == "PULSE":
        return pulse_fields(Pulse.unpack(payload, size), vector.array)
    if vector.verb == "VMM":
        return vmm_fields(Vmm.unpack(payload, frame.flags))
    if vector.verb == "PAIRS":
        return pairs_fields(Pairs.unpack(payload, frame.flags))
    if vector.verb == "WEIGHTS":
        tiles, _, cols = vector.array
        return {"weights": unpack_weights(payload, tiles, cols).ravel().tolist()}
    if vector.verb == "REST":
        return {"seconds": unpack_rest(payload)}
    job = Job.unpack(payload, size)
    fields = {"name": job.name, "settings": job.settings, "target": job.target.tolist()}
    return fields | {"cells": selected(job.cells, vector.array)}


def limits_fields(limits: Limits) -> Fields:
    return {name: getattr(limits, name) for name in Limits.__slots__}


def pulse_fields(pulse: Pulse, array: tuple[int, int, int]) -> Fields:
    return {
        "ticks": pulse.ticks,
        "averages": pulse.averages,
        "code": pulse.code,
        "cells": selected(pulse.cells, array),
        "amplitudes": pulse.codes.tolist(),
        "counts": pulse.counts.tolist(),
    }


def vmm_fields(vmm: Vmm) -> Fields:
    w = vmm.window
    fields: Fields = {"rows": list(w.rows), "cols": list(w.cols), "tiles": list(w.tiles)}
    fields["batch"] = vmm.codes.shape[1 if vmm.unfold is None else 0]
    return fields | product_fields(vmm)


def pairs_fields(pairs: Pairs) -> Fields:
    fields: Fields = {"batch": len(pairs.codes)}
    fields["wanted"] = [wanted.ravel().tolist() for wanted in pairs.wanted]
    for name in ("rows", "cols", "tiles"):
        fields[name] = [list(getattr(window, name)) for window in pairs.windows]
    if pairs.unfold is None:
        fields["inputs"] = pairs.codes.shape[1]
    return fields | product_fields(pairs)


def product_fields(product: Vmm | Pairs) -> Fields:
    u = product.unfold
    fields: Fields = {"codes": product.codes.ravel().tolist()}
    if u is not None:
        fields["maps"] = list(product.codes.shape[1:])
        names = ("kernel", "stride", "padding", "dilation")
        fields |= {name: list(getattr(u, name)) for name in names}
    return fields


@pytest.mark.parametrize("vector", OURS.values(), ids=OURS)
def test_codec_makes_exactly_these_bytes(vector: Vector) -> None:
    if vector.kind == "REQUEST":
        payload, flags = pack_request(vector.verb, vector.fields, vector.array)
    else:
        payload, flags = pack_answer(vector), 0
    verb = Verb[vector.verb] if vector.verb else 0
    assert flags == vector.flags
    assert b"".join(bytes(part) for part in payload) == vector.payload
    made = encode(Kind[vector.kind], verb, vector.session, vector.seq, payload, flags)
    assert made == vector.frame


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_codec_takes_the_frame_apart(vector: Vector) -> None:
    frame = received(vector.frame)
    assert frame.version == vector.version
    assert (Kind(frame.kind).name, frame.flags) == (vector.kind, vector.flags)
    assert (Verb(frame.verb).name if frame.verb else "") == vector.verb
    assert (frame.session, frame.seq) == (vector.session, vector.seq)
    assert bytes(frame.payload) == vector.payload


def with_payload(kind: str) -> list[Any]:
    """Vectors of a kind whose payload has a decoder of its own."""
    return [
        pytest.param(v, id=name)
        for name, v in VECTORS.items()
        if v.kind == kind and v.fields and v.verb != "COUNTERS"
    ]


@pytest.mark.parametrize("vector", with_payload("REQUEST"))
def test_codec_understands_requests(vector: Vector) -> None:
    wanted = {k: v for k, v in vector.fields.items() if k not in ("mode", "form")}
    assert unpack_request(vector, received(vector.frame)) == wanted


@pytest.mark.parametrize("vector", with_payload("REPLY"))
def test_codec_understands_replies(vector: Vector) -> None:
    payload, f = received(vector.frame).payload, vector.fields
    if vector.verb == "HELLO":
        assert Info.unpack(payload) == info_of(f)
    elif vector.verb == "JOB":
        result = unpack_result(payload, len(f["current"]))
        assert result.rounds == f["rounds"]
        assert result.current.tolist() == f["current"]
        assert result.pulses.tolist() == f["pulses"]
        assert result.converged.tolist() == f["converged"]
    elif vector.verb == "PAIRS":
        numbers, clipped = unpack_pairs(payload, (len(f["pairs"]),), len(f["clipped"]))
        assert numbers.tolist() == f["pairs"]
        assert clipped.tolist() == f["clipped"]
    else:
        averages = 2 if "sums" in f else 1
        sums = f.get("sums", f.get("codes"))
        codes = Codes.unpack(payload, len(sums), averages, top=255)
        assert codes.sums.tolist() == sums
        assert codes.clipped.tolist() == f.get("clipped", [code == 255 for code in sums])


@pytest.mark.parametrize("vector", with_payload("ERROR") + with_payload("STATUS"))
def test_codec_understands_errors_and_status(vector: Vector) -> None:
    payload, f = received(vector.frame).payload, vector.fields
    if vector.kind == "ERROR":
        assert unpack_error(payload) == (f["status"], f["message"])
    else:
        assert Report.unpack(payload) == Report(f["next"], f["have"])


# --- whatever the real encoder makes, the reference understands ---------------------------------

FEW = settings(max_examples=40, deadline=None)
U32 = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))


@st.composite
def cell_sets(draw: st.DrawFn, array: tuple[int, int, int]) -> Addresses | None:
    size = int(np.prod(array))
    chosen = draw(st.none() | st.sets(st.integers(0, size - 1)))
    return None if chosen is None else np.array(sorted(chosen), np.int64)


def u8s(n: int) -> st.SearchStrategy[NDArray[np.uint8]]:
    return st.binary(min_size=n, max_size=n).map(lambda b: np.frombuffer(b, np.uint8))


def through_the_reference(
    verb: Verb, payload: list[Buffer], array: tuple[int, int, int], flags: int = 0
) -> Fields:
    stream = encode(Kind.REQUEST, verb, 0x12345678, 1, payload, flags)
    (frame,) = reference.frames(stream)
    message = reference.decode(frame)
    assert (message.kind, message.verb, message.flags) == ("REQUEST", verb.name, flags)
    return reference.request_fields(message, array)


@FEW
@given(U32, U32, U32, st.binary(max_size=600))
def test_reference_reads_any_frame(session: int, seq: int, flags: int, payload: bytes) -> None:
    stream = encode(Kind.REPLY, Verb.VMM, session, seq, [payload], flags & 255)
    (frame,) = reference.frames(stream)
    assert reference.decode(frame) == reference.Message(
        VERSION, "REPLY", "VMM", flags & 255, session, seq, payload
    )


@FEW
@given(st.data(), SHAPES, st.integers(1, 257), st.integers(0, 255))
def test_reference_reads_any_read(
    data: st.DataObject, array: tuple[int, int, int], averages: int, code: int
) -> None:
    cells = data.draw(cell_sets(array))
    read = Read(code, averages, cells)
    fields = through_the_reference(Verb.READ, read.pack(int(np.prod(array))), array)
    assert fields.pop("mode") in (0, 1, 2, 3)
    assert fields == {"averages": averages, "code": code, "cells": selected(cells, array)}


@FEW
@given(st.data(), SHAPES)
def test_reference_reads_any_pulse(data: st.DataObject, array: tuple[int, int, int]) -> None:
    cells = data.draw(cell_sets(array))
    n = count(cells, int(np.prod(array)))
    of_cells = lambda low, high: st.lists(st.integers(low, high), min_size=n, max_size=n)  # noqa: E731
    alike = data.draw(st.booleans())
    codes = [data.draw(st.integers(-255, 255))] * n if alike else data.draw(of_cells(-255, 255))
    counts = data.draw(of_cells(0, data.draw(st.sampled_from([1, 255, 65535]))))
    pulse = Pulse(
        data.draw(U32),
        np.array(codes, np.int16),
        np.array(counts, np.uint16),
        cells,
        data.draw(st.integers(0, 257)),
        data.draw(st.integers(0, 255)),
    )
    fields = through_the_reference(Verb.PULSE, pulse.pack(int(np.prod(array))), array)
    assert fields.pop("mode") in (0, 1, 2, 3)
    assert fields.pop("form") in range(8)
    assert fields == pulse_fields(pulse, array)


@FEW
@given(st.data(), SHAPES, st.integers(0, 4), st.booleans())
def test_reference_reads_any_product(
    data: st.DataObject, array: tuple[int, int, int], batch: int, transposed: bool
) -> None:
    tiles = tuple(sorted(data.draw(st.sets(st.integers(0, array[0] - 1), min_size=1))))
    spans = []
    for length in array[1:]:
        first = data.draw(st.integers(0, length - 1))
        spans.append((first, data.draw(st.integers(first + 1, length))))
    window = Window(tiles, *spans)
    driven = window.n_cols if transposed else window.n_rows
    shape = (len(tiles), batch, driven)
    codes = data.draw(u8s(int(np.prod(shape)))).reshape(shape)
    vmm = Vmm(window, codes, None, transposed)
    fields = through_the_reference(Verb.VMM, vmm.pack(), array, vmm.flags)
    assert fields == vmm_fields(vmm)


@FEW
@given(st.data(), SHAPES, st.integers(0, 4))
def test_reference_reads_any_pairs_and_their_answer(
    data: st.DataObject, array: tuple[int, int, int], batch: int
) -> None:
    tiles = tuple(range(array[0]))
    window = Window(tiles, (0, array[1]), (2, 2 + 2 * array[2]))
    bits = st.lists(st.booleans(), min_size=array[2], max_size=array[2])
    wanted = np.array([data.draw(bits) for _ in tiles])
    inputs = (len(tiles) - 1) * array[1] + 1
    codes = data.draw(u8s(batch * inputs)).reshape(batch, inputs)
    pairs = Pairs((window, window), (wanted, ~wanted), codes)
    fields = through_the_reference(Verb.PAIRS, pairs.pack(), array, pairs.flags)
    assert fields == pairs_fields(pairs)
    shape = pairs.answer_shape
    n = int(np.prod(shape))
    numbers = np.array(data.draw(st.lists(st.integers(-256, 255), min_size=n, max_size=n)))
    clipped = np.arange(2 * len(tiles))
    payload = b"".join(bytes(p) for p in pack_pairs(numbers.astype(np.int16), clipped))
    assert len(payload) == pairs_length(n, 2 * len(tiles))
    reply = reference.Message(VERSION, "REPLY", "PAIRS", 0, 1, 1, payload)
    read = reference.answer_fields(reply, fields, pairs.flags)
    assert read == {"pairs": numbers.tolist(), "clipped": clipped.tolist()}


SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))


@FEW
@given(st.data(), SMALL, SMALL, st.tuples(st.integers(0, 2), st.integers(0, 2)), SMALL)
def test_reference_reads_any_unfolded_product(
    data: st.DataObject,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    unfold = Unfold(kernel, stride, padding, dilation)
    reach = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    shape = (data.draw(st.integers(0, 2)), 2, *(data.draw(st.integers(r, r + 3)) for r in reach))
    codes = data.draw(u8s(int(np.prod(shape)))).reshape(shape)
    rows = 2 * kernel[0] * kernel[1]
    vmm = Vmm(Window((0,), (0, rows), (0, 2)), codes, unfold)
    fields = through_the_reference(Verb.VMM, vmm.pack(), (1, rows, 2), vmm.flags)
    assert fields == vmm_fields(vmm)
    answer = bytes(int(np.prod(vmm.answer_shape)))
    reply = reference.Message(VERSION, "REPLY", "VMM", 0, 1, 1, answer)
    assert len(reference.answer_fields(reply, fields, vmm.flags)["codes"]) == len(answer)


WORDS = st.text(max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@FEW
@given(st.data(), SHAPES, WORDS, st.dictionaries(WORDS, FINITE, max_size=4))
def test_reference_reads_any_job(
    data: st.DataObject, array: tuple[int, int, int], name: str, job_settings: dict[str, float]
) -> None:
    cells = data.draw(cell_sets(array))
    n = count(cells, int(np.prod(array)))
    targets = data.draw(st.lists(st.floats(0, 1, width=32), min_size=n, max_size=n))
    job = Job(name, job_settings, cells, np.array(targets, np.float32))
    fields = through_the_reference(Verb.JOB, job.pack(int(np.prod(array))), array)
    assert fields.pop("mode") in (0, 1, 2, 3)
    assert fields == {
        "name": name,
        "settings": job_settings,
        "cells": selected(cells, array),
        "target": targets,
    }


@FEW
@given(U32, U32, WORDS)
def test_reference_reads_any_hello(boot: int, max_frame: int, token: str) -> None:
    fields = through_the_reference(Verb.HELLO, Hello(boot, max_frame, token).pack(), (1, 1, 1))
    assert fields == {"boot": boot, "max_frame": max_frame, "token": token}


@FEW
@given(FINITE, FINITE, FINITE, st.lists(FINITE, max_size=4), st.booleans())
def test_reference_reads_any_configure(
    v_read: float, v_gate: float, i_read: float, i_vmm: list[float], limited: bool
) -> None:
    limits = Limits(1.0, 2.0, 0.5, 1e-7, 1e-3, 7) if limited else None
    configure = Configure(Converters(v_read, v_gate, i_read, tuple(i_vmm)), limits)
    fields = through_the_reference(Verb.CONFIGURE, configure.pack(), (1, 1, 1), configure.flags)
    wanted: Fields = {"v_gate": v_gate, "v_read": v_read, "i_read": i_read, "i_vmm": i_vmm}
    assert fields == wanted | ({"limits": limits_fields(limits)} if limits else {})


@FEW
@given(st.integers(0, 65535), st.text(), st.integers(1, 100))
def test_reference_reads_any_error(status: int, text: str, times: int) -> None:
    stream = encode(Kind.ERROR, Verb.READ, 1, 1, pack_error(status, text * times))
    (frame,) = reference.frames(stream)
    fields = reference.answer_fields(reference.decode(frame))
    assert fields["status"] == status
    assert (text * times).startswith(fields["message"])
    assert len(fields["message"].encode()) in range(min(len((text * times).encode()), 397), 401)


def test_a_setting_given_twice_is_refused() -> None:
    payload = b"\x01j\x02" + 2 * (b"\x01k" + bytes(8)) + b"\x00" + bytes(4)
    with pytest.raises(LinkProtocol, match="twice"):
        Job.unpack(memoryview(payload), 1)


@pytest.mark.parametrize("filler", [b"\x00", b"\x01"])
def test_a_body_may_have_max_frame_bytes_and_no_more(filler: bytes) -> None:
    fits = encode(Kind.REPLY, Verb.VMM, 1, 1, [filler * 984])  # header 12, crc 4
    assert list(FrameDecoder(max_frame=1000).feed(fits)) != [None]
    too_long = encode(Kind.REPLY, Verb.VMM, 1, 1, [filler * 985])
    assert list(FrameDecoder(max_frame=1000).feed(too_long)) == [None]
