"""Emulated instruments on one shared device under test, good enough for other people's drivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.instruments.bench import INPUTS, Bench, Sample
from cimlab.mock_hw.instruments.clock import BenchClock
from cimlab.mock_hw.instruments.dut import Dut, Resistor, dut
from cimlab.mock_hw.instruments.emulator import Emulator
from cimlab.mock_hw.instruments.hostile import Hostile
from cimlab.mock_hw.instruments.keithley2400 import Keithley2400
from cimlab.mock_hw.instruments.keithley2450 import Keithley2450
from cimlab.mock_hw.instruments.keithley2600b import Keithley2636B
from cimlab.mock_hw.instruments.keithley4200 import Keithley4200
from cimlab.mock_hw.instruments.keysight_pulsers import Keysight33522B, Keysight81160A
from cimlab.mock_hw.instruments.keysightb1500 import KeysightB1500
from cimlab.mock_hw.instruments.keysightb2200 import KeysightB2200
from cimlab.mock_hw.instruments.server import BenchServer, Transport
from cimlab.mock_hw.instruments.tsp_matrices import Keithley707B, Keithley3706A

__all__ = [
    "EMULATORS",
    "INPUTS",
    "Bench",
    "BenchServer",
    "Dut",
    "Emulator",
    "Hostile",
    "Resistor",
    "Sample",
    "dut",
    "serve",
]

EMULATORS: Mapping[str, Callable[[Bench], Emulator]] = {
    "clock": BenchClock,
    "keithley2400": Keithley2400,
    "keithley2450": Keithley2450,
    "keithley2636b": Keithley2636B,
    "keithley3706a": Keithley3706A,
    "keithley707b": Keithley707B,
    "keithley4200": Keithley4200,
    "keysight33522b": Keysight33522B,
    "keysight81160a": Keysight81160A,
    "keysightb1500": KeysightB1500,
    "keysightb2200": KeysightB2200,
}
SMUS = {"keithley2400": Keithley2400, "keithley2450": Keithley2450}
"""Those with one channel, which may be plugged in elsewhere."""
MATRICES = frozenset({"keithley3706a", "keithley707b", "keysightb2200"})
"""Those that stand between the others and the device under test."""


def serve(
    instruments: Sequence[str],
    device: str | Dut,
    transport: Transport = "tcp",
    seed: int = 0,
    faults: float = 0.0,
) -> BenchServer:
    """Emulate a bench: these instruments, all on one device under test.

    Args:
        instruments: Names, as in EMULATORS; ``keithley2400:bias`` plugs an SMU with one channel
            into the port "bias" instead of its usual one.
        device: A Dut, or its short form (see `dut`).
        transport: "tcp" on the loopback address, or "pty".
        seed: Decides the devices and their noise.
        faults: How often each of the faults of `hostile.Hostile` strikes an instrument, a message.

    Raises:
        ConfigError: An unknown name or device.
    """
    kinds = {name: name.removesuffix(":bias") for name in instruments}
    for name, kind in kinds.items():
        if kind not in (EMULATORS if kind == name else SMUS):
            raise ConfigError(f"unknown instrument {name!r}; there are {', '.join(EMULATORS)}")
    if len(kinds) < len(instruments):
        raise ConfigError(f"each instrument can be there once, not {', '.join(instruments)}")
    shared = dut(device, seed) if isinstance(device, str) else device
    bench = Bench(shared, matrix=not MATRICES.isdisjoint(instruments))
    emulators: dict[str, Emulator] = {}
    for number, (name, kind) in enumerate(kinds.items()):
        make = EMULATORS[kind] if kind == name else partial(SMUS[kind], port="bias")
        spoilt = faults > 0 and name != "clock"  # no instrument, but how tests skip the wait
        emulators[name] = Hostile(make, bench, faults, seed + number) if spoilt else make(bench)
    return BenchServer(bench, emulators, transport)
