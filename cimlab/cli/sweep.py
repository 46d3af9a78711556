"""`cimlab sweep`: characterisation, one command a procedure, its options the plan's fields."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cimlab.core.errors import ConfigError

from . import files
from .console import console, log, share_bar
from .options import Json, Out, Station
from .plan_options import make_plan, option

if TYPE_CHECKING:
    from cimlab.core.array import Addresses
    from cimlab.measure import Outlook
    from cimlab.protocols.characterisation import CellPlan
    from cimlab.protocols.screen import ScreenResult
    from cimlab.protocols.sweeps import Procedure
    from cimlab.rig import StationArray

_UNITS = ("V", "A", "S", "s", "Ohm")

Cells = Annotated[
    list[str],
    typer.Option(
        help="all; a cell: tile,row,col; a part of a tile: tile:row-row:col-col. Several times."
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", help="Settings as TOML, named as these options with underscores."),
]
HealthFile = Annotated[
    Path | None,
    typer.Option(help="Health file of the array, made or brought up to date; for train --health."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be applied; touches no cell.")
]


class Sweeps(TyperGroup):
    """The procedures as commands, made when one is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        from cimlab.protocols.sweeps import SWEEPS

        return list(SWEEPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        from cimlab.protocols.sweeps import SWEEPS

        procedure = SWEEPS.get(cmd_name)
        return None if procedure is None else _command(procedure)


def _command(procedure: Procedure) -> Any:
    fields = procedure.plan.model_fields
    schema = procedure.plan.model_json_schema()["properties"]

    def run(**given: Any) -> None:
        settings = {name: given.pop(name) for name in fields}
        _sweep(procedure, {k: v for k, v in settings.items() if v is not None}, **given)

    parameters = {
        "station": (Station, "mock:"),
        "cells": (Cells, ["all"]),
        **{name: (option(info, schema[name]), None) for name, info in fields.items()},
        "plan_file": (PlanFile, None),
        **({"health": (HealthFile, None)} if procedure.name == "screen" else {}),
        "dry_run": (DryRun, False),
        "out": (Out, None),
        "json_": (Json, False),
    }
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, (kind, default) in parameters.items()
        ]
    )
    run.__annotations__ = {name: kind for name, (kind, _) in parameters.items()}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(procedure.name, help=f"{procedure.title}. {inspect.getdoc(procedure.plan)}")(run)
    return typer.main.get_command(app)


def _sweep(
    procedure: Procedure,
    given: Mapping[str, Any],
    *,
    station: str,
    cells: list[str],
    plan_file: Path | None,
    dry_run: bool,
    out: Path | None,
    json_: bool,
    health: Path | None = None,
) -> None:
    from cimlab.measure import outlook
    from cimlab.records.health import check
    from cimlab.rig import open_array

    from .selection import addresses

    plan = make_plan(procedure.plan, given, plan_file)
    with open_array(station) as array:
        chosen = _without_bad(addresses(cells, array.spec), cells, array)
        if health is not None and health.exists():
            check(health, array.spec)
        if dry_run:
            expected = outlook(array, procedure.name, plan, chosen)
            _tell_outlook(procedure, plan, array, expected)
            return
        file = out or files.run_file(f"sweep-{procedure.name}")
        data = _measure(array, procedure.name, plan, chosen, file, health)
    console.result(data, _report(data))


def _without_bad(chosen: Addresses, cells: list[str], array: StationArray) -> Addresses:
    """Those of all cells that the station's health file knows no ill of; others by name only."""
    if array.usable is None or "all" not in cells:
        return chosen
    good = chosen[array.usable.ravel()[chosen]]
    if good.size < chosen.size:
        log.warning(
            "%d of %d cells are left out: %s marks them bad; --cells names them to have them",
            chosen.size - good.size,
            chosen.size,
            array.station.health,
        )
    if not good.size:
        raise ConfigError(f"{array.station.health} marks every cell bad: there is nothing to do")
    return good


def _measure(
    array: StationArray,
    name: str,
    plan: CellPlan,
    cells: Addresses,
    file: Path,
    health: Path | None,
) -> dict[str, Any]:
    """Run the procedure to its end, or until Ctrl-C, which then says how far it came."""
    from cimlab.measure import measure

    points, whole, start = 0, "", time.perf_counter()
    steps = measure(array, name, plan, cells, file, files.station_facts(array.station))
    try:
        with closing(steps), share_bar(name) as bar:
            while True:
                try:
                    event = next(steps)
                except StopIteration as stop:
                    result = stop.value
                    break
                points += event.current.size
                bar(event.done, f"{points:,} points")
                # both of the same event, whenever the next one is interrupted
                whole = f" of about {round(points / event.done):,}" if event.done else ""
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_stopped(file, whole) if points else "") from error
    except Exception:
        if points:
            log.warning(_stopped(file, whole))
        raise
    data = {
        "procedure": name,
        "cells": int(cells.size),
        "points": points,
        "summary": result.summary(),
        "seconds": time.perf_counter() - start,
        "identity": array.spec.identity,
        "origin": array.spec.origin,
        "station": array.station.text,
        "run_file": str(file),
    }
    return data if health is None else data | {"health_file": _update(health, result)}


def _stopped(file: Path, whole: str) -> str:
    """How far it came: what the file holds, and of how many points that is a part."""
    from cimlab import records

    with records.load(file) as run:
        return f"stopped after {run.rows('points'):,}{whole} points; {file} holds them"


def _update(file: Path, result: ScreenResult) -> dict[str, Any]:
    """Put what screening found into the array's health file."""
    from cimlab.core.health import Health
    from cimlab.records import health

    known = health.update(file, result.health)
    return {"path": str(file), **{state.name.lower(): known.count(state) for state in Health}}


def _tell_outlook(
    procedure: Procedure, plan: CellPlan, array: StationArray, expected: Outlook
) -> None:
    from cimlab.records.units import quantity

    stress = expected.stress
    data = {
        "procedure": procedure.name,
        "cells": expected.cells,
        "points": expected.points,
        "pulses_a_cell": stress.pulses,
        "v_max": stress.v_max,
        "v_min": stress.v_min,
        "v_read": plan.v_read,
        "seconds": expected.seconds,
        "plan": plan.model_dump(mode="json"),
        "identity": array.spec.identity,
        "origin": array.spec.origin,
    }
    pulses = (
        f"at most {stress.pulses:,} a cell, {stress.v_min:g} to {stress.v_max:g} V"
        if stress.pulses
        else "none, cells are only read"
    )
    console.result(
        data,
        f"{procedure.title} of {_cells(expected.cells)} of {array.spec.identity} "
        f"({array.spec.origin}); nothing was applied\n"
        f"points      about {expected.points:,}\n"
        f"pulses      {pulses}\n"
        f"reads       at {plan.v_read:g} V\n"
        f"time        {quantity(expected.seconds, 's')} of pulses and waits, "
        "and what the hardware takes to read",
    )


def _report(data: Mapping[str, Any]) -> str:
    """The result for people."""
    figures = {key: value for key, value in data["summary"].items() if key != "cells"}
    lines = [
        f"{data['procedure']} of {_cells(data['cells'])} of {data['identity']} ({data['origin']})",
        *(f"{key.ljust(20)}  {value}" for key, value in map(_figure, figures.items())),
        f"{'points'.ljust(20)}  {data['points']:,} in {data['seconds']:.3g} s",
        f"{'run file'.ljust(20)}  {data['run_file']}",
    ]
    return "\n".join(lines)


def _cells(count: int) -> str:
    return f"{count:,} cell{'' if count == 1 else 's'}"


def _figure(item: tuple[str, Any]) -> tuple[str, str]:
    """A figure of the summary: its words, and its value with the unit that ends its key."""
    from cimlab.records.units import quantity

    key, value = item
    words, _, unit = key.rpartition("_")
    if unit in _UNITS:
        return words.replace("_", " "), quantity(value, unit)
    if isinstance(value, float):
        value = f"{value:.4g}"
    return key.replace("_", " "), f"{value:,}" if isinstance(value, int) else value
