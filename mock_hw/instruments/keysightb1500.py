"""Keysight B1500A parameter analyzer, FLEX command set (programming guide B1500-90010).

Emulated: HRSMU modules (spot, pulsed spot, staircase sweep, sampling) and the SPGU pulse generator
in PG mode; ASCII data formats with their status letters, time stamps, the learn query, the error
queue. Not: the CMU and WGFMU modules, searches, multi channel sweeps, program memory, binary data.

Measurement data leave as soon as they are there; the real instrument keeps them until it is
addressed to talk, which a byte stream has no word for. The first SMU is the port "smu", the first
pulse channel the port "pulse"; the other terminals hang free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import flex
from cimlab.mock_hw.instruments.b1500_learn import LearnQuery
from cimlab.mock_hw.instruments.b1500_measurement import (
    PULSED_SPOT,
    SAMPLING,
    SPOT,
    STAIRCASE,
    Measurement,
    sweep_source,
)
from cimlab.mock_hw.instruments.b1500_smu import RANGES, SmuModule
from cimlab.mock_hw.instruments.b1500_spgu import Spgu, SpguChannel, SpguCommands
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import command
from cimlab.mock_hw.instruments.flex import Datum, FlexError, Given
from cimlab.mock_hw.instruments.flex_emulator import FlexEmulator
from cimlab.mock_hw.instruments.smu import LINE, Smu

MODULES = ("B1517A", "B1517A", "B1525A")
"""What is in the slots unless the caller says otherwise."""
SLOTS = 10
FORMATS = (1, 2, 11, 12, 21, 22)
HIGH_SPEED = 80e-6
"""Seconds of one sample of the high-speed converter."""
STORED = {"CM": 0, "AZ": 0, "TM": 1, "TSC": 0, "PAD": 0, "ERMOD": 0}
"""Settings that change nothing here, or little, with what *RST makes of them."""
TEXTS = {"WT": "0,0,0,0,0", "WM": "1,1", "MT": "0,0.002,1000,0", "ML": "1", "MSC": "1,1"}
"""Settings whose parameters *LRN? repeats, with what *RST makes of them."""


class KeysightB1500(SpguCommands, LearnQuery, FlexEmulator):
    """See the module.

    Args:
        bench: Where its terminals go.
        modules: Model of each slot from 1 on; "0" for an empty one.
    """

    identity: ClassVar[str] = "Agilent Technologies,B1500A,0,A.06.02.2023.0401"

    def __init__(self, bench: Bench, modules: Sequence[str] = MODULES) -> None:
        self._models = [*modules, *("0",) * (SLOTS - len(modules))]
        self._smus: dict[int, SmuModule] = {}
        self._spgu = Spgu({})
        super().__init__(bench)

    def reset(self) -> None:
        """*RST: every output open; the error queue stays."""
        for module in self._smus.values():
            module.switch(False)
        for channel in self._spgu.channels.values():
            channel.switch(False)
        self._smus = {}
        pulses: dict[int, SpguChannel] = {}
        for slot, model in enumerate(self._models, start=1):
            if model == "B1517A":
                port = f"smu{len(self._smus) + 1}" if self._smus else "smu"
                self._smus[slot] = SmuModule(slot, Smu(self.bench, port))
            elif model == "B1525A":
                for n in (1, 2):
                    port = f"pulse{len(pulses) + 1}" if pulses else "pulse"
                    pulses[100 * slot + n] = SpguChannel(self.bench, port)
        self._spgu = Spgu(pulses)
        self._xe = Measurement(self.bench.clock)
        self._format, self._sources = 1, 0
        self._stored, self._texts = dict(STORED), dict(TEXTS)
        self._averages = (1, 0)
        self._adc = {0: (0, 1.0), 1: (0, 6.0), 2: (0, 1.0)}
        self._ports: dict[int, int] = {}
        self._timer = self.bench.clock.now()

    def _smu(self, channel: int) -> SmuModule:
        slot = channel // 100 if channel > 100 else channel
        if slot not in self._smus:
            raise FlexError(flex.CHANNEL)
        return self._smus[slot]

    def _modules(self, given: Given) -> list[SmuModule]:
        """The SMUs that a command names, or all."""
        return [self._smu(n) for n in given.integers()] or list(self._smus.values())

    @property
    def _seconds(self) -> float:
        """Integration time of one number of the high-speed converter."""
        number, _ = self._averages
        mode, n = self._adc[0]
        if mode == 2:
            return n / LINE
        return -number / LINE if number < 0 else max(number, int(n)) * HIGH_SPEED

    def _show(self, *data: Datum) -> str:
        return flex.line(data, self._format)

    @command("UNT?")
    def _units(self, name: str, given: Given) -> str:
        return ";".join(f"{model},0" for model in self._models)

    @command("CN", "CL")
    def _switch(self, name: str, given: Given) -> None:
        numbers = given.integers() or [*self._smus, *self._spgu.channels]
        for number in numbers:
            if number in self._spgu.channels:
                self._spgu.channels[number].switch(name == "CN")
            else:
                self._smu(number).switch(name == "CN")

    @command("DV", "DI")
    def _source(self, name: str, given: Given) -> None:
        module = self._smu(given.integer(0, 1, 1002))
        if not module.smu.on:
            raise FlexError(flex.SWITCHED_OFF)
        module.set(module.parse(name[1], given, 1))

    @command("DZ", "RZ", "IN")
    def _zero(self, name: str, given: Given) -> None:
        for module in self._modules(given):
            if name == "DZ":
                module.zero()
            elif name == "RZ":
                module.restore()
            else:
                module.level(0.0)

    @command("RI", "RV")
    def _range(self, name: str, given: Given) -> None:
        module, code = self._smu(given.integer(0, 1, 1002)), given.integer(1, -10_000, 10_000)
        if abs(code) not in RANGES[name[1]]:
            raise FlexError(flex.RANGE)
        module.ranges[name[1]] = code

    @command("SSR", "AAD", "CMM", "RM")
    def _flag(self, name: str, given: Given) -> None:
        top = {"SSR": 1, "AAD": 2, "CMM": 4, "RM": 3}[name]
        self._smu(given.integer(0, 1, 1002)).flags[name] = given.integer(1, 0, top)

    @command("FL")
    def _filter(self, name: str, given: Given) -> None:
        on = given.integer(0, 0, 1)
        for module in self._modules(Given(given[1:])):
            module.flags["FL"] = on

    # how to measure

    @command("FMT")
    def _set_format(self, name: str, given: Given) -> None:
        form, mode = given.integer(0, 1, 25), given.integer(1, 0, 10, 0)
        if form not in FORMATS:
            raise FlexError(flex.VALUE)
        self._format, self._sources = form, mode

    @command("AV")
    def _average(self, name: str, given: Given) -> None:
        self._averages = given.integer(0, -100, 1023), given.integer(1, 0, 1, 0)

    @command("AIT")
    def _adc_mode(self, name: str, given: Given) -> None:
        kind = given.integer(0, 0, 2)
        self._adc[kind] = given.integer(1, 0, 3), given.number(2, 0, 1023, 1)

    @command("CM", "AZ", "TM", "TSC", "PAD", "ERMOD")
    def _store(self, name: str, given: Given) -> None:
        self._stored[name] = given.integer(0, 0, 63)

    @command("ERMOD?")
    def _stored_value(self, name: str, given: Given) -> str:
        return str(self._stored[name[:-1]])

    @command("ERSSP")
    def _selector(self, name: str, given: Given) -> None:
        self._ports[given.integer(0, 0, 3)] = given.integer(1, 0, 3)

    @command("ERSSP?")
    def _selected(self, name: str, given: Given) -> str:
        return str(self._ports.get(given.integer(0, 0, 3), 0))

    @command("PA")
    def _pause(self, name: str, given: Given) -> None:
        self.bench.clock.sleep(given.number(0, 0, 99.9999))

    @command("TSR")
    def _restart_timer(self, name: str, given: Given) -> None:
        self._timer = self.bench.clock.now()

    @command("TSQ")
    def _time(self, name: str, given: Given) -> str:
        return self._show(Datum("N", "Z", "T", self.bench.clock.now() - self._timer))

    # high-speed spots

    @command("TI", "TV", "TTI", "TTV")
    def _spot(self, name: str, given: Given) -> str:
        module = self._smu(given.integer(0, 1, 1002))
        code = given.integer(1, -10_000, 10_000, 0)
        datum = module.measure(self._seconds, name[-1], code)
        if len(name) == 2:
            return self._show(datum)
        stamp = Datum("N", datum.channel, "T", self.bench.clock.now() - self._timer)
        return self._show(stamp, datum)

    @command("TIV")
    def _both(self, name: str, given: Given) -> str:
        module = self._smu(given.integer(0, 1, 1002))
        codes = [given.integer(k, -10_000, 10_000, 0) for k in (1, 2)]
        current = module.measure(self._seconds, "I", codes[0])
        return self._show(current, module.measure(0.0, "V", codes[1]))

    # triggered measurements

    def _repeat(self, name: str, given: Given) -> None:
        """Keep parameters for *LRN?, with the initial ones where the host left some out."""
        self._texts[name] = ",".join([*given, *TEXTS[name].split(",")[len(given) :]])

    @command("MM")
    def _mode(self, name: str, given: Given) -> None:
        mode = given.integer(0, 1, 28)
        if mode not in (SPOT, STAIRCASE, PULSED_SPOT, SAMPLING):
            raise FlexError(flex.VALUE)
        self._xe.mode, self._xe.modules = mode, [self._smu(n) for n in given.integers(1)]

    @command("WV", "WI")
    def _sweep(self, name: str, given: Given) -> None:
        module = self._smu(given.integer(0, 1, 1002))
        mode, steps = given.integer(1, 1, 4), given.integer(5, 1, 10_001)
        sweep = sweep_source(module, name[1], given, 2, 6)
        sweep.levels(mode, steps)
        self._xe.sweep, self._xe.synchronous = sweep, None
        self._xe.sweep_mode, self._xe.steps = mode, steps

    @command("WSV", "WSI")
    def _synchronous(self, name: str, given: Given) -> None:
        module = self._smu(given.integer(0, 1, 1002))
        self._xe.synchronous = sweep_source(module, name[2], given, 1, 4)

    @command("WT")
    def _sweep_times(self, name: str, given: Given) -> None:
        self._repeat(name, given)
        self._xe.times = given.number(0, 0, 655.35), given.number(1, 0, 65.535)

    @command("WM")
    def _abort(self, name: str, given: Given) -> None:
        self._repeat(name, given)
        self._xe.abort, self._xe.post = given.integer(0, 1, 2), given.integer(1, 1, 2, 1)

    @command("MT")
    def _sampling(self, name: str, given: Given) -> None:
        self._repeat(name, given)
        self._xe.interval = given.number(1, 0.0001, 65.535)
        self._xe.samples = given.integer(2, 1, 100_001)
        self._xe.hold = given.number(0, -0.09, 655.35)

    @command("ML", "MSC")
    def _sampling_mode(self, name: str, given: Given) -> None:
        self._repeat(name, given)
        given.integer(0, 1, 1 if name == "ML" else 2)  # linear sampling only

    @command("MV", "MI")
    def _bias(self, name: str, given: Given) -> None:
        module = self._smu(given.integer(0, 1, 1002))
        force = module.parse(name[1], Given([*given[1:2], *given[3:5]]), 0)
        self._xe.biases[module.channel] = (module, force, ",".join(given[1:]))

    @command("PT")
    def _pulse_times(self, name: str, given: Given) -> None:
        given.number(0, 0, 655.35)
        self._xe.width = given.number(1, 0.0005, 2.0)

    @command("PV", "PI")
    def _pulsed(self, name: str, given: Given) -> None:
        module = self._smu(given.integer(0, 1, 1002))
        base = module.parse(name[1], Given([*given[1:3], *given[4:5]]), 0)
        peak = module.parse(name[1], Given([*given[1:2], *given[3:5]]), 0)
        self._xe.pulse = (module, base, peak.level)

    @command("XE")
    def _execute(self, name: str, given: Given) -> str:
        return self._show(
            *self._xe.run(self._seconds, self._sources > 0, bool(self._stored["TSC"]))
        )
