"""Settings that the pulse generators of Keysight share."""

from __future__ import annotations

from cimlab.mock_hw.instruments.emulator import Setting, setting
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Kind, Number, Value

Roots = tuple[tuple[str, str], ...]
"""Roots of a pulse command, each with the suffix of its last node."""


def pulse_headers(roots: Roots, name: str) -> tuple[str, ...]:
    """Every header of a pulse command."""
    return tuple(f"{root}:{name}{suffix}" for root, suffix in roots)


def common(source: str, node: str, roots: Roots, top: float) -> tuple[Setting, ...]:
    """Settings of both families; they differ in where the channel number stands.

    Args:
        source: Root of a source command.
        node: Suffix of its first node.
        roots: See Roots.
        top: Largest level that can be named, V.
    """

    def one(key: str, kind: Kind, default: Value, *headers: str) -> Setting:
        return setting(key, kind, default, *headers, count=2)

    volt = f"{source}:VOLTage{node}"
    level = Number(-2 * top, 2 * top, 0)
    return (
        one(
            "amplitude",
            Number(0.001, 4 * top, 0.1),
            0.1,
            f"{volt}[:LEVel][:IMMediate][:AMPLitude]",
        ),
        one("high", level, 0.05, f"{volt}[:LEVel][:IMMediate]:HIGH"),
        one("low", level, -0.05, f"{volt}[:LEVel][:IMMediate]:LOW"),
        one("offset", level, 0.0, f"{volt}[:LEVel][:IMMediate]:OFFSet"),
        one("unit", Choice("VPP", "VRMS", "DBM"), "VPP", f"{volt}:UNIT"),
        one("limit", Boolean(), False, f"{volt}:LIMit:STATe"),
        one("limit.high", level, top, f"{volt}:LIMit:HIGH"),
        one("limit.low", level, -top, f"{volt}:LIMit:LOW"),
        one("phase", Number(-360, 360, 0), 0.0, f"{source}:PHASe{node}[:ADJust]"),
        one(
            "square",
            Number(1e-4, 99.9999, 50),
            50.0,
            f"{source}:FUNCtion{node}:SQUare:DCYCle",
        ),
        one("ramp", Number(0, 100, 100), 100.0, f"{source}:FUNCtion{node}:RAMP:SYMMetry"),
        one("hold", Choice("WIDTh", "DCYCle"), "WIDT", *pulse_headers(roots, "HOLD")),
        one("duty", Number(1e-4, 100, 10), 10.0, *pulse_headers(roots, "DCYCle")),
        one("output", Boolean(), False, "OUTPut<n>[:STATe]"),
        one(
            "load",
            Number(0.3, 1e6, 50, infinite=True),
            50.0,
            "OUTPut<n>:LOAD",
            "OUTPut<n>:IMPedance:EXTernal",
        ),
        one("share", Number(0, 1, 0.5), 0.5),
        one("polarity", Choice("NORMal", "INVerted"), "NORM", "OUTPut<n>:POLarity"),
        one("burst", Boolean(), False, f"{source}:BURSt{node}:STATe"),
        one("burst.mode", Choice("TRIGgered", "GATed"), "TRIG", f"{source}:BURSt{node}:MODE"),
        one(
            "burst.period",
            Number(1e-9, 1e6, 0.01),
            0.01,
            f"{source}:BURSt{node}:INTernal:PERiod",
        ),
        one("burst.phase", Number(-360, 360, 0), 0.0, f"{source}:BURSt{node}:PHASe"),
    )
