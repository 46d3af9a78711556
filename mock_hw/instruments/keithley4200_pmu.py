"""The 4225-PMU of a 4200A-SCS under KXCI: pulse trains, amplitude sweeps, segment arb.

Channel 1 of the first card, behind its 4225-RPM, is the port "pulse"; the others hang free. Data
are rows of voltage, current, time and status: one a pulse or a segment for spot means (high, then
low where both are measured), SAMPLES a level for waveforms, whose ramps are left out. A measured
level is an ideal source that clips at the measuring range; other levels come from 50 ohm, corrected
for the load that :PMU:LOAD says. A ramp counts half of itself to the level beside it. Not: base
and DC sweeps, the switches (SSR), thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.kxci import ACK, KxciError, whole, words
from cimlab.mock_hw.instruments.pmu_channel import (
    ARB,
    MEAN,
    PULSE,
    SPOT_MEAN,
    WAVEFORM_MEAN,
    Card,
    Channel,
    Row,
    Segment,
)
from cimlab.mock_hw.instruments.pulser import OHM

PORTS = {1: "pulse", 2: "pulse2", 3: "pulse3", 4: "pulse4"}
NAMES = ("1-1", "1-2", "2-1", "2-2")
"""Card and channel of each."""
CLIP = 1.05
"""A current beyond so much of its range is clipped and flagged."""
OVERFLOW = 1
SAMPLES = 32
BLOCK = 2048
"""Most rows of one answer."""


class Pmu:
    """See the module."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.reset()

    def reset(self, mode: int = PULSE) -> None:
        """INIT: outputs off, everything as after power-on."""
        for port in PORTS.values():
            self._bench.hold(port, None)
        self._card = Card(mode)
        self._channels = {n: Channel(self._card, port) for n, port in PORTS.items()}

    @property
    def names(self) -> list[str]:
        """As *OPT? lists the channels."""
        return [f"PMU{name[0]}RPM{name}" for name in NAMES]

    def command(self, text: str) -> str:
        """Carry out one :PMU: message."""
        header, _, rest = text.partition(" ")
        name, given = header.upper().removeprefix(":PMU:"), words(rest)
        if name == "TEST:STATUS?":
            return "0"
        if name == "INIT":
            self.reset(whole(given, 0, PULSE, ARB))
        elif name == "EXECUTE":
            self._execute()
        elif name == "MEASURE:MODE":
            self._card.measure = whole(given, 0, 0, WAVEFORM_MEAN)
        elif name == "PULSE:BURST:COUNT":
            self._card.burst = whole(given, 0, 1, 10_000)
        elif name == "RPM:CONFIGURE":
            if not given or given[0] not in [f"PMU{name}" for name in NAMES]:
                raise KxciError
            whole(given, 1, 0, 3)
        elif name != "TEST:ABORT":  # nothing is going on when a command is read
            return self._of_channel(name, given)
        return ACK

    def _of_channel(self, name: str, given: list[str]) -> str:
        channel = self._channels[whole(given, 0, 1, len(PORTS))]
        setters: dict[str, Callable[[Sequence[str]], object]] = {
            "LOAD": channel.set_load,
            "LLEC:CONFIGURE": lambda given: whole(given, 1, 0, 1),
            "CONNECTION:COMP": lambda given: whole(given, 2, 0, 1),
            "MEASURE:RANGE": channel.set_range,
            "MEASURE:PIV": channel.set_levels,
            "PULSE:TRAIN": channel.set_train,
            "PULSE:TIMES": channel.set_times,
            "SOURCE:RANGE": channel.set_source,
            "SWEEP:PULSE:AMPLITUDE": channel.set_sweep,
            "STEP:PULSE:AMPLITUDE": channel.set_step,
            "SARB:WFM:SEQ:LIST": channel.set_list,
        }
        if name == "DATA:COUNT?":
            return str(len(channel.rows))
        if name == "DATA:GET":
            return _show(channel.rows, given)
        if name == "OUTPUT:STATE":
            channel.on = bool(whole(given, 1, 0, 1))
            self._bench.hold(channel.port, 0.0 if channel.on else None)
        elif name.startswith("SARB:SEQ:"):
            channel.set_column(name.removeprefix("SARB:SEQ:"), given)
        elif name in setters:
            setters[name](given)
        else:
            raise KxciError
        return ACK

    def _execute(self) -> None:
        """Run every channel that is on."""
        active = [channel for channel in self._channels.values() if channel.on]
        points, steps = (
            max((len(c.tops) for c in active if c.stepped == stepped), default=1)
            for stepped in (False, True)
        )
        courses = [channel.course(points, steps) for channel in active]
        if not any(courses):
            raise KxciError
        for channel, course in zip(active, courses, strict=True):
            channel.rows, start = [], self._bench.clock.now()
            for segments in course:
                self._run(channel, segments, start)
            if self._card.mode == PULSE and self._card.measure in (SPOT_MEAN, WAVEFORM_MEAN):
                channel.rows = _averaged(channel.rows, len(channel.rows) // len(course), self._card)

    def _run(self, channel: Channel, segments: list[Segment], start: float) -> None:
        """Apply one pulse or sequence; the spot means of a pulse are one row."""
        spots: list[Row] = []
        for k, segment in enumerate(segments):
            if segment.start != segment.stop or segment.seconds == 0:
                continue
            ramps = [s for s in segments[max(k - 1, 0) : k + 2] if s.start != s.stop]
            seconds = segment.seconds + 0.5 * sum(s.seconds for s in ramps)
            if segment.measure:
                rows = self._measured(channel, segment, seconds, start)
                if segment.measure == MEAN and self._card.mode == PULSE:
                    spots += rows
                else:
                    channel.rows += [(row,) for row in rows]
            elif segment.start:
                opened = segment.start * (channel.load + OHM) / channel.load
                self._bench.pulse(channel.port, opened, OHM, seconds, 1)
            else:
                self._bench.clock.sleep(seconds)
        if spots:
            channel.rows.append(tuple(spots))
        self._bench.hold(channel.port, 0.0)

    def _measured(
        self, channel: Channel, segment: Segment, seconds: float, start: float
    ) -> list[Row]:
        """A level that is measured: its mean, or its samples."""
        began = self._bench.clock.now() - start
        sample = self._bench.source_voltage(
            channel.port, segment.start, CLIP * channel.range, seconds
        )
        count = 1 if segment.measure == MEAN else SAMPLES
        times = began + segment.seconds * (np.arange(count) + 0.5) / count
        status = OVERFLOW if sample.limited else 0
        return [(sample.v, sample.i, float(t), status) for t in times]


def _show(rows: Sequence[Sequence[Row]], given: Sequence[str]) -> str:
    """Rows as text: all, or so many from one on."""
    start = whole(given, 1, 0, len(rows)) if len(given) > 1 else 0
    count = whole(given, 2, 1, BLOCK) if len(given) > 2 else BLOCK
    return ";".join(
        ",".join(f"{v:.6E},{i:.6E},{t:.6E},{status}" for v, i, t, status in row)
        for row in rows[start : start + count]
    )


def _averaged(rows: list[tuple[Row, ...]], each: int, card: Card) -> list[tuple[Row, ...]]:
    """The bursts of a sweep point as one; each pulse has so many rows."""
    out = []
    size = each * card.burst
    for n in range(0, len(rows), size):
        burst = np.array(rows[n : n + size]).reshape(card.burst, each, -1, 4).mean(axis=0)
        for row in burst:
            out.append(tuple((float(v), float(i), float(t), int(s > 0)) for v, i, t, s in row))
    return out
