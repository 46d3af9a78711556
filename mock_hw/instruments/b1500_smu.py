"""A source-monitor module of the B1500A: HRSMU B1517A, 100 V and 100 mA."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from cimlab.mock_hw.instruments.bench import Sample
from cimlab.mock_hw.instruments.flex import (
    COMPLIANCE,
    INVALID,
    RANGE,
    SWITCHED_OFF,
    Datum,
    FlexError,
    Given,
    letter,
    refuse,
)
from cimlab.mock_hw.instruments.smu import Smu

V_RANGES = {0: 100.0, 5: 0.5, 50: 5.0, 11: 2.0, 20: 2.0, 12: 20.0, 200: 20.0}
V_RANGES |= {13: 40.0, 400: 40.0, 14: 100.0, 1000: 100.0}
I_RANGES = {0: 0.1} | {code: 10.0 ** (code - 20) for code in range(9, 20)}
RANGES = {"V": V_RANGES, "I": I_RANGES}
TOPS = {"V": 100.0, "I": 0.1}
POWER = ((20.0, 0.1), (40.0, 0.05), (100.0, 0.02))
"""Largest current up to so many volts, either of which may be the compliance."""
OVER = 1.15
"""A fixed range measures so far beyond its name."""
RESET_COMPLIANCE = 100e-6


@dataclass(frozen=True, slots=True)
class Force:
    """What a channel was told to force.

    Attributes:
        quantity: V or I.
        code: Output range.
        level: V or A.
        limit: Compliance, A or V; positive.
    """

    quantity: str = "V"
    code: int = 0
    level: float = 0.0
    limit: float = RESET_COMPLIANCE


@dataclass(slots=True)
class SmuModule:
    """One channel.

    Attributes:
        channel: Its number, which is the slot's.
        smu: Its analogue half.
        force: What it was told.
        kept: What RZ brings back after DZ.
        ranges: Measuring range codes by quantity; negative ones are fixed.
        flags: Settings that change nothing here, by command (FL, SSR, AAD, CMM, RM).
    """

    channel: int
    smu: Smu
    force: Force = field(default_factory=Force)
    kept: Force | None = None
    ranges: dict[str, int] = field(default_factory=lambda: {"I": 0, "V": 0})
    flags: dict[str, int] = field(
        default_factory=lambda: {"FL": 0, "SSR": 0, "AAD": 0, "CMM": 0, "RM": 1}
    )

    def switch(self, on: bool) -> None:
        """CN: 0 V under 100 uA; CL: open."""
        self.smu.on = on
        self.set(Force())

    def parse(self, quantity: str, given: Given, k: int) -> Force:
        """range, level[, compliance[, polarity[, range]]] from parameter k on."""
        code = given.integer(k, -10_000, 10_000)
        if code not in RANGES[quantity]:
            raise FlexError(RANGE)
        level = given.number(k + 1, -TOPS[quantity], TOPS[quantity])
        other = "I" if quantity == "V" else "V"
        before = self.force.limit if self.force.quantity == quantity else None
        limit = abs(given.number(k + 2, -TOPS[other], TOPS[other], before))
        volts, amperes = (abs(level), limit) if quantity == "V" else (limit, abs(level))
        top = next(i for v, i in POWER if volts <= v)
        if limit == 0 or amperes > top:
            raise FlexError(COMPLIANCE)
        return Force(quantity, code, level, limit)

    def set(self, force: Force) -> None:
        """Force it now."""
        self.force = force
        smu = self.smu
        smu.volts = force.quantity == "V"
        if smu.volts:
            smu.v, smu.i_limit = force.level, force.limit
        else:
            smu.i, smu.v_limit = force.level, force.limit
        smu.apply()

    def level(self, level: float) -> None:
        """Another level, all else equal."""
        self.set(replace(self.force, level=level))

    def zero(self) -> None:
        """DZ: 0 V under 100 uA, to be undone by RZ."""
        self.kept = self.kept or self.force
        self.set(Force())

    def restore(self) -> None:
        """RZ."""
        if self.kept:
            self.set(self.kept)
        self.kept = None

    def measure(self, seconds: float, quantity: str = "", code: int | None = None) -> Datum:
        """One number; the quantity that is not forced unless told or CMM says otherwise."""
        if not self.smu.on:
            raise FlexError(SWITCHED_OFF)
        if not quantity:
            side = {"V": "I", "I": "V"}[self.force.quantity]
            mode = self.flags["CMM"]
            quantity = {1: "I", 2: "V", 3: self.force.quantity}.get(mode, side)
        return self.datum(self.smu.measure(seconds), quantity, code)

    def datum(self, sample: Sample, quantity: str, code: int | None) -> Datum:
        """A sample in a measuring range, with its status."""
        value = sample.i if quantity == "I" else sample.v
        code = self.ranges[quantity] if code is None else code
        full = RANGES[quantity].get(abs(code)) or refuse(RANGE)
        status = "C" if sample.limited else "N"
        if code < 0 and abs(value) > OVER * full:
            status, value = "V", math.copysign(INVALID, 1)
        return Datum(status, letter(self.channel), quantity, value)

    def learn(self) -> str:
        """*LRN? of this channel."""
        if not self.smu.on:
            return f"CL{self.channel}"
        f = self.force
        return f"D{f.quantity}{self.channel},{f.code},{f.level:.7g},{f.limit:.7g},0,0"
