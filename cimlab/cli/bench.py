"""`cimlab mock bench`: emulated instruments on one device under test, in a process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import console
from .options import Json


class Transport(StrEnum):
    """How hosts reach the instruments."""

    TCP = "tcp"
    PTY = "pty"


def bench(
    instruments: Annotated[
        str,
        typer.Option(
            help="Names with commas, such as keithley2450,keysight81160a,keysightb2200; "
            "keithley2400:bias is an SMU that holds lines that are not selected, clock lets "
            "stations skip waiting."
        ),
    ] = "keithley2450,keysight81160a,keysightb2200",
    dut: Annotated[
        str,
        typer.Option(
            help="Device under test: resistor:10e3 (ohm), open, a device model or a TOML file of "
            "one for one cell, or crossbar:8x8:brram."
        ),
    ] = "brram",
    transport: Annotated[
        Transport, typer.Option(help="A TCP port or a pseudo-terminal for each; this machine only.")
    ] = Transport.TCP,
    seed: Annotated[int, typer.Option(help="Decides the devices and their noise.", min=0)] = 0,
    station_out: Annotated[
        Path | None, typer.Option(help="Write a station file (TOML) of this bench.")
    ] = None,
    faults: Annotated[
        float,
        typer.Option(
            help="How often, a message, each instrument is silent, answers garbage, floods its "
            "error queue, or is switched off and on.",
            min=0,
            max=0.3,
        ),
    ] = 0.0,
    while_stdin: Annotated[
        bool, typer.Option("--while-stdin", help="End when standard input does.")
    ] = False,
    json_: Json = False,
) -> None:
    """Run emulated instruments until SIGTERM or Ctrl-C; says where they are once they are ready."""
    from cimlab.mock_hw.instruments.station import run_bench

    def ready(resources: Mapping[str, str]) -> None:
        lines = [f"{name:16s} {resource}" for name, resource in resources.items()]
        console.result({"ready": True, "resources": resources}, "\n".join(lines))

    run_bench(
        [name.strip() for name in instruments.split(",")],
        dut,
        transport=transport.value,
        seed=seed,
        station_out=station_out,
        while_stdin=while_stdin,
        faults=faults,
        ready=ready,
    )
