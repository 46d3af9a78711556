"""Stations: which hardware a script runs on, as validated data.

A station is a TOML file or a short form; the short form is also what a file's `connect` says:

    trace = "session.h5"                    # optional; record every verb and its answer

    [array]
    connect = "tcp://192.168.1.20:5000"     # the one line that changes the hardware

    health = "chip.health.h5"               # optional; cells marked bad there get no pulses, and
                                            # it keeps how many the others have had

    [array.limits]                          # optional; each may only tighten the array's own
    v_set = 2.8
    pulses_max = 1000000                    # of a cell's whole life: its wear budget
    energy_max = 1e-6                       # J a cell takes up in one call, if it conducts ...
    g_max = 500e-6                          # S
    duty_max = 0.1                          # share of time cells are driven; the rest is waited

    [array.converters]                      # optional; what to set before the first verb
    v_read = 0.1

A bench has [bench] instead of [array]; see `cimlab.core.bench`.

Short forms: `model:`, `model:?tiles=4&seed=3`, `model:device.toml?seed=3`, `mock:?transport=pty`,
`tcp://host:port?token=...`, `serial:///dev/ttyUSB0?baud=3000000`, `serial://COM3`,
`bench:?dut=crossbar:8x8:brram&instruments=keithley2450,keysight81160a,keysightb2200`,
`arc2:?firmware=arc2fw.bin&rows=8&cols=8`, `replay:session.h5`. Each takes `trace=session.h5`, too,
and records a link trace. Several boards are one array, tile after tile, when they are joined:
`tcp://10.0.0.2:5000 + tcp://10.0.0.3:5000`. Where there is a board link,
`faults=0.05&fault_seed=1` drops, damages and doubles frames on purpose.
`cimlab.rig` turns a Station into hardware.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import Field, ValidationError

from .bench import BenchTable, MockBench
from .errors import ConfigError
from .mistakes import explain, key_lines, nearest
from .stream import DEFAULT_BAUD
from .tables import Budgets, ConvertersTable, Data, LimitsTable, Table

Size = Annotated[int, Field(ge=1, le=4096)]


class _Linked(Data):
    """A board link, and what may be done to it: a test of everything above."""

    faults: float = Field(
        default=0.0,
        ge=0,
        le=0.3,
        description="share of frames dropped, damaged and doubled, each, in either direction; a "
        "fiftieth of it breaks the connection",
    )
    fault_seed: int = Field(default=1, ge=0, lt=2**31, description="which frames are struck")


class _Simulated(Data):
    """An emulated array: its size, its seed and what its cells are made of."""

    tiles: Size = Field(default=8, description="8 hold the paper's LeNet; the paper's chip has 4")
    rows: Size = 64
    cols: Size = 64
    seed: int = Field(default=0, ge=0, lt=2**63, description="same seed, same numbers, bit for bit")
    device: str = Field(
        default="brram",
        description="a device model of cimlab.mock_hw.devices: name, preset or device file",
    )
    adc_noise: float = Field(
        default=0.0, ge=0, lt=1e-3, description="what a converter adds in products, A"
    )


class ModelArray(_Simulated):
    """`model:` - the physics in this process, without a wire."""

    kind: Literal["model"] = "model"


class MockBoard(_Simulated, _Linked):
    """`mock:` - the same physics behind the board link, in a process of its own."""

    kind: Literal["mock"] = "mock"
    transport: Literal["tcp", "pty"] = "tcp"
    state: str | None = Field(default=None, description="file that keeps the conductances")


class TcpBoard(_Linked):
    """`tcp://host:port` - a board, or `cimlab mock board`, on the network."""

    kind: Literal["tcp"] = "tcp"
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    token: str | None = Field(
        default=None, repr=False, description="what the board asks for, if it does"
    )


class SerialBoard(_Linked):
    """`serial://port` - a board on a serial line or a pseudo-terminal."""

    kind: Literal["serial"] = "serial"
    port: str = Field(min_length=1, description="/dev/ttyUSB0, COM3")
    baud: int = Field(default=DEFAULT_BAUD, ge=300)


class Arc2Board(Data):
    """`arc2:?firmware=arc2fw.bin` - an ArC TWO board, through pyarc2."""

    kind: Literal["arc2"] = "arc2"
    port: int | None = Field(
        default=None, ge=0, description="of pyarc2.find_ids(); None: the first"
    )
    firmware: str = Field(min_length=1, description="file that came with the board")
    rows: int = Field(
        default=32, ge=1, le=32, description="bit lines that are wired, from the first"
    )
    cols: int = Field(default=32, ge=1, le=32, description="word lines that are wired")


class ReplayedTrace(Data):
    """`replay:trace.h5` - a recorded session: answers what was measured, refuses all else."""

    kind: Literal["replay"] = "replay"
    file: str = Field(min_length=1, description="link trace, as `trace` made it")


class JoinedBoards(Data):
    """`tcp://a:5000 + tcp://b:5000` - boards of equal tiles as one array, their links at once."""

    kind: Literal["joined"] = "joined"
    boards: tuple[
        Annotated[ModelArray | MockBoard | TcpBoard | SerialBoard, Field(discriminator="kind")], ...
    ] = Field(min_length=2)


Connection: TypeAlias = (
    ModelArray
    | MockBoard
    | TcpBoard
    | SerialBoard
    | MockBench
    | BenchTable
    | Arc2Board
    | ReplayedTrace
    | JoinedBoards
)
_JOINT = " + "
_SCHEMES: dict[str, type[Connection]] = {
    "model": ModelArray,
    "mock": MockBoard,
    "tcp": TcpBoard,
    "serial": SerialBoard,
    "bench": MockBench,
    "arc2": Arc2Board,
    "replay": ReplayedTrace,
}


class _ArrayTable(Table):
    connect: str
    health: str | None = None
    limits: LimitsTable = LimitsTable()
    converters: ConvertersTable = ConvertersTable()


class _File(Data):
    trace: str | None = None
    array: _ArrayTable | None = None
    bench: BenchTable | None = None


class Station(Data):
    """Where an array is and how it is to be used.

    Attributes:
        connection: What to open.
        limits: Refused beyond, together with the array's own; a bench has its own in its table.
        converters: To be applied on connection.
        text: What was given, for the records, without the token.
        trace: File to record every verb in, with its answer; None for none.
        health: Health file of the array: bad cells get no pulses, and pulses are summed up in it.
    """

    connection: Connection
    limits: LimitsTable = LimitsTable()
    converters: ConvertersTable = ConvertersTable()
    text: str
    trace: str | None = None
    health: str | None = None


def load_station(text_or_path: str | Path) -> Station:
    """Read a station from a short form or a TOML file.

    Raises:
        ConfigError: The form or the file is wrong; names file, line and the nearest right key.
    """
    text = str(text_or_path)
    if re.match(r"[a-z][a-z0-9]{2,}:", text):  # one letter and a colon is a Windows drive
        connection, trace = _connection(text)
        return Station(connection=connection, text=_public(text), trace=trace)
    try:
        source = Path(text).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the station file {text!r} ({error}); a short form is one of "
            + ", ".join(f"{scheme}:" for scheme in _SCHEMES)
        ) from error
    return parse_station(source, name=text)


def parse_station(source: str, name: str) -> Station:
    """Read a station from the text of a TOML file; name is what messages call the file.

    Raises:
        ConfigError: As load_station.
    """
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}") from error
    lines = key_lines(source)
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, _File, f"{name}:", lines)) from error
    array, bench = file.array, file.bench
    if array is None and bench is not None:
        return Station(
            connection=bench,
            limits=LimitsTable(**bench.limits.model_dump(include=set(Budgets.model_fields))),
            converters=bench.converters,
            text=_public(source),
            trace=file.trace,
            health=bench.health,
        )
    if array is None or bench is not None:
        raise ConfigError(f"{name}: a station has either an [array] or a [bench]")
    try:
        connection, trace = _connection(array.connect)
    except ConfigError as error:
        line = lines.get(("array", "connect"), lines.get(("array",), 1))  # or in an inline table
        raise ConfigError(f"{name}:{line}: {error}") from error
    return Station(
        connection=connection,
        limits=array.limits,
        converters=array.converters,
        text=_public(source),
        trace=trace if file.trace is None else file.trace,
        health=array.health,
    )


def _connection(short: str) -> tuple[Connection, str | None]:
    """A short form as data, and the trace that it wants."""
    if _JOINT in short:
        return _joined(short)
    url = urlsplit(short)
    if url.scheme not in _SCHEMES:
        raise ConfigError(f"unknown station {short!r}" + nearest(url.scheme, _SCHEMES, ":"))
    kind = _SCHEMES[url.scheme]
    try:
        options: dict[str, Any] = dict(parse_qsl(url.query, True, strict_parsing=bool(url.query)))
        trace = options.pop("trace", None)
        if kind is TcpBoard:
            options |= {"host": url.hostname or "", "port": url.port}
        elif kind is SerialBoard:
            options |= {"port": url.netloc + url.path}
        elif kind is ReplayedTrace:
            options |= {"file": url.netloc + url.path}
        elif issubclass(kind, _Simulated) and _is_file(url) and "device" not in options:
            options["device"] = url.path
        elif url.netloc or url.path:
            of_file = f", or {url.scheme}:device.toml" if issubclass(kind, _Simulated) else ""
            raise ValueError(f"write {url.scheme}:?key=value{of_file}")
    except ValueError as error:
        raise ConfigError(f"cannot understand the station {_public(short)!r}: {error}") from error
    try:
        return kind.model_validate(options), trace
    except ValidationError as error:
        raise ConfigError(explain(error, kind, f"{_public(short)}:", {})) from error


def _joined(short: str) -> tuple[Connection, str | None]:
    """Several short forms as one array; a trace is of that array, whichever of them names it."""
    parts = [_connection(part.strip()) for part in short.split(_JOINT)]
    traces = [trace for _, trace in parts if trace is not None]
    if len(traces) > 1:
        raise ConfigError(f"joined boards have one trace, not {', '.join(traces)}")
    try:
        boards = JoinedBoards(boards=tuple(board for board, _ in parts))
    except ValidationError as error:
        raise ConfigError(
            f"cannot join {_public(short)!r}: model:, mock:, tcp:// and serial:// can be joined"
        ) from error
    return boards, traces[0] if traces else None


def _is_file(url: SplitResult) -> bool:
    return url.path.endswith(".toml") and not url.netloc


def _public(text: str) -> str:
    """The text without its token: records are shared."""
    return re.sub(r"""(token=)[^&"'\s]*""", r"\1***", text)
