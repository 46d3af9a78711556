"""Stations: which hardware a script runs on, as validated data.

A station is a TOML file or a short form; the short form is also what a file's `connect` says:

    [array]
    connect = "tcp://192.168.1.20:5000"     # the one line that changes the hardware

    [array.limits]                          # optional; each may only tighten the array's own
    v_set = 2.8

    [array.converters]                      # optional; what to set before the first verb
    v_read = 0.1

Short forms: `model:`, `model:?tiles=4&seed=3`, `model:device.toml?seed=3`, `mock:?transport=pty`,
`tcp://host:port?token=...`, `serial:///dev/ttyUSB0?baud=3000000`, `serial://COM3`.
`cimlab.rig` turns a Station into hardware.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from .array import Converters, Limits
from .errors import ConfigError
from .stream import DEFAULT_BAUD

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1, le=4096)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Simulated(_Data):
    """An emulated array: its size, its seed and what its cells are made of."""

    tiles: Size = Field(default=8, description="8 hold the paper's LeNet; the paper's chip has 4")
    rows: Size = 64
    cols: Size = 64
    seed: int = Field(default=0, ge=0, lt=2**63, description="same seed, same numbers, bit for bit")
    device: str = Field(
        default="brram",
        description="a device model of cimlab.mock_hw.devices: name, preset or device file",
    )


class ModelArray(_Simulated):
    """`model:` - the physics in this process, without a wire."""

    kind: Literal["model"] = "model"


class MockBoard(_Simulated):
    """`mock:` - the same physics behind the board link, in a process of its own."""

    kind: Literal["mock"] = "mock"
    transport: Literal["tcp", "pty"] = "tcp"
    state: str | None = Field(default=None, description="file that keeps the conductances")


class TcpBoard(_Data):
    """`tcp://host:port` - a board, or `cimlab mock board`, on the network."""

    kind: Literal["tcp"] = "tcp"
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    token: str | None = Field(
        default=None, repr=False, description="what the board asks for, if it does"
    )


class SerialBoard(_Data):
    """`serial://port` - a board on a serial line or a pseudo-terminal."""

    kind: Literal["serial"] = "serial"
    port: str = Field(min_length=1, description="/dev/ttyUSB0, COM3")
    baud: int = Field(default=DEFAULT_BAUD, ge=300)


Connection: TypeAlias = ModelArray | MockBoard | TcpBoard | SerialBoard
_SCHEMES: dict[str, type[Connection]] = {
    "model": ModelArray,
    "mock": MockBoard,
    "tcp": TcpBoard,
    "serial": SerialBoard,
}


class LimitsTable(_Data):
    """`[array.limits]`: what this station allows; a limit left out is the array's own."""

    model_config = ConfigDict(strict=True)

    v_set: Positive = Field(default=math.inf, description="V")
    v_reset: Positive = Field(default=math.inf, description="V, magnitude")
    v_read: Positive = Field(default=math.inf, description="V, reads and VMM inputs")
    width_min: Positive = Field(default=0.0, description="s")
    width_max: Positive = Field(default=math.inf, description="s")
    count_max: int = Field(default=2**31 - 1, ge=1, description="pulses a cell in one call")

    def limits(self) -> Limits:
        """As the seam's type; whatever was left out limits nothing."""
        return Limits(**self.model_dump())


class ConvertersTable(_Data):
    """`[array.converters]`: settings to apply on connection; one left out stays as it is."""

    model_config = ConfigDict(strict=True)

    v_read: Positive | None = Field(
        default=None, description="V, amplitude of reads and VMM inputs"
    )
    v_gate: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="V"
    )
    i_read: Positive | None = Field(default=None, description="A, ADC full scale of cell reads")
    i_vmm: Positive | Annotated[tuple[Positive, ...], Strict(False)] | None = Field(
        default=None, description="A, ADC full scale of VMMs: one for all tiles, or one a tile"
    )

    def over(self, current: Converters) -> Converters:
        """The current settings with this station's put over them."""
        i_vmm = self.i_vmm
        if isinstance(i_vmm, float | int):
            i_vmm = (float(i_vmm),) * len(current.i_vmm)
        return Converters(
            v_read=current.v_read if self.v_read is None else self.v_read,
            v_gate=current.v_gate if self.v_gate is None else self.v_gate,
            i_read=current.i_read if self.i_read is None else self.i_read,
            i_vmm=current.i_vmm if i_vmm is None else i_vmm,
        )


class _ArrayTable(_Data):
    model_config = ConfigDict(strict=True)

    connect: str
    limits: LimitsTable = LimitsTable()
    converters: ConvertersTable = ConvertersTable()


class _File(_Data):
    array: _ArrayTable


class Station(_Data):
    """Where an array is and how it is to be used.

    Attributes:
        connection: What to open.
        limits: Refused beyond, together with the array's own.
        converters: To be applied on connection.
        text: What was given, for the records, without the token.
    """

    connection: Connection
    limits: LimitsTable = LimitsTable()
    converters: ConvertersTable = ConvertersTable()
    text: str


def load_station(text_or_path: str | Path) -> Station:
    """Read a station from a short form or a TOML file.

    Raises:
        ConfigError: The form or the file is wrong; names file, line and the nearest right key.
    """
    text = str(text_or_path)
    if re.match(r"[a-z]{3,}:", text):  # one letter and a colon is a Windows drive
        return Station(connection=_connection(text), text=_public(text))
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
    lines = _key_lines(source)
    try:
        array = _File.model_validate(data).array
    except ValidationError as error:
        raise ConfigError(_explain(error, _File, f"{name}:", lines)) from error
    try:
        connection = _connection(array.connect)
    except ConfigError as error:
        raise ConfigError(f"{name}:{lines['array', 'connect']}: {error}") from error
    return Station(
        connection=connection,
        limits=array.limits,
        converters=array.converters,
        text=_public(source),
    )


def _connection(short: str) -> Connection:
    """A short form as data."""
    url = urlsplit(short)
    if url.scheme not in _SCHEMES:
        raise ConfigError(f"unknown station {short!r}" + _nearest(url.scheme, _SCHEMES, ":"))
    kind = _SCHEMES[url.scheme]
    try:
        options: dict[str, Any] = dict(parse_qsl(url.query, True, strict_parsing=bool(url.query)))
        if kind is TcpBoard:
            options |= {"host": url.hostname or "", "port": url.port}
        elif kind is SerialBoard:
            options |= {"port": url.netloc + url.path}
        elif url.path.endswith(".toml") and not url.netloc and "device" not in options:
            options["device"] = url.path
        elif url.netloc or url.path:
            raise ValueError(f"write {url.scheme}:?key=value, or {url.scheme}:device.toml")
    except ValueError as error:
        raise ConfigError(f"cannot understand the station {_public(short)!r}: {error}") from error
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise ConfigError(_explain(error, kind, f"{_public(short)}:", {})) from error


def _explain(
    error: ValidationError,
    model: type[BaseModel],
    prefix: str,
    lines: Mapping[tuple[str, ...], int],
) -> str:
    """One line a mistake: where it is, what it is, and the nearest right key."""
    messages = []
    for mistake in error.errors():
        path = tuple(str(part) for part in mistake["loc"])
        known = [path[:n] for n in range(len(path), 0, -1) if path[:n] in lines]
        where = f"{prefix}{lines[known[0]]}:" if known else prefix
        parent = model
        for part in path[:-1]:
            kind = parent.model_fields[part].annotation if part in parent.model_fields else None
            if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                break
            parent = kind
        if mistake["type"] == "extra_forbidden":
            what = f"unknown key {path[-1]!r}" + _nearest(path[-1], parent.model_fields)
        elif mistake["type"] == "missing":
            what = f"{'.'.join(path)} is missing"
        else:
            what = f"{'.'.join(path)}: {mistake['msg']}, not {mistake['input']!r}"
        messages.append(f"{where} {what}")
    return "\n".join(messages)


def _nearest(key: str, choices: Mapping[str, object], suffix: str = "") -> str:
    names = [name for name in choices if name != "kind"]
    close = difflib.get_close_matches(key, names, n=1)
    if close:
        return f": did you mean {close[0] + suffix!r}?"
    return ": it is one of " + ", ".join(name + suffix for name in names)


_TABLE = re.compile(r"\s*\[\s*([\w.\-\s]+?)\s*\]")
_KEY = re.compile(r"\s*([\w\-]+(?:\s*\.\s*[\w\-]+)*)\s*=")


def _key_lines(source: str) -> dict[tuple[str, ...], int]:
    """The line of every key and table; tomllib keeps no positions.

    Keys within inline tables are left out: their table's line stands for them.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(source.splitlines(), start=1):
        if match := _TABLE.match(line):
            path = table = _path(match[1])
        elif match := _KEY.match(line):
            path = (*table, *_path(match[1]))
        else:
            continue
        for n in range(1, len(path) + 1):
            lines.setdefault(path[:n], number)
    return lines


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in dotted.split("."))


def _public(text: str) -> str:
    """The text without its token: records are shared."""
    return re.sub(r"""(token=)[^&"'\s]*""", r"\1***", text)
