"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from .console import console


def _set_json(value: bool) -> None:
    console.json = value


Json: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print exactly one JSON object on standard output.",
        callback=_set_json,
        is_eager=True,
    ),
]
Station: TypeAlias = Annotated[
    str,
    typer.Option(
        help="A station file (TOML), or model:, mock:, tcp://host:port, "
        "serial:///dev/ttyUSB0?baud=3000000, bench:, arc2:?firmware=fw.bin, replay:session.h5; "
        "?trace=session.h5 records every verb."
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Out: TypeAlias = Annotated[
    Path | None, typer.Option(help="Run file to write [default: runs/<kind>-<time>.h5].")
]
