"""Device files: a model, its parameters, and where these come from, as TOML.

    model = "exponential"
    g_max = 4.0e-05

    [errors]                  # optional: standard errors of the parameters, in their units
    g_max = 2.1e-07

    [fit]                     # optional: numbers, texts and lists of these, for people
    aic = -1042.3
    runs = ["sweep.h5"]

A replay device has its tables in the same file, so that one file is one device:

    [[jumps]]
    v = 2.0
    g = [4.1e-06, 5.0e-06]
    dg = [9.0e-07, 7.5e-07]

Files come from anywhere: everything in them is checked, and nothing in them is run.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.devices.replay import Jumps

Scalar: TypeAlias = float | int | str
Notes: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]

BYTES_MOST = 1 << 26
NOTES_MOST = 1000
"""Entries of [fit], and of each list in it."""
TEXT_MOST = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What a device file says; parameters are not yet checked against the model.

    Attributes:
        model: Name of a model or preset.
        parameters: By name: numbers, and the tables of a replay.
        errors: Standard errors of parameters, in their units.
        fit: Goodness of fit and source, free in form.
    """

    model: str
    parameters: dict[str, Any]
    errors: dict[str, float]
    fit: dict[str, Any]


def read_contents(path: Path) -> Contents:
    """Read a device file.

    Raises:
        ConfigError: It cannot be read, is no TOML, or has the wrong structure.
    """
    try:
        if path.stat().st_size > BYTES_MOST:
            raise ConfigError(f"device file {path}: larger than {BYTES_MOST >> 20} MB")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"device file {path}: {error}") from error
    try:
        return _contents(data)
    except ConfigError as error:
        raise ConfigError(f"device file {path}: {error}") from error


def number(name: str, value: object) -> float:
    """The value as a finite float.

    Raises:
        ConfigError: It is no number, not finite or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number, got {_short(value)}")
    try:
        finite = float(value)
    except OverflowError:
        finite = math.inf
    if not math.isfinite(finite):
        raise ConfigError(f"{name} must be finite, got {_short(value)}")
    return finite


def write_device(
    path: Path | str,
    model: DeviceModel,
    errors: Mapping[str, float] | None = None,
    fit: Notes | None = None,
) -> None:
    """Write a device file, whole or not at all; reading it gives the same model, bit for bit.

    Args:
        path: A file that ends in .toml; replaced if there.
        model: Its parameters are all written.
        errors: Standard errors of parameters, in their units.
        fit: Goodness of fit and source: numbers, texts, and lists of these.

    Raises:
        ConfigError: The path has another ending or cannot be written, or errors or fit hold what
            a device file cannot.
    """
    path = Path(path)
    if path.suffix != ".toml":
        raise ConfigError(f"device file {path}: the name must end in .toml")
    values = {f.name: getattr(model, f.name) for f in dataclasses.fields(cast(Any, model))}
    tables: tuple[Jumps, ...] = values.pop("jumps", ())
    _check_errors(errors or {}, values)
    _check_notes(fit or {})
    lines = [f"model = {_toml(model.name)}", *_pairs(values)]
    for title, table in (("errors", errors), ("fit", fit)):
        if table:
            lines += ["", f"[{title}]", *_pairs(table)]
    for jumps in tables:
        lines += ["", "[[jumps]]", *_pairs(dataclasses.asdict(jumps))]
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        raise ConfigError(f"cannot write the device file {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _contents(data: dict[str, Any]) -> Contents:
    model = data.pop("model", None)
    if not isinstance(model, str) or model.endswith(".toml"):
        raise ConfigError('needs a line such as model = "brram"')
    errors, fit = data.pop("errors", {}), data.pop("fit", {})
    for title, table in (("errors", errors), ("fit", fit)):
        if not isinstance(table, dict):
            raise ConfigError(f"[{title}] must be a table, got {_short(table)}")
    if "jumps" in data:
        data["jumps"] = _jumps(data["jumps"])
    _check_errors(errors, data)
    _check_notes(fit)
    return Contents(model, data, errors, fit)


def _jumps(tables: object) -> tuple[Jumps, ...]:
    keys = {field.name for field in dataclasses.fields(Jumps)}
    if not (isinstance(tables, list) and all(isinstance(t, dict) for t in tables)):
        raise ConfigError(f"jumps must be tables [[jumps]], got {_short(tables)}")
    found = []
    for table in tables:
        if set(table) != keys:
            odd = ", ".join(sorted(set(table) ^ keys))
            raise ConfigError(f"[[jumps]]: keys that are missing or unknown: {odd}")
        lists = {key: table[key] for key in ("g", "dg")}
        for key, values in lists.items():
            if not isinstance(values, list):
                raise ConfigError(f"[[jumps]] {key} must be a list, got {_short(values)}")
            lists[key] = tuple(number(f"[[jumps]] {key}", value) for value in values)
        found.append(Jumps(number("[[jumps]] v", table["v"]), **lists))
    return tuple(found)


def _check_errors(errors: Mapping[str, object], parameters: Mapping[str, object]) -> None:
    for name, value in errors.items():
        if number(f"[errors] {name}", value) < 0:
            raise ConfigError(f"[errors] {name} must not be negative, got {value!r}")
        if name not in parameters:
            raise ConfigError(f"[errors] {name} belongs to no parameter of the file")


def _check_notes(notes: Mapping[str, object]) -> None:
    if len(notes) > NOTES_MOST:
        raise ConfigError(f"[fit] has more than {NOTES_MOST} entries")
    for name, value in notes.items():
        listed = isinstance(value, list | tuple)
        parts = cast(Sequence[object], value) if listed else (value,)
        if len(parts) > NOTES_MOST:
            raise ConfigError(f"[fit] {name} has more than {NOTES_MOST} entries")
        for part in parts:
            if not isinstance(part, str):
                number(f"[fit] {name}", part)
            elif len(part) > TEXT_MOST:
                raise ConfigError(f"[fit] {name} is longer than {TEXT_MOST} characters")


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_toml(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml(key)


def _toml(value: Scalar | Sequence[Scalar]) -> str:
    if isinstance(value, str):
        # JSON's strings are TOML's, but for this one control character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value if isinstance(value, int) else float(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
