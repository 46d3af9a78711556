"""What XE does on the B1500A: spot, pulsed spot, staircase sweep and sampling measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cimlab.core.clock import VirtualClock
from cimlab.mock_hw.instruments.b1500_smu import Force, SmuModule
from cimlab.mock_hw.instruments.flex import (
    CHANNELS,
    INVALID,
    POLARITY,
    Datum,
    FlexError,
    Given,
    letter,
)

SPOT, STAIRCASE, PULSED_SPOT, SAMPLING = 1, 2, 3, 10


@dataclass(frozen=True, slots=True)
class Sweep:
    """WV, WI, WSV or WSI.

    Attributes:
        module: The source.
        start: With the level it begins at.
        stop: Last level of a single stair.
        text: As *LRN? says it.
    """

    module: SmuModule
    start: Force
    stop: float
    text: str

    def levels(self, mode: int, steps: int) -> list[float]:
        """Every level: modes 1 and 2 are linear and logarithmic, 3 and 4 the same and back."""
        first, last = self.start.level, self.stop
        if mode in (2, 4):
            if first * last <= 0:
                raise FlexError(POLARITY)
            stair: list[float] = np.geomspace(first, last, steps).tolist()
        else:
            stair = np.linspace(first, last, steps).tolist()
        return stair + stair[::-1] if mode in (3, 4) else stair


@dataclass(slots=True)
class Measurement:
    """Settings of every mode, and the run of one.

    Attributes:
        clock: The bench's.
        mode, modules: MM.
        sweep, synchronous: Staircase sources; mode and steps are the first one's.
        sweep_mode, steps: Of the staircase.
        times: WT as hold, delay.
        abort, post: WM: 2 stops at a compliance; afterwards 1 start or 2 stop level.
        interval, samples, hold: MT.
        biases: MV and MI by channel: source, what it forces, as *LRN? says it.
        pulse: PV or PI: source, base, peak.
        width: PT, s.
    """

    clock: VirtualClock
    mode: int = SPOT
    modules: Sequence[SmuModule] = ()
    sweep: Sweep | None = None
    synchronous: Sweep | None = None
    sweep_mode: int = 1
    steps: int = 1
    times: tuple[float, float] = (0.0, 0.0)
    abort: int = 1
    post: int = 1
    interval: float = 0.002
    samples: int = 1000
    hold: float = 0.0
    biases: dict[int, tuple[SmuModule, Force, str]] = field(default_factory=dict)
    pulse: tuple[SmuModule, Force, float] | None = None
    width: float = 1e-3

    def run(self, seconds: float, sources: bool, stamps: bool) -> list[Datum]:
        """All data of one XE, in the order of MM.

        Args:
            seconds: Integration time of one number.
            sources: Source values too (FMT mode).
            stamps: Time data too (TSC).
        """
        if not self.modules:
            raise FlexError(CHANNELS)
        start = self.clock.now()
        if self.mode == SPOT:
            rows = [self._row(seconds)]
        elif self.mode == PULSED_SPOT:
            rows = [self._pulsed()]
        elif self.mode == SAMPLING:
            rows = self._sampled(seconds)
        else:
            rows = self._swept(seconds, sources)
        if stamps:
            rows = [self._stamped(row, start) for row in rows]
        return [datum for row in rows for datum in row]

    def _row(self, seconds: float) -> list[Datum]:
        """One number of each channel; a channel whose neighbour is in compliance says T."""
        row = [module.measure(seconds) for module in self.modules]
        limited = [d for d in row if d.status == "C"]
        return [
            Datum("T", d.channel, d.kind, d.value) if d.status == "N" and limited else d
            for d in row
        ]

    def _stamped(self, row: list[Datum], start: float) -> list[Datum]:
        seconds = self.clock.now() - start
        return [x for d in row for x in (Datum("N", d.channel, "T", seconds), d)]

    def _swept(self, seconds: float, sources: bool) -> list[list[Datum]]:
        if self.sweep is None:
            raise FlexError(CHANNELS)
        hold, delay = self.times
        levels = self.sweep.levels(self.sweep_mode, self.steps)
        stairs = [(self.sweep, levels)]
        if self.synchronous:
            stairs.append((self.synchronous, self.synchronous.levels(self.sweep_mode, self.steps)))
        self.clock.sleep(hold)
        rows: list[list[Datum]] = []
        stopped = False
        for k, level in enumerate(levels):
            if stopped:
                row = [Datum("V", d.channel, d.kind, INVALID) for d in rows[0][: len(self.modules)]]
            else:
                for sweep, stair in stairs:
                    _force(sweep.module, sweep.start, stair[k])
                self.clock.sleep(delay)
                row = self._row(seconds)
                stopped = self.abort == 2 and any(d.status in "CT" for d in row)
            if sources:
                kind = self.sweep.start.quantity.lower()
                status = "E" if k == len(levels) - 1 else "W"
                row.append(Datum(status, letter(self.sweep.module.channel), kind, level))
            rows.append(row)
        for sweep, _ in stairs:
            back = stopped or self.post == 1
            _force(sweep.module, sweep.start, sweep.start.level if back else sweep.stop)
        return rows

    def _sampled(self, seconds: float) -> list[list[Datum]]:
        for module, force, _ in self.biases.values():
            module.set(force)
        self.clock.sleep(max(self.hold, 0.0))
        rows = []
        for _ in range(self.samples):
            rows.append(self._row(min(seconds, self.interval)))
            self.clock.sleep(max(self.interval - seconds, 0.0))
        return rows

    def _pulsed(self) -> list[Datum]:
        if self.pulse is None:
            raise FlexError(CHANNELS)
        source, base, peak = self.pulse
        source.set(base)
        _force(source, base, peak)
        try:
            return [module.measure(self.width) for module in self.modules[:1]]
        finally:
            source.set(base)


def _force(module: SmuModule, start: Force, level: float) -> None:
    module.set(Force(start.quantity, start.code, level, start.limit))


def sweep_source(module: SmuModule, quantity: str, given: Given, k: int, limit: int) -> Sweep:
    """WV and its like: range, start and stop from parameter k on, the compliance at `limit`."""
    start = module.parse(quantity, Given(given[k : k + 2] + given[limit : limit + 1]), 0)
    stop = Given([*given[k : k + 1], *given[k + 2 : k + 3], f"{start.limit:.9g}"])
    return Sweep(module, start, module.parse(quantity, stop, 0).level, ",".join(given))
