"""A plan's fields as options of a command, and a plan from them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cimlab.core.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from cimlab.protocols.characterisation import CellPlan

_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def option(info: FieldInfo, schema: Mapping[str, Any]) -> Any:
    """A field as an option that may be left out."""
    limits = [f"{sign} {schema[key]:g}" for key, sign in _LIMITS.items() if key in schema]
    default = info.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default)) or "none"
    text = "; ".join(part for part in (info.description, ", ".join(limits)) if part)
    shown = f"{default:g}" if isinstance(default, float) else str(default).lower()
    kind = str if schema.get("type") == "array" else info.annotation
    return Annotated[kind | None, typer.Option(help=f"{text} [default: {shown}]")]  # type: ignore[operator]


def make_plan(kind: type[CellPlan], given: Mapping[str, Any], file: Path | None) -> CellPlan:
    """A plan from options, over those of a TOML file; ConfigError says what is wrong where."""
    from pydantic import ValidationError

    settings: dict[str, Any] = {}
    if file is not None:
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"cannot read the plan {file}: {error}") from error
    fields = kind.model_fields
    settings |= {
        name: value.split(",") if isinstance(value, str) and _is_list(fields[name]) else value
        for name, value in given.items()
    }
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or kind.__name__}: {e['msg']}" for e in error.errors()
        )
        raise ConfigError(wrong) from error


def _is_list(info: FieldInfo) -> bool:
    return isinstance(info.default, tuple)
