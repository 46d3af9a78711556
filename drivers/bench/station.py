"""The array that a bench's table describes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

from cimlab.core.bench import BenchTable, InstrumentTable
from cimlab.core.errors import CimError, ConfigError, LinkError
from cimlab.core.mistakes import nearest
from cimlab.drivers.bench.array import BenchArray
from cimlab.drivers.bench.clock import BenchClock
from cimlab.drivers.bench.smu_pulses import SmuPulses
from cimlab.drivers.bench.wiring import Wiring
from cimlab.drivers.foreign import is_foreign, load_class, open_foreign
from cimlab.drivers.instruments import (
    DRIVERS,
    PulseGenerator,
    SourceMeter,
    SweepMeter,
    SwitchMatrix,
    open_instrument,
)
from cimlab.drivers.instruments.roles import Role

ROLES: dict[str, type] = {
    "smu": SourceMeter,
    "pulser": PulseGenerator,
    "bias": SourceMeter,
    "matrix": SwitchMatrix,
}
"""What each instrument of the table has to be."""


def open_bench(table: BenchTable) -> BenchArray:
    """Connect to the instruments of a bench.

    Raises:
        ConfigError: The table contradicts itself or the instruments, or another instrument is at
            an address.
        LinkError: An instrument does not answer; those that did are off and closed.
    """
    for name, role in ROLES.items():
        _check(name, getattr(table, name), role)
    with contextlib.ExitStack() as opened:
        smu = cast(SourceMeter, _connect("smu", table.smu, opened))
        if table.pulser is not None:
            pulser = cast(PulseGenerator, _connect("pulser", table.pulser, opened))
        elif hasattr(smu, "sweep"):
            pulser = SmuPulses(cast(SweepMeter, smu), table.i_comp)
        else:
            raise ConfigError("bench.pulser is missing: this SMU has no list sweep to pulse with")
        matrix = bias = None
        if table.matrix is not None:
            matrix = cast(SwitchMatrix, _connect("matrix", table.matrix, opened))
        if table.bias is not None:
            bias = cast(SourceMeter, _connect("bias", table.bias, opened))
        clock = None
        if table.clock is not None:
            clock = BenchClock.open(table.clock)
            opened.callback(clock.close)
        array = BenchArray(
            smu,
            pulser,
            matrix,
            _wiring(table),
            table.limits.limits(),
            table.i_comp,
            table.origin,
            bias,
            clock,
        )
        opened.pop_all()  # from here on the array closes them
    return array


def shut_down(table: BenchTable) -> list[str]:
    """Outputs off and crosspoints open, by connections of its own; for when the host has died.

    One instrument that fails does not keep the others from being turned off.

    Returns:
        What failed, a line an instrument.
    """
    failures = []
    for name in ROLES:  # sources first: opening a relay under voltage wears it
        instrument = getattr(table, name)
        if instrument is None:
            continue
        try:
            with contextlib.ExitStack() as opened:
                _connect(name, instrument, opened)  # closing it turns it off
        except CimError as error:
            failures.append(str(error))
    return failures


def _check(name: str, table: InstrumentTable | None, role: type) -> None:
    """ConfigError for a driver that there is not, or whose instruments do something else."""
    if table is None:
        return
    driver = table.driver
    if is_foreign(driver):
        with _named(name):
            load_class(driver)
        return
    if driver not in DRIVERS:
        raise ConfigError(f"bench.{name}: unknown driver {driver!r}" + nearest(driver, DRIVERS))
    missing = [verb for verb in _verbs(role) if not hasattr(DRIVERS[driver], verb)]
    if missing:
        raise ConfigError(f"bench.{name}: a {driver} is no {role.__name__}: no {missing[0]}")


def _connect(name: str, table: InstrumentTable, opened: contextlib.ExitStack) -> Role:
    """One instrument of the bench; errors say which."""
    with _named(name):
        instrument: Role
        if is_foreign(table.driver):
            instrument = open_foreign(table.driver, table.resource, table.visa, name)
        else:
            instrument = open_instrument(table.driver, table.resource, table.visa)
    opened.callback(instrument.close)
    return instrument


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors say which instrument of the bench they are of."""
    try:
        yield
    except (ConfigError, LinkError) as error:
        raise type(error)(f"bench.{name}: {error}") from error


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
