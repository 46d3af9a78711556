"""`cimlab mock board`: an emulated SoC board in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console
from .options import Json


def board(
    listen: Annotated[
        str, typer.Option(help="tcp://127.0.0.1:0 (any free port), pty, or serial:///dev/...")
    ] = "tcp://127.0.0.1:0",
    tiles: Annotated[int, typer.Option(help="Tiles; the paper's chip has 4.", min=1)] = 8,
    rows: Annotated[int, typer.Option(help="Rows of a tile.", min=1)] = 64,
    cols: Annotated[int, typer.Option(help="Columns of a tile.", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Decides devices, noise and converters.", min=0)] = 0,
    device: Annotated[str, typer.Option(help="Device model, or a TOML file of one.")] = "brram",
    adc_noise: Annotated[
        float, typer.Option(help="What a converter adds in products, A.", min=0)
    ] = 0.0,
    state: Annotated[
        Path | None, typer.Option(help="File that keeps the conductances; made if missing.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="What hosts must say; needed beyond this machine.", envvar="CIMLAB_TOKEN"
        ),
    ] = None,
    while_stdin: Annotated[
        bool, typer.Option("--while-stdin", help="End when standard input does.")
    ] = False,
    json_: Json = False,
) -> None:
    """Run an emulated board until SIGTERM or Ctrl-C; says where it listens once it is ready."""
    from threadpoolctl import threadpool_limits

    from cimlab.mock_hw.board import Chip, run_board
    from cimlab.mock_hw.born import Imperfections
    from cimlab.mock_hw.devices import device as model
    from cimlab.protocols.jobs import JOBS

    def ready(address: str) -> None:
        console.result({"ready": True, "address": address}, f"listening on {address}")

    threadpool_limits(1)  # as in a host that trains: the same bits with any number of cores
    run_board(
        Chip(model(device), tiles, rows, cols, seed, Imperfections(adc_noise=adc_noise)),
        listen=listen,
        jobs=JOBS,
        state=state,
        token=token,
        while_stdin=while_stdin,
        ready=ready,
    )
