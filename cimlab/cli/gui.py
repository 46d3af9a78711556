"""`cimlab gui`: the window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cimlab.core.errors import ConfigError


def gui(
    run: Annotated[
        Path | None, typer.Argument(help="A run file to follow; it may still be written.")
    ] = None,
    station: Annotated[
        str | None,
        typer.Option(help="Connect instead: a station file (TOML), or model:, mock:, tcp://..."),
    ] = None,
) -> None:
    """Open the window: live maps, training curves, the bench. Needs cimlab[gui]."""
    if run is not None and station is not None:
        raise ConfigError("the window follows a run file or drives a station, not both at once")
    from cimlab.gui.app import run as open_window

    raise typer.Exit(open_window(run, station))
