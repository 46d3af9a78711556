"""A bench as a TOML table, validated, and the array that it describes.

[bench]
i_comp = 1e-4                        # A, compliance of reads (and of pulses by the SMU)

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

[bench.wiring]                       # matrix inputs and outputs; see Wiring
smu = 1
ground = 2
pulser = 3
bias = 4                             # with [bench.bias]
rows = [1, 2, 3, 4]
cols = [9, 10, 11, 12]
bad_rows = [3]

[bench.limits]                       # left out: cimlab.core.array.Limits
v_set = 2.8
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from cimlab.core.array import Limits
from cimlab.core.errors import ConfigError
from cimlab.core.guard import tighter
from cimlab.core.station import LimitsTable
from cimlab.drivers.bench.array import BenchArray
from cimlab.drivers.bench.smu_pulses import SmuPulses
from cimlab.drivers.bench.wiring import Wiring
from cimlab.drivers.instruments import (
    Instrument,
    PulseGenerator,
    SourceMeter,
    SwitchMatrix,
    open_instrument,
)

Port = Annotated[int, Field(ge=1)]
Lines = Annotated[tuple[Port, ...], Field(min_length=1)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InstrumentTable(_Data):
    """Where an instrument is and which driver speaks to it."""

    driver: str
    resource: str = Field(description="VISA resource name")
    visa: str = Field(default="@py", description="PyVISA backend")

    def open(self, role: type) -> Instrument:
        """Connect.

        Raises:
            ConfigError: The driver is for something else than the role.
        """
        instrument = open_instrument(self.driver, self.resource, self.visa)
        missing = [name for name in _verbs(role) if not hasattr(type(instrument), name)]
        if missing:
            instrument.close()
            raise ConfigError(f"a {self.driver} is no {role.__name__}: it has no {missing[0]}")
        return instrument


class WiringTable(_Data):
    """`[bench.wiring]`; see Wiring."""

    smu: Port = 1
    ground: Port = 2
    pulser: Port = 3
    bias: Port | None = None
    rows: Lines
    cols: Lines
    bad_rows: tuple[Port, ...] = ()
    bad_cols: tuple[Port, ...] = ()


class BenchTable(_Data):
    """`[bench]`; see the module."""

    smu: InstrumentTable
    pulser: InstrumentTable | None = None
    matrix: InstrumentTable | None = None
    bias: InstrumentTable | None = Field(
        default=None, description="SourceMeter: holds other lines at half a pulse's voltage"
    )
    wiring: WiringTable | None = None
    i_comp: float = Field(default=100e-6, gt=0, allow_inf_nan=False, description="A")
    origin: Literal["measured", "emulated"] = "measured"
    limits: LimitsTable = LimitsTable()


def open_bench(table: BenchTable) -> BenchArray:
    """Connect to the instruments of a bench.

    Raises:
        ConfigError: The table contradicts itself or the instruments.
        LinkError: An instrument does not answer; those that did are off and closed.
    """
    if (table.matrix is None) != (table.wiring is None):
        raise ConfigError("a bench has both [bench.matrix] and [bench.wiring], or neither")
    with contextlib.ExitStack() as opened:
        smu = cast(SourceMeter, opened.enter_context(table.smu.open(SourceMeter)))
        pulser: PulseGenerator = SmuPulses(smu, table.i_comp)
        if table.pulser is not None:
            generator = opened.enter_context(table.pulser.open(PulseGenerator))
            pulser = cast(PulseGenerator, generator)
        matrix = None
        if table.matrix is not None:
            matrix = cast(SwitchMatrix, opened.enter_context(table.matrix.open(SwitchMatrix)))
        bias = None
        if table.bias is not None:
            bias = cast(SourceMeter, opened.enter_context(table.bias.open(SourceMeter)))
        limits = tighter(Limits(), table.limits.limits())
        array = BenchArray(
            smu, pulser, matrix, _wiring(table), limits, table.i_comp, table.origin, bias
        )
        opened.pop_all()  # from here on the array closes them
    return array


def _wiring(table: BenchTable) -> Wiring | None:
    if table.wiring is None:
        return None
    ports = table.wiring.model_dump()
    if table.pulser is None:
        ports["pulser"] = ports["smu"]
    return Wiring(**ports)


def _verbs(role: type) -> list[str]:
    """What a role asks of a class; `identity` is there in any instrument."""
    names = {name for base in role.__mro__ for name in vars(base) if not name.startswith("_")}
    return sorted(names - {"identity"})
