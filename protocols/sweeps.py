"""The characterisation procedures by the names that `cimlab sweep` uses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from cimlab.core.plugins import Registry
from cimlab.protocols.characterisation import CellPlan, Result
from cimlab.protocols.device_map import MapPlan, device_map
from cimlab.protocols.disturb import DisturbPlan, disturb
from cimlab.protocols.endurance import EndurancePlan, endurance
from cimlab.protocols.forming import FormingPlan, forming
from cimlab.protocols.iv import IvPlan, iv_sweep
from cimlab.protocols.noise import ReadNoisePlan, read_noise
from cimlab.protocols.points import Points
from cimlab.protocols.pulse_trains import PulsesPlan, pulse_trains
from cimlab.protocols.retention import RetentionPlan, retention
from cimlab.protocols.screen import ScreenPlan, screen


@dataclass(frozen=True, slots=True)
class Procedure:
    """A characterisation procedure.

    Attributes:
        name: For the command line.
        title: For people.
        plan: Type of its settings; every field has a default.
        run: Called with (array, plan, cells); yields Points and returns a Result.
        harmless: True if it only reads.
    """

    name: str
    title: str
    plan: type[CellPlan]
    run: Callable[..., Generator[Points, None, Result]]
    harmless: bool = False


_ALL = (
    Procedure("iv", "I-V curve", IvPlan, iv_sweep),
    Procedure("pulses", "LTP and LTD pulse trains", PulsesPlan, pulse_trains),
    Procedure("forming", "Forming", FormingPlan, forming),
    Procedure("retention", "Retention", RetentionPlan, retention, harmless=True),
    Procedure("endurance", "Endurance", EndurancePlan, endurance),
    Procedure("noise", "Read noise and telegraph noise", ReadNoisePlan, read_noise, harmless=True),
    Procedure("disturb", "Read and half-select disturb", DisturbPlan, disturb),
    Procedure("map", "Device-to-device map", MapPlan, device_map),
    Procedure("screen", "Screening for stuck and open cells", ScreenPlan, screen),
)

SWEEPS = Registry("cimlab.protocols", {each.name: each for each in _ALL}, Procedure)
"""By name; with the procedures of installed packages (docs/interfaces.md)."""
