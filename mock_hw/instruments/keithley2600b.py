"""Keithley 2636B System SourceMeter (2600B reference manual, 2600BS-901-01).

Emulated: both channels with source, limits, ranges, output, measuring, compliance, reading
buffers, sweep functions. Not: trigger model, contact check, digital I/O, TSP-Link. Channel A is
the port "smu", channel B the port "bias".
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cimlab.mock_hw.instruments.bench import Bench, Sample
from cimlab.mock_hw.instruments.smu import LINE, Smu, ohms
from cimlab.mock_hw.instruments.tsp import Column, Live, Node, TspEmulator

CONSTANTS = {
    "OUTPUT_DCAMPS": 0,
    "OUTPUT_DCVOLTS": 1,
    "OUTPUT_OFF": 0,
    "OUTPUT_ON": 1,
    "OUTPUT_HIGH_Z": 2,
    "OUTPUT_NORMAL": 0,
    "OUTPUT_ZERO": 1,
    "AUTORANGE_OFF": 0,
    "AUTORANGE_ON": 1,
    "SENSE_LOCAL": 0,
    "SENSE_REMOTE": 1,
    "AUTOZERO_OFF": 0,
    "AUTOZERO_ONCE": 1,
    "AUTOZERO_AUTO": 2,
    "DELAY_OFF": 0,
    "DELAY_AUTO": -1,
    "FILTER_OFF": 0,
    "FILTER_ON": 1,
}
COMPLIANCE = 64
"""Bit of a buffered reading's status."""
FIELDS = ("readings", "sourcevalues", "statuses", "timestamps")


class Channel:
    """One SMU: its node of the command tree, and what it does."""

    def __init__(self, bench: Bench, port: str, emulator: TspEmulator) -> None:
        self._smu, self._bench, self._emulator = Smu(bench, port), bench, emulator
        self.source = Node(
            {"compliance": Live(self._compliance)},
            {
                "func": 1,
                "levelv": 0.0,
                "leveli": 0.0,
                "limitv": 20.0,
                "limiti": 0.1,
                "limitp": 0.0,
                "rangev": 0.2,
                "rangei": 1e-7,
                "lowrangev": 0.2,
                "lowrangei": 1e-10,
                "autorangev": 1,
                "autorangei": 1,
                "output": 0,
                "delay": 0.0,
                "offmode": 0,
                "offlimiti": 1e-3,
                "highc": 0,
                "settling": 0,
                "sink": 0,
            },
            {
                "levelv": 202.0,
                "leveli": 1.515,
                "limitv": 200.0,
                "limiti": 1.5,
                "rangev": 202.0,
                "rangei": 1.515,
            },
            self._changed,
        )
        self.measure = Node(
            {
                "v": lambda *given: self._take("v", given),
                "i": lambda *given: self._take("i", given),
                "r": lambda *given: self._take("r", given),
                "p": lambda *given: self._take("p", given),
                "iv": lambda *given: self._take("iv", given),
                "filter": Node(values={"enable": 0, "count": 1, "type": 1}),
            },
            {
                "nplc": 1.0,
                "count": 1,
                "interval": 0.0,
                "delay": 0.0,
                "delayfactor": 1.0,
                "autozero": 2,
                "rangev": 0.2,
                "rangei": 1e-7,
                "lowrangev": 0.2,
                "lowrangei": 1e-10,
                "autorangev": 1,
                "autorangei": 1,
            },
            {"nplc": 25.0, "rangev": 202.0, "rangei": 1.515},
        )
        self.buffers = [self.make_buffer(), self.make_buffer()]
        self.node = Node(
            {
                **CONSTANTS,
                "source": self.source,
                "measure": self.measure,
                "nvbuffer1": self.buffers[0],
                "nvbuffer2": self.buffers[1],
                "makebuffer": self.make_buffer,
                "reset": self.reset,
                "abort": lambda: None,
            },
            {"sense": 0},
        )

    def make_buffer(self, size: float = 60_000) -> Node:
        """A reading buffer."""
        columns: dict[str, Any] = {field: Column([]) for field in FIELDS}

        def clear() -> None:
            for field in FIELDS:
                columns[field].numbers.clear()

        buffer = Node(
            {
                **columns,
                "clear": clear,
                "clearcache": lambda: None,
                "n": Live(lambda: len(columns["readings"].numbers)),
                "capacity": size,
            },
            {"appendmode": 0, "collectsourcevalues": 0, "collecttimestamps": 0},
        )
        if hasattr(self, "node"):  # made by a script
            self._emulator.keep(buffer)
        return buffer

    def reset(self) -> None:
        """Defaults, output off, buffers empty."""
        self.node.reset()
        for buffer in self.buffers:
            buffer.get("clear")()
        self._changed("output")

    def _changed(self, name: str) -> None:
        source, smu = self.source.values, self._smu
        if name in ("rangev", "rangei"):
            source[f"auto{name}"] = 0
        smu.volts = source["func"] == 1
        smu.v, smu.i = source["levelv"], source["leveli"]
        smu.v_limit, smu.i_limit = source["limitv"], source["limiti"]
        smu.on = source["output"] == 1
        smu.apply()

    def _compliance(self) -> bool:
        return self._smu.limited

    def condition(self) -> int:
        """Measurement condition register: bit 0 voltage limit, bit 1 current limit."""
        return (2 if self._smu.volts else 1) if self._smu.limited else 0

    def _take(self, what: str, given: tuple[Any, ...]) -> Any:
        """Measure `count` times; into a buffer when one is given, the last value is returned."""
        buffer = given[0] if given else None
        if buffer is not None and not buffer.values["appendmode"]:
            buffer.get("clear")()
        for _ in range(max(int(self.measure.values["count"]), 1)):
            sample = self._smu.measure(self.measure.values["nplc"] / LINE)
            values = {
                "v": sample.v,
                "i": sample.i,
                "r": ohms(sample),
                "p": sample.v * sample.i,
            }
            if buffer is not None:
                self._store(buffer, values["i" if what == "iv" else what], sample)
        return (values["i"], values["v"]) if what == "iv" else values[what]

    def _store(self, buffer: Node, value: float, sample: Sample) -> None:
        row = (
            value,
            sample.v if self._smu.volts else sample.i,
            float(COMPLIANCE if sample.limited else 0),
            self._bench.clock.now(),
        )
        for field, number in zip(FIELDS, row, strict=True):
            buffer.get(field).numbers.append(number)

    def sweep(self, levels: list[float], settle: float) -> None:
        """The factory scripts' voltage sweep measuring current, into nvbuffer1."""
        buffer = self.buffers[0]
        buffer.get("clear")()
        self.source.set("func", 1)
        self.source.set("output", 1)
        for level in levels:
            self.source.set("levelv", level)
            self._bench.clock.sleep(settle)
            sample = self._smu.measure(self.measure.values["nplc"] / LINE)
            self._store(buffer, sample.i, sample)
        self.source.set("output", 0)


class Keithley2636B(TspEmulator):
    """See the module."""

    identity: ClassVar[str] = "Keithley Instruments Inc., Model 2636B, 4412345, 3.3.5"
    model: ClassVar[str] = "2636B"

    def tree(self) -> dict[str, Any]:
        """See TspEmulator."""
        self._channels = {
            "smua": Channel(self.bench, "smu", self),
            "smub": Channel(self.bench, "bias", self),
        }
        conditions = {
            name: Node({"condition": Live(channel.condition)})
            for name, channel in self._channels.items()
        }
        return {
            **{name: channel.node for name, channel in self._channels.items()},
            "status": Node({"measurement": Node({"instrument": Node(conditions)})}),
            "SweepVLinMeasureI": self._sweep_linear,
            "SweepVListMeasureI": self._sweep_list,
        }

    def reset(self) -> None:
        """Both channels too."""
        super().reset()
        for channel in self._channels.values():
            channel.reset()

    def _sweep_linear(
        self, smu: Node, start: float, stop: float, settle: float, points: float
    ) -> None:
        self._channel(smu).sweep(np.linspace(start, stop, int(points)).tolist(), settle)

    def _sweep_list(self, smu: Node, levels: Any, settle: float, points: float) -> None:
        values = [float(levels[k + 1]) for k in range(int(points))]
        self._channel(smu).sweep(values, settle)

    def _channel(self, node: Node) -> Channel:
        return next(c for c in self._channels.values() if c.node is node)
