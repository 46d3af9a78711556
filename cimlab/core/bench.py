"""Stations that are benches: instruments, and how they are wired to the cells, as data.

[bench]
health = "chip.health.h5"            # optional; see [array] in `cimlab.core.station`
i_comp = 1e-4                        # A, compliance of reads (and of pulses by the SMU)
clock = "TCPIP::127.0.0.1::...::SOCKET"   # of `cimlab mock bench` only: no need to wait

[bench.smu]
driver = "keithley2450"
resource = "TCPIP::192.168.1.5::5025::SOCKET"

[bench.pulser]                       # left out: the SMU pulses, 1 ms and longer
driver = "keysight81160a"
resource = "USB0::0x0957::0x4108::DE50C00123::INSTR"

[bench.matrix]                       # left out: one cell, both instruments in parallel
driver = "keysightb2200"
resource = "GPIB0::22::INSTR"

[bench.bias]                         # left out: lines that are not selected float
driver = "keithley2400"
resource = "GPIB0::24::INSTR"

[bench.wiring]                       # with a matrix: its inputs and outputs
smu = 1                              # SMU, high
ground = 2                           # everybody's low
pulser = 3
bias = 4                             # with [bench.bias]
rows = [1, 2, 3, 4]
cols = [9, 10, 11, 12]
bad_rows = [3]                       # never driven; the first row is 1

[bench.limits]                       # what the cells stand; left out: the values shown here
v_set = 3.3
v_reset = 3.3
v_read = 0.3
width_min = 20e-9
width_max = 10e-3
count_max = 1000
pulses_max = 1000000                 # of a cell's whole life; left out: any number
energy_max = 1e-6                    # J a cell takes up in one call, if it conducts g_max
g_max = 500e-6                       # S; left out, as energy_max: any energy
duty_max = 0.1                       # share of time that cells are driven; the rest is waited

[bench.converters]                   # as [array.converters]; i_read is the reads' compliance
v_read = 0.1
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from .array import Limits
from .tables import Budgets, ConvertersTable, Data, Positive, Table

Port = Annotated[int, Field(ge=1)]
Ports = Annotated[tuple[Port, ...], Strict(False)]
Lines = Annotated[tuple[Port, ...], Field(min_length=1), Strict(False)]
_STANDS = Limits()


class InstrumentTable(Table):
    """Where an instrument is and which driver speaks to it."""

    driver: str
    resource: str = Field(description="VISA resource name")
    visa: str = Field(default="@py", description="PyVISA backend")


class WiringTable(Table):
    """`[bench.wiring]`: numbers of matrix inputs and outputs, all from 1."""

    smu: Port = 1
    ground: Port = 2
    pulser: Port = 3
    bias: Port | None = None
    rows: Lines
    cols: Lines
    bad_rows: Ports = ()
    bad_cols: Ports = ()


class CellLimitsTable(Budgets):
    """`[bench.limits]`: what the cells stand, as no board is there to know."""

    v_set: Positive = Field(default=_STANDS.v_set, description="V")
    v_reset: Positive = Field(default=_STANDS.v_reset, description="V, magnitude")
    v_read: Positive = Field(default=_STANDS.v_read, description="V")
    width_min: Positive = Field(default=_STANDS.width_min, description="s")
    width_max: Positive = Field(default=_STANDS.width_max, description="s")
    count_max: int = Field(default=_STANDS.count_max, ge=1, description="pulses a cell in one call")


class BenchTable(Table):
    """`[bench]`; see the module."""

    smu: InstrumentTable
    pulser: InstrumentTable | None = None
    matrix: InstrumentTable | None = None
    bias: InstrumentTable | None = Field(
        default=None, description="SourceMeter: holds other lines at half a pulse's voltage"
    )
    wiring: WiringTable | None = None
    clock: str | None = Field(
        default=None, description="VISA resource of an emulated bench's clock: time need not pass"
    )
    i_comp: Positive = Field(default=100e-6, description="A, compliance of reads and SMU pulses")
    origin: Literal["measured", "emulated"] = "measured"
    health: str | None = Field(default=None, description="file of cells' health and pulses")
    limits: CellLimitsTable = CellLimitsTable()
    converters: ConvertersTable = ConvertersTable()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.matrix is None) != (self.wiring is None):
            raise ValueError("a bench has both [bench.matrix] and [bench.wiring], or neither")
        wired = self.wiring is not None and self.wiring.bias is not None
        if (self.bias is not None) != wired:
            raise ValueError("[bench.bias] needs its matrix input, wiring.bias, and vice versa")
        return self

    def toml(self) -> str:
        """A station file that says the same."""
        return "\n".join(_toml("bench", self.model_dump(mode="json", exclude_defaults=True)))


class MockBench(Data):
    """`bench:` - emulated instruments on one emulated device, in a process of their own."""

    kind: Literal["bench"] = "bench"
    dut: str = Field(default="crossbar:8x8:brram", description="as `cimlab mock bench --dut`")
    instruments: str = Field(
        default="keithley2450,keysight81160a,keysightb2200", description="names, with commas"
    )
    transport: Literal["tcp", "pty"] = "tcp"
    seed: int = Field(default=0, ge=0, lt=2**63, description="decides devices and their noise")


def _toml(name: str, table: dict[str, Any]) -> list[str]:
    """Lines of a table and of those within; JSON's words for its values are TOML's too."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"[{name}]"]
    lines += [f"{key} = {json.dumps(table[key])}" for key in table if key not in inner]
    lines.append("")
    for key, value in inner.items():
        lines += _toml(f"{name}.{key}", value)
    return lines
