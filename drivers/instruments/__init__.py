"""Instrument drivers over PyVISA, in the roles that a bench is made of."""

from __future__ import annotations

from collections.abc import Mapping

from cimlab.core.errors import ConfigError
from cimlab.core.plugins import Registry
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.keithley import Keithley2400, Keithley2450
from cimlab.drivers.instruments.keithley2600 import Keithley2600B
from cimlab.drivers.instruments.keithley4200 import Keithley4200
from cimlab.drivers.instruments.keithley4200_pmu import Keithley4200Pmu
from cimlab.drivers.instruments.keysight_pulsers import Keysight33500B, Keysight81160A
from cimlab.drivers.instruments.keysightb1500 import KeysightB1500, KeysightB1500Spgu
from cimlab.drivers.instruments.link import Link, VisaLink
from cimlab.drivers.instruments.matrices import Keithley707B, Keithley3706A, KeysightB2200
from cimlab.drivers.instruments.roles import (
    Crosspoint,
    PulseGenerator,
    PulseTrainer,
    Role,
    Samples,
    SourceMeter,
    SweepMeter,
    SwitchMatrix,
)

__all__ = [
    "DRIVERS",
    "Crosspoint",
    "Instrument",
    "Link",
    "PulseGenerator",
    "PulseTrainer",
    "Role",
    "Samples",
    "SourceMeter",
    "SweepMeter",
    "SwitchMatrix",
    "VisaLink",
    "open_instrument",
]

_OWN: Mapping[str, type[Instrument]] = {
    "keithley2400": Keithley2400,
    "keithley2450": Keithley2450,
    "keithley2636b": Keithley2600B,
    "keithley3706a": Keithley3706A,
    "keithley707b": Keithley707B,
    "keithley4200": Keithley4200,
    "keithley4200-pmu": Keithley4200Pmu,
    "keysight33522b": Keysight33500B,
    "keysight81160a": Keysight81160A,
    "keysightb1500": KeysightB1500,
    "keysightb1500-spgu": KeysightB1500Spgu,
    "keysightb2200": KeysightB2200,
}
DRIVERS = Registry("cimlab.drivers", _OWN, type)
"""By name; with the drivers of installed packages (docs/interfaces.md)."""


def open_instrument(name: str, resource: str, visa: str = "@py") -> Instrument:
    """Connect to an instrument by its driver's name.

    Args:
        name: One of DRIVERS.
        resource: VISA resource name.
        visa: PyVISA backend, see VisaLink.

    Raises:
        ConfigError: No such driver, or another instrument at the address.
        LinkError: Nothing answers there.
    """
    if name not in DRIVERS:
        raise ConfigError(f"unknown instrument {name!r}; there are {', '.join(DRIVERS)}")
    return DRIVERS[name].open(resource, visa)
