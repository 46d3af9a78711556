"""What is wrong in a station: a line a mistake, where it stands, and the nearest right key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def explain(
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
            kind = _table(parent, part)
            if kind is None:
                break
            parent = kind
        if mistake["type"] == "extra_forbidden":
            what = f"unknown key {path[-1]!r}" + nearest(path[-1], parent.model_fields)
        elif mistake["type"] == "missing":
            what = f"{'.'.join(path)} is missing"
        elif mistake["type"] == "value_error":
            what = f"{'.'.join(path)}: {mistake['ctx']['error']}"
        else:
            what = f"{'.'.join(path)}: {mistake['msg']}, not {mistake['input']!r}"
        messages.append(f"{where} {what}")
    return "\n".join(messages)


def _table(parent: type[BaseModel], key: str) -> type[BaseModel] | None:
    """What a key of a table holds, if that is a table itself."""
    annotation: Any = parent.model_fields[key].annotation if key in parent.model_fields else None
    kinds = [k for k in (annotation, *get_args(annotation)) if isinstance(k, type)]
    return next((k for k in kinds if issubclass(k, BaseModel)), None)


def nearest(key: str, choices: Mapping[str, object], suffix: str = "") -> str:
    """The end of a message about an unknown key."""
    names = [name for name in choices if name != "kind"]
    close = difflib.get_close_matches(key, names, n=1)
    if close:
        return f": did you mean {close[0] + suffix!r}?"
    return ": it is one of " + ", ".join(name + suffix for name in names)


_TABLE = re.compile(r"\s*\[\s*([\w.\-\s]+?)\s*\]")
_KEY = re.compile(r"\s*([\w\-]+(?:\s*\.\s*[\w\-]+)*)\s*=")


def key_lines(source: str) -> dict[tuple[str, ...], int]:
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
