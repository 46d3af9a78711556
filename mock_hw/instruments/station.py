"""Emulated benches as stations: which instrument plays which role, how it is wired, and a process.

cimlab mock bench --instruments keithley2450,keysight81160a --dut brram --station-out bench.toml
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cimlab.board.serve import ending_by_signal, stop_at_end_of_stdin
from cimlab.core.bench import BenchTable, InstrumentTable, WiringTable
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.instruments import serve
from cimlab.mock_hw.instruments.bench import INPUTS
from cimlab.mock_hw.instruments.server import BenchServer, Transport

DRIVERS: Mapping[str, Mapping[str, str]] = {
    "keithley2400": {"smu": "keithley2400"},
    "keithley2450": {"smu": "keithley2450"},
    "keithley2636b": {"smu": "keithley2636b"},
    "keithley4200": {"smu": "keithley4200", "pulser": "keithley4200-pmu"},
    "keithley3706a": {"matrix": "keithley3706a"},
    "keithley707b": {"matrix": "keithley707b"},
    "keysight33522b": {"pulser": "keysight33522b"},
    "keysight81160a": {"pulser": "keysight81160a"},
    "keysightb1500": {"smu": "keysightb1500", "pulser": "keysightb1500-spgu"},
    "keysightb2200": {"matrix": "keysightb2200"},
}
"""The driver of each role that an emulated instrument can play."""


def bench_table(server: BenchServer) -> BenchTable:
    """The `[bench]` table of a served bench; of several for a role the first one plays it.

    Raises:
        ConfigError: It is no station: no SMU, or a crossbar without a matrix.
    """
    parts: dict[str, Any] = {}
    for name, resource in server.resources.items():
        if name == "clock":
            parts["clock"] = resource
            continue
        kind = name.removesuffix(":bias")
        roles = DRIVERS[kind] if kind == name else {"bias": kind}
        for role, driver in roles.items():
            parts.setdefault(role, InstrumentTable(driver=driver, resource=resource))
    rows, cols = server.bench.dut.shape
    if "smu" not in parts:
        raise ConfigError("a bench needs an SMU among its instruments")
    if "matrix" not in parts:
        if rows * cols > 1:
            raise ConfigError(f"{rows}x{cols} cells need a switch matrix among the instruments")
        parts.pop("bias", None)
        return BenchTable(**parts, origin="emulated")
    wiring = WiringTable(
        smu=INPUTS["smu"],
        ground=INPUTS["ground"],
        pulser=INPUTS["pulse"],
        bias=INPUTS["bias"] if "bias" in parts else None,
        rows=tuple(range(1, rows + 1)),
        cols=tuple(range(rows + 1, rows + cols + 1)),
    )
    return BenchTable(**parts, wiring=wiring, origin="emulated")


def run_bench(
    instruments: Sequence[str],
    device: str,
    *,
    transport: Transport = "tcp",
    seed: int = 0,
    station_out: Path | None = None,
    while_stdin: bool = False,
    faults: float = 0.0,
    ready: Callable[[Mapping[str, str]], None],
) -> None:
    """Run an emulated bench until SIGTERM or SIGINT.

    Args:
        instruments: Names, as in EMULATORS.
        device: Device under test, see `dut`.
        transport: "tcp" on the loopback address, or "pty".
        seed: Decides the devices and their noise.
        station_out: Station file to write.
        while_stdin: End when standard input does, too.
        faults: How often each fault strikes an instrument, a message.
        ready: Called with the resources, by instrument, once hosts can connect.

    Raises:
        ConfigError: An unknown name or device, or no station and a file wanted.
    """
    stop = threading.Event()
    with serve(instruments, device, transport, seed, faults) as server, ending_by_signal(stop.set):
        if station_out is not None:
            text = bench_table(server).toml()
            try:
                station_out.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"cannot write {station_out}: {error}") from error
        if while_stdin:
            stop_at_end_of_stdin(stop.set)
        ready(server.resources)
        while not stop.wait(0.5):  # a wait without end would not see signals on Windows
            pass
