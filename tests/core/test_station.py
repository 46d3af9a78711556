"""Station files and short forms become the same data; mistakes are named with their line."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cimlab.core.array import Converters, Limits
from cimlab.core.bench import BenchTable, CellLimitsTable, MockBench
from cimlab.core.errors import ConfigError
from cimlab.core.station import (
    MockBoard,
    ModelArray,
    SerialBoard,
    TcpBoard,
    load_station,
    parse_station,
)
from cimlab.core.tables import LimitsTable

FULL = """\
# the board in room 3
[array]
connect = "tcp://10.0.0.7:5000?token=s3cret"

[array.limits]
v_set = 2.8
v_reset = 3
width_max = 1e-3

[array.converters]
v_read = 0.1
i_vmm = [70e-6, 80e-6]
"""

BENCH = """\
[bench]
i_comp = 1e-5

[bench.smu]
driver = "keithley2450"
resource = "TCPIP::10.0.0.9::5025::SOCKET"

[bench.matrix]
driver = "keysightb2200"
resource = "GPIB0::22::INSTR"

# plugged in as on the photograph
[bench.wiring]
rows = [1, 2]
cols = [9, 10, 11]

[bench.limits]
v_set = 4.5
"""


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("model:", ModelArray()),
        (
            "model:?tiles=4&rows=256&seed=3&device=softbounds",
            ModelArray(tiles=4, rows=256, seed=3, device="softbounds"),
        ),
        ("mock:", MockBoard(tiles=8, rows=64, cols=64, seed=0, device="brram", transport="tcp")),
        (
            "mock:?tiles=4&transport=pty&state=a.h5",
            MockBoard(tiles=4, transport="pty", state="a.h5"),
        ),
        ("model:device.toml", ModelArray(device="device.toml")),
        ("mock:/d/My.toml?seed=3", MockBoard(device="/d/My.toml", seed=3)),
        ("model:?device=exponential:pcmo", ModelArray(device="exponential:pcmo")),
        ("tcp://localhost:5000", TcpBoard(host="localhost", port=5000)),
        ("tcp://[::1]:5000?token=a%26b", TcpBoard(host="::1", port=5000, token="a&b")),
        ("serial:///dev/ttyUSB0", SerialBoard(port="/dev/ttyUSB0", baud=3_000_000)),
        ("serial:///dev/ttyUSB0?baud=115200", SerialBoard(port="/dev/ttyUSB0", baud=115200)),
        ("serial://COM3", SerialBoard(port="COM3")),
        ("bench:", MockBench()),
        (
            "bench:?dut=crossbar:2x3:brram&instruments=keithley2450,keysightb2200&seed=4",
            MockBench(dut="crossbar:2x3:brram", instruments="keithley2450,keysightb2200", seed=4),
        ),
    ],
)
def test_a_short_form_alone_and_in_a_file_is_the_same_data(short, expected, tmp_path):
    path = tmp_path / "station.toml"
    path.write_text(f'[array]\nconnect = "{short}"\n')
    alone, from_file = load_station(short), load_station(path)
    assert alone.connection == expected
    assert from_file.connection == expected
    assert alone.limits == from_file.limits
    assert alone.converters == from_file.converters


def test_a_full_file():
    station = parse_station(FULL, "room3.toml")
    assert station.limits.limits() == Limits(
        v_set=2.8,
        v_reset=3.0,
        v_read=math.inf,
        width_min=0.0,
        width_max=1e-3,
        count_max=2**31 - 1,
    )
    current = Converters(v_read=0.3, v_gate=1.2, i_read=10e-6, i_vmm=(1e-6, 1e-6))
    assert station.converters.over(current) == Converters(
        v_read=0.1, v_gate=1.2, i_read=10e-6, i_vmm=(70e-6, 80e-6)
    )


def test_a_bench_is_a_station():
    station = parse_station(BENCH + "[bench.converters]\nv_read = 0.2", "lab.toml")
    bench = station.connection
    assert isinstance(bench, BenchTable)
    assert bench.wiring.cols == (9, 10, 11)
    assert bench.limits.limits() == dataclasses.replace(Limits(), v_set=4.5)
    assert station.limits.limits() == LimitsTable().limits()
    assert station.converters.v_read == 0.2
    assert parse_station(bench.toml(), "again").connection == bench


def test_the_file_in_the_manual_is_a_station():
    page = (Path(__file__).parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")
    bench = parse_station(page.split("```toml")[1].split("```")[0], "bench.md").connection
    assert isinstance(bench, BenchTable)
    assert bench.limits == CellLimitsTable()  # "left out: the values shown"


def test_one_full_scale_stands_for_all_tiles_and_silence_changes_nothing():
    current = Converters(v_read=0.3, v_gate=1.2, i_read=10e-6, i_vmm=(1e-6, 1e-6))
    one = parse_station('[array]\nconnect="model:"\nconverters.i_vmm = 5e-6', "x").converters
    assert one.over(current) == dataclasses.replace(current, i_vmm=(5e-6, 5e-6))
    assert load_station("model:").converters.over(current) == current


def test_a_station_cannot_be_changed():
    station = load_station("model:")
    with pytest.raises(ValidationError):
        station.connection.seed = 5


def test_the_token_is_neither_recorded_nor_printed():
    for station in (load_station("tcp://h:1?token=s3cret"), parse_station(FULL, "x")):
        assert station.connection.token == "s3cret"
        assert "s3cret" not in station.text + repr(station)
        assert "token=***" in station.text
    with pytest.raises(ConfigError) as caught:
        load_station("tcp://h?token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        (FULL.replace("v_reset", "v_rest"), ["f.toml:7:", "'v_rest'", "did you mean 'v_reset'"]),
        (FULL.replace("[array.limits]", "[array.limit]"), ["f.toml:5:", "'limit'", "'limits'"]),
        (FULL.replace("i_vmm", "zzz"), ["f.toml:12:", "one of v_read, v_gate, i_read, i_vmm"]),
        (FULL + "[bnch]\nx = 1\n", ["f.toml:13:", "'bnch'", "did you mean 'bench'"]),
        (FULL + BENCH, ["f.toml:", "either an [array] or a [bench]"]),
        (BENCH.replace("wiring", "wirings"), ["f.toml:13:", "'wirings'", "'wiring'"]),
        (BENCH.replace("rows", "row"), ["f.toml:14:", "'row'", "'rows'", "bench.wiring.rows is"]),
        (BENCH.replace("[1, 2]", '["1", 2]'), ["f.toml:14:", "bench.wiring.rows.0", "'1'"]),
        (BENCH.replace("[1, 2]", "[0, 2]"), ["f.toml:14:", "greater than or equal to 1"]),
        (BENCH.replace("resource", "resorce"), ["f.toml:6:", "did you mean 'resource'"]),
        (BENCH.replace("matrix", "pulser"), ["f.toml:1:", "[bench.matrix] and [bench.wiring]"]),
        (BENCH.replace("rows", "bias = 4\nrows"), ["f.toml:1:", "[bench.bias] needs"]),
        (BENCH.replace("1e-5", "0"), ["f.toml:2:", "bench.i_comp", "greater than 0"]),
        (BENCH.replace("4.5", "inf"), ["f.toml:18:", "bench.limits.v_set", "finite"]),
        (FULL.replace("2.8", '"2.8"'), ["f.toml:6:", "array.limits.v_set", "'2.8'"]),
        (FULL.replace("2.8", "-2.8"), ["f.toml:6:", "greater than 0", "-2.8"]),
        (FULL.replace("2.8", "nan"), ["f.toml:6:", "finite"]),
        (FULL.replace("80e-6", '"x"'), ["f.toml:12:", "array.converters.i_vmm"]),
        (FULL.replace("7:5000", "7:port"), ["f.toml:3:", "cannot understand"]),
        (FULL.replace("?token", "?tokn"), ["f.toml:3:", "'tokn'", "did you mean 'token'"]),
        (FULL.replace("connect", "conect"), ["f.toml:3:", "did you mean 'connect'"]),
        ("[array]\nlimits = {v_st = 1}\nconnect = 'model:'", ["f.toml:2:", "'v_st'", "'v_set'"]),
        ("[array.limits]\nv_set = 1", ["f.toml:1:", "array.connect is missing"]),
        ("", ["f.toml:", "either an [array] or a [bench]"]),
        ("\narray = {connect = 'modle:'}", ["f.toml:2:", "'model:'"]),
        ("\"array\".connect = 'modle:'", ["f.toml:1:", "'model:'"]),
        ("bench = {smu = {driver = 'x'}}", ["f.toml:1:", "bench.smu.resource is missing"]),
        ("[array\n", ["f.toml:", "line 1"]),
        ("array = 5", ["f.toml:1:", "array:"]),
    ],
)
def test_mistakes_in_a_file_are_named_with_line_and_remedy(source, parts):
    with pytest.raises(ConfigError) as caught:
        parse_station(source, "f.toml")
    for part in parts:
        assert part in str(caught.value)


def test_all_mistakes_are_told_at_once():
    source = FULL.replace("v_set", "vset").replace("v_read", "vread")
    with pytest.raises(ConfigError) as caught:
        parse_station(source, "f.toml")
    assert [line[:10] for line in str(caught.value).splitlines()] == ["f.toml:6: ", "f.toml:11:"]


@pytest.mark.parametrize(
    ("short", "parts"),
    [
        ("modle:", ["'modle:'", "did you mean 'model:'"]),
        ("usb:", ["one of model:, mock:, tcp:, serial:, bench:"]),
        ("model:?tile=4", ["'tile'", "did you mean 'tiles'"]),
        ("model:?tiles=0", ["tiles", "'0'"]),
        ("model:?tiles", ["cannot understand"]),
        ("model:?kind=mock", ["kind"]),
        ("model:tiles=4", ["model:?key=value"]),
        ("model://a.toml", ["model:?key=value"]),
        ("model:a.toml?device=pcm", ["model:?key=value"]),
        ("model:?transport=pty", ["'transport'"]),
        ("mock:?transport=usb", ["transport", "'usb'"]),
        ("bench:a.toml", ["write bench:?key=value"]),
        ("bench:?duts=open", ["'duts'", "did you mean 'dut'"]),
        ("tcp://host", ["port"]),
        ("tcp://host:99999", ["cannot understand"]),
        ("tcp://:5000", ["host"]),
        ("serial:", ["port"]),
        ("serial:///dev/ttyUSB0?baud=fast", ["baud", "'fast'"]),
    ],
)
def test_mistakes_in_a_short_form_are_named_with_the_remedy(short, parts):
    with pytest.raises(ConfigError) as caught:
        load_station(short)
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_file_is_told_with_the_short_forms(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml.*short form.*tcp:"):
        load_station(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml"):
        load_station(binary)


@given(st.sampled_from(["v_set", "v_reset", "v_read", "width_max"]), st.data())
def test_a_misspelt_limit_is_always_refused_with_its_line(key, data):
    at = data.draw(st.integers(0, len(key)))
    wrong = key[:at] + data.draw(st.sampled_from("qz")) + key[at:]
    blank = "\n" * data.draw(st.integers(0, 5))
    with pytest.raises(ConfigError) as caught:
        parse_station(f'[array]\nconnect = "model:"\n{blank}[array.limits]\n{wrong} = 1.0', "s")
    assert f"s:{4 + len(blank)}:" in str(caught.value)
    assert f"did you mean {key!r}?" in str(caught.value)
