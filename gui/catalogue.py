"""What the bench panel can run: single verbs, and every procedure that protocols/ offers."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from pydantic import Field

import cimlab.protocols
from cimlab.core.array import Addresses, CimArray, JobResult, Reading
from cimlab.protocols import Plan
from cimlab.protocols.sweeps import SWEEPS

Steps = Generator[Any, None, Any]


@dataclass(frozen=True, slots=True)
class Procedure:
    """Something to run on an array.

    Attributes:
        title: For the menu.
        plan: Its settings' type; a form is made of the fields.
        start: Called with array and plan, and by name with `needs`.
        needs: Of "cells" and "target".
        harmless: True if it never pulses, so that nobody need confirm it.
        sweep: Its name for `cimlab sweep`, whose run files it makes; empty for others.
    """

    title: str
    plan: type[Plan]
    start: Callable[..., Steps]
    needs: frozenset[str]
    harmless: bool = False
    sweep: str = ""


class ReadPlan(Plan):
    """Read the selected cells once."""

    v: float = Field(0.1, gt=0, description="read voltage, V")
    averages: int = Field(1, ge=1, le=1000, description="conversions averaged")


class PulsePlan(Plan):
    """Pulse the selected cells, then read them."""

    v: float = Field(1.0, description="amplitude: > 0 SET, < 0 RESET, V")
    width: float = Field(1e-6, gt=0, description="pulse width, s")
    count: int = Field(1, ge=1, description="pulses a cell")
    v_read: float = Field(0.1, gt=0, description="read voltage, V")


def read_cells(array: CimArray, plan: ReadPlan, cells: Addresses | None) -> Steps:
    """The verb read, as a procedure."""
    reading = array.read(plan.v, cells, plan.averages)
    yield reading
    return reading


def pulse_cells(array: CimArray, plan: PulsePlan, cells: Addresses) -> Steps:
    """The verb pulse_and_read, as a procedure."""
    reading: Reading = array.pulse_and_read(plan.v, plan.width, plan.v_read, cells, plan.count)
    yield reading
    return reading


_VERBS = (
    Procedure("Read cells", ReadPlan, read_cells, frozenset({"cells"}), harmless=True),
    Procedure("Pulse cells", PulsePlan, pulse_cells, frozenset({"cells"})),
)


def catalogue() -> list[Procedure]:
    """The verbs, the sweeps, and every other generator (array, plan, [cells], [target])."""
    cells = frozenset({"cells"})
    found = [
        *_VERBS,
        *(Procedure(s.title, s.plan, s.run, cells, s.harmless, s.name) for s in SWEEPS.values()),
    ]
    known = {procedure.start for procedure in found}
    for info in pkgutil.iter_modules(cimlab.protocols.__path__):
        module = importlib.import_module(f"cimlab.protocols.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isgeneratorfunction):
            public = function.__module__ == module.__name__ and not name.startswith("_")
            if public and function not in known:
                found += _procedures(name, function)
    return found


def _procedures(name: str, function: Callable[..., Steps]) -> list[Procedure]:
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    required = {p for p, x in parameters.items() if x.default is inspect.Parameter.empty}
    plan, outcome = hints.get("plan"), typing.get_args(hints.get("return"))
    on_board_twin = JobResult in outcome  # the loop inside program_steps
    if not _is_plan(plan) or not required <= {"array", "plan", "cells", "target"} or on_board_twin:
        return []
    needs = frozenset(parameters) & {"cells", "target"}
    words = name.removesuffix("_steps").replace("_", " ").capitalize()
    kinds = _leaves(plan)
    return [
        Procedure(words if len(kinds) == 1 else f"{words}: {k.__name__}", k, function, needs)
        for k in kinds
    ]


def _is_plan(kind: Any) -> typing.TypeGuard[type[Plan]]:
    return isinstance(kind, type) and issubclass(kind, Plan)


def _leaves(kind: type[Plan]) -> list[type[Plan]]:
    """The plans that a form can make: a family stands for its members."""
    if members := kind.__subclasses__():
        return [leaf for member in members for leaf in _leaves(member)]
    return [kind] if _fits_a_form(kind) else []


def _fits_a_form(kind: type[Plan]) -> bool:
    """Whether it is made of plain fields with defaults: no measured tables, no plans in it."""
    fields = kind.model_fields.values()
    return not any(
        f.is_required() or _is_plan(part)
        for f in fields
        for part in (f.annotation, *typing.get_args(f.annotation))
    )
