"""What the classes of PyMeasure and QCoDeS call what a role needs; data, tried in this order.

A step is a word and its values: a property or parameter to set, or a method to call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Step: TypeAlias = tuple[str, *tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class SmuWords:
    """A SourceMeter.

    Attributes:
        known_by: Words that an instrument of this kind has, all of them.
        start: Source a voltage, measure the current.
        level: Source voltage, V.
        limit: Compliance, A; told and asked.
        current: Measured current, A.
        on, off: The output.
        tripped: Whether the compliance is in force; "" where the class cannot tell.
    """

    known_by: tuple[str, ...]
    start: tuple[Step, ...]
    level: str
    limit: str
    current: str
    on: Step
    off: Step
    tripped: str = ""


@dataclass(frozen=True, slots=True)
class PulserWords:
    """A PulseGenerator; levels are of an output into a high impedance.

    Attributes:
        known_by: As SmuWords.
        start: Pulses in bursts on request, load infinite, limits not in force.
        levels: Words of the high and the low level, V, or of amplitude and offset.
        by_offset: Whether they are the latter.
        period: Word of the period, s, or of the frequency, Hz.
        by_frequency: Whether it is the latter.
        width, count: Words of a pulse's width, s, and of how many a burst has.
        normal, inverted: Steps that choose the polarity.
        on, off: The output.
        trigger: Step of the whole instrument that starts a burst.
    """

    known_by: tuple[str, ...]
    start: tuple[Step, ...]
    levels: tuple[str, str]
    period: str
    width: str
    count: str
    normal: Step
    inverted: Step
    on: Step
    off: Step
    trigger: str
    by_offset: bool = False
    by_frequency: bool = False


SMUS: tuple[SmuWords, ...] = (
    SmuWords(  # PyMeasure: Keithley 2400
        known_by=("source_voltage", "compliance_current", "enable_source", "means", "arm_count"),
        start=(("reset",), ("source_mode", "voltage")),
        level="source_voltage",
        limit="compliance_current",
        current="current",
        on=("enable_source",),
        off=("disable_source",),
    ),
    SmuWords(  # PyMeasure: Keithley 2450, 2460 and others
        known_by=("source_voltage", "compliance_current", "enable_source", "measure_current"),
        start=(("reset",), ("source_mode", "voltage"), ("measure_current",)),
        level="source_voltage",
        limit="compliance_current",
        current="current",
        on=("enable_source",),
        off=("disable_source",),
    ),
    SmuWords(  # PyMeasure: a channel of Keithley's 2600
        known_by=("source_voltage", "compliance_current", "source_output", "measure_current"),
        start=(("source_output", "OFF"), ("source_mode", "voltage"), ("measure_current",)),
        level="source_voltage",
        limit="compliance_current",
        current="current",
        on=("source_output", "ON"),
        off=("source_output", "OFF"),
    ),
    SmuWords(  # QCoDeS: Keithley 2450
        known_by=("source_function", "sense_function", "output_enabled"),
        start=(("reset",), ("source_function", "voltage"), ("sense_function", "current")),
        level="source.voltage",
        limit="source.limit",
        current="sense.current",
        on=("output_enabled", True),
        off=("output_enabled", False),
        tripped="source.limit_tripped",
    ),
    SmuWords(  # QCoDeS: Keithley 2400
        known_by=("volt", "curr", "compliancei", "mode", "output"),
        start=(("reset",), ("mode", "VOLT")),
        level="volt",
        limit="compliancei",
        current="curr",
        on=("output", True),
        off=("output", False),
    ),
    SmuWords(  # QCoDeS: a channel of Keithley's 2600
        known_by=("volt", "curr", "limiti", "mode", "output"),
        start=(("reset",), ("mode", "voltage")),
        level="volt",
        limit="limiti",
        current="curr",
        on=("output", True),
        off=("output", False),
    ),
)

PULSERS: tuple[PulserWords, ...] = (
    PulserWords(  # PyMeasure: a channel of the 81160A
        known_by=("shape", "output_load", "pulse_width", "trigger_mode", "trigger_count"),
        start=(
            ("shape", "PULS"),
            ("pulse_hold", "WIDT"),
            ("output_load", 1e6),  # the most that it can be told
            ("trigger_mode", "MAN"),
        ),
        levels=("voltage_high", "voltage_low"),
        period="pulse_period",
        width="pulse_width",
        count="trigger_count",
        normal=("write", ":OUTP{ch}:POL NORM"),
        inverted=("write", ":OUTP{ch}:POL INV"),
        on=("output", True),
        off=("output", False),
        trigger="trigger",
    ),
    PulserWords(  # PyMeasure: the 33500 family
        known_by=("shape", "output_load", "pulse_width", "burst_ncycles", "trigger_source"),
        start=(
            ("shape", "PULS"),
            ("pulse_hold", "WIDT"),
            ("output_load", "INF"),
            ("burst_mode", "TRIG"),
            ("burst_state", True),
            ("trigger_source", "BUS"),
        ),
        levels=("voltage_high", "voltage_low"),
        period="pulse_period",
        width="pulse_width",
        count="burst_ncycles",
        normal=("write", "OUTP{ch}:POL NORM"),
        inverted=("write", "OUTP{ch}:POL INV"),
        on=("output", True),
        off=("output", False),
        trigger="trigger",
    ),
    PulserWords(  # QCoDeS: a channel of the 33500 family
        known_by=("function_type", "pulse_width", "burst_ncycles", "output_polarity"),
        start=(
            ("function_type", "PULS"),
            ("write", "OUTP{ch}:LOAD INF"),
            ("burst_mode", "N Cycle"),
            ("burst_state", "ON"),
            ("trigger_source", "BUS"),
        ),
        levels=("amplitude", "offset"),
        by_offset=True,
        period="frequency",
        by_frequency=True,
        width="pulse_width",
        count="burst_ncycles",
        normal=("output_polarity", "NORM"),
        inverted=("output_polarity", "INV"),
        on=("output", "ON"),
        off=("output", "OFF"),
        trigger="force_trigger",
    ),
)
