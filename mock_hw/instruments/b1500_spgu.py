"""The pulse generator module of the B1500A: SPGU B1525A, two channels, 40 V, PG mode.

Levels are meant for the load that SER says; the source itself has 50 ohm, so a cell, which is no
50 ohm load, gets nearly twice the level unless SER says 1 Mohm. Not: the ALWG mode, whose
waveforms are binary.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import command
from cimlab.mock_hw.instruments.flex import CHANNEL, SWITCHED_OFF, VALUE, FlexError, Given
from cimlab.mock_hw.instruments.pulser import FREE_RUNNING, OHM

V_MAX = 40.0
"""Largest open-circuit level, V."""
SOURCES = (1, 2)


@dataclass(slots=True)
class Timing:
    """Of one signal source, s."""

    delay: float = 0.0
    width: float = 1e-7
    lead: float = 2e-8
    trail: float = 2e-8


@dataclass(slots=True)
class SpguChannel:
    """One output.

    Attributes:
        bench, port: Where it goes.
        on: Output switch.
        mode: SPM: 0 DC, 1 and 2 two levels of that source, 3 both.
        load: SER, ohm.
        levels: (base, peak) of DC (0) and the sources, V across the load.
        times: Of the sources.
        odsw: Pulse switch, as sent.
    """

    bench: Bench
    port: str
    on: bool = False
    mode: int = 1
    load: float = 50.0
    levels: dict[int, tuple[float, float]] = field(
        default_factory=lambda: {0: (0.0, 0.0), 1: (0.0, 0.0), 2: (0.0, 0.0)}
    )
    times: dict[int, Timing] = field(default_factory=lambda: {1: Timing(), 2: Timing()})
    odsw: str = "0"

    def open_circuit(self, level: float) -> float:
        """Volts of the source for a level across the load."""
        return level * (self.load + OHM) / self.load

    def switch(self, on: bool) -> None:
        """Output switch; comes on at 0 V."""
        self.on = on
        self.bench.hold(self.port, 0.0 if on else None)

    def set_levels(self, source: int, base: float, peak: float) -> None:
        """SPV."""
        if max(abs(self.open_circuit(base)), abs(self.open_circuit(peak))) > V_MAX * 1.001:
            raise FlexError(VALUE)
        self.levels[source] = base, peak

    def set_times(self, source: int, given: Given, k: int) -> None:
        """SPT: delay, width, leading[, trailing]."""
        lead = given.number(k + 2, 8e-9, 0.4, 2e-8)
        self.times[source] = Timing(
            given.number(k, 0.0, 9.9999),
            given.number(k + 1, 1e-8, 9.9999),
            lead,
            given.number(k + 3, 8e-9, 0.4, lead),
        )

    def update(self) -> None:
        """SPUPD: output the base."""
        if not self.on:
            raise FlexError(SWITCHED_OFF)
        base, _ = self.levels[0 if self.mode == 0 else min(self.mode, 2) if self.mode < 3 else 1]
        self.bench.hold(self.port, self.open_circuit(base))

    def fire(self, count: int, period: float) -> None:
        """So many periods; a source whose pulse does not fit is an error."""
        sources = SOURCES if self.mode == 3 else (self.mode,) if self.mode else ()
        for source in sources:
            t = self.times[source]
            if t.delay + t.width + 0.5 * (t.lead + t.trail) > period * 1.000001:
                raise FlexError(VALUE)
        self.update()
        for source in sources:
            _, peak = self.levels[source]
            self.bench.pulse(
                self.port, self.open_circuit(peak), OHM, self.times[source].width, count
            )


@dataclass(slots=True)
class Spgu:
    """What all channels of all modules share.

    Attributes:
        channels: By number.
        alwg: SIM 1.
        mode, condition: SPRM: 0 free run, 1 count, 2 seconds.
        period: SPPER, s.
        active: True while a free run goes on.
    """

    channels: dict[int, SpguChannel]
    alwg: bool = False
    mode: int = 0
    condition: float = 1.0
    period: float = 1e-6
    active: bool = False

    def start(self) -> None:
        """SRP: every channel that is on."""
        counts = {0: FREE_RUNNING, 1: int(self.condition), 2: int(self.condition / self.period)}
        for channel in self.channels.values():
            if channel.on:
                channel.fire(counts[self.mode], self.period)
        self.active = self.mode == 0

    def stop(self) -> None:
        """SPP: back to the base."""
        self.active = False
        for channel in self.channels.values():
            if channel.on:
                channel.update()


class SpguCommands:
    """The commands of the pulse generator, for the mainframe."""

    _spgu: Spgu

    def _pulse(self, given: Given) -> SpguChannel:
        channel = given.integer(0, 1, 1002)
        number = channel if channel > 100 else 100 * channel + 1
        if number not in self._spgu.channels:
            raise FlexError(CHANNEL)
        return self._spgu.channels[number]

    @command("SIM")
    def _alwg(self, name: str, given: Given) -> None:
        if given.integer(0, 0, 1):
            raise FlexError(VALUE)
        for channel in self._spgu.channels.values():
            if channel.on:
                channel.switch(True)

    @command("SIM?")
    def _is_alwg(self, name: str, given: Given) -> str:
        return "0"

    @command("SPRM")
    def _run_mode(self, name: str, given: Given) -> None:
        mode = given.integer(0, 0, 2)
        if mode == 1:
            self._spgu.condition = given.integer(1, 1, 1_000_000)
        elif mode == 2:
            self._spgu.condition = given.number(1, 1e-6, 31_556_926)
        self._spgu.mode, self._spgu.active = mode, False

    @command("SPRM?")
    def _run_mode_is(self, name: str, given: Given) -> str:
        return f"{self._spgu.mode},{self._spgu.condition:g}" if self._spgu.mode else "0,"

    @command("SPPER")
    def _period(self, name: str, given: Given) -> None:
        self._spgu.period = given.number(0, 2e-8, 10)

    @command("SPPER?")
    def _period_is(self, name: str, given: Given) -> str:
        return f"{self._spgu.period:g}"

    @command("SPM", "SER", "SPT", "SPV", "ODSW", "SPUPD")
    def _set_pulse(self, name: str, given: Given) -> None:
        channel = self._pulse(given)
        if name == "SPM":
            channel.mode = given.integer(1, 0, 3)
        elif name == "SER":
            channel.load = given.number(1, 0.1, 1e6)
        elif name == "SPT":
            channel.set_times(given.integer(1, 1, 2), given, 2)
        elif name == "SPV":
            base = given.number(2, -40, 40)
            channel.set_levels(given.integer(1, 0, 2), base, given.number(3, -40, 40, 0.0))
        elif name == "ODSW":
            given.integer(1, 0, 1)
            channel.odsw = ",".join(given[1:])
        else:
            channel.update()

    @command("SPM?", "SER?", "SPT?", "SPV?", "ODSW?")
    def _get_pulse(self, name: str, given: Given) -> str:
        channel = self._pulse(given)
        if name == "SPM?":
            return str(channel.mode)
        if name == "SER?":
            return f"{channel.load:g}"
        if name == "SPT?":
            t = channel.times[given.integer(1, 1, 2)]
            return f"{t.delay:g},{t.width:g},{t.lead:g},{t.trail:g}"
        if name == "SPV?":
            base, peak = channel.levels[given.integer(1, 0, 2)]
            return f"{base:g},{peak:g}"
        return channel.odsw

    @command("SRP")
    def _start(self, name: str, given: Given) -> None:
        self._spgu.start()

    @command("SPP")
    def _stop(self, name: str, given: Given) -> None:
        self._spgu.stop()

    @command("SPST?")
    def _running(self, name: str, given: Given) -> str:
        return "1" if self._spgu.active else "0"
