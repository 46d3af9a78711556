"""The characterisation procedures by the names that `cimlab sweep` uses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

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


_ALL: tuple[tuple[Any, ...], ...] = (
    ("iv", "I-V curve", IvPlan, iv_sweep),
    ("pulses", "LTP and LTD pulse trains", PulsesPlan, pulse_trains),
    ("forming", "Forming", FormingPlan, forming),
    ("retention", "Retention", RetentionPlan, retention, True),
    ("endurance", "Endurance", EndurancePlan, endurance),
    ("noise", "Read noise and telegraph noise", ReadNoisePlan, read_noise, True),
    ("disturb", "Read and half-select disturb", DisturbPlan, disturb),
    ("map", "Device-to-device map", MapPlan, device_map),
    ("screen", "Screening for stuck and open cells", ScreenPlan, screen),
)

SWEEPS: dict[str, Procedure] = {entry[0]: Procedure(*entry) for entry in _ALL}
