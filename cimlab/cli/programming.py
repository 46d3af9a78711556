"""`cimlab compare-programming`: every policy on the same devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cimlab.core.errors import ConfigError

from .console import console, share_bar
from .options import Json, Seed, Station
from .selection import addresses
from .sweep import Cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cimlab.core.array import Addresses
    from cimlab.mock_hw.devices import DeviceModel
    from cimlab.protocols.comparison import Outcome
    from cimlab.protocols.verified import VerifyPlan
    from cimlab.rig import StationArray

V_READ = 0.1
SWEPT = 32
"""Cells that are characterised where no device file is given."""
WINDOW = (0.11, 0.76)
"""Lowest and highest level in a device's window: the paper's 0.82 and 3.29 uA for its device."""
CLIPS = 0.9
"""Of the converter's full scale: levels above are not asked for."""
REST = 3600.0
COLUMNS = (
    ("in band %", "converged", 100.0, ".2f"),
    ("pulses", "pulses", 1.0, ".2f"),
    ("worst", "pulses_worst", 1.0, ".0f"),
    ("reads", "reads", 1.0, ".2f"),
    ("calls", "transactions", 1.0, ".0f"),
    ("time us", "stress_s", 1e6, ".2f"),
    ("energy pJ", "energy_J", 1e12, ".0f"),
    ("error uA", "error_rms_A", 1e6, ".4f"),
    ("rested uA", "rested_rms_A", 1e6, ".4f"),
)


def compare_programming(
    station: Station = "model:",
    device: Annotated[
        str | None,
        typer.Option(
            help="Device file of `cimlab fit`, or a model's name, for the predicted pulses "
            f"[default: {SWEPT} cells are swept and fitted first]."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model to fit without --device; auto: smallest AIC, which is slow.")
    ] = "brram",
    policies: Annotated[str, typer.Option(help="Such as ispp,predicted [default: all].")] = "",
    cells: Cells = ["all"],  # noqa: B006 - as typer has lists
    tol: Annotated[
        float, typer.Option(help="Accepted deviation of all, A at 0.1 V.", min=1e-12)
    ] = 0.1e-6,
    averages: Annotated[int, typer.Option(help="Conversions of a verify read.", min=1)] = 16,
    width: Annotated[float, typer.Option(help="Pulse width, s.", min=1e-9)] = 1e-6,
    v_step: Annotated[
        float | None,
        typer.Option(help="Step of all ramps, V [default: each protocol's own].", min=1e-3),
    ] = None,
    levels: Annotated[int, typer.Option(help="Levels, equally spaced.", min=2)] = 16,
    low: Annotated[
        float | None, typer.Option(help="Lowest level, A [default: 11 % of the window].")
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="Highest level, A [default: 76 % of the window].")
    ] = None,
    rest: Annotated[
        float | None,
        typer.Option(
            help="Errors again after so many s [default: an hour if time is virtual].", min=0
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Figure to draw (.pdf, .svg, .png).")
    ] = None,
    json_: Json = False,
) -> None:
    """Program the same cells to the same levels with every policy; say what each took.

    Before each, every cell is brought to a random other level: weights are rewritten, not written.
    """
    from pydantic import ValidationError

    from cimlab.fit.response import response
    from cimlab.mock_hw.devices import device as named
    from cimlab.protocols.policies import policies as all_policies
    from cimlab.protocols.policies import stops
    from cimlab.report.style import check_format
    from cimlab.rig import open_array

    if out is not None:
        check_format(out)
    with open_array(station) as array:
        chosen = _usable(addresses(cells, array.spec), array)
        found = named(device) if device else _fitted(array, chosen, model, width)
        limits, v_rest = array.spec.limits, _rest(rest, array)
        currents = _levels(found, (low, high), levels, array.converters.i_read)
        facts = {
            "identity": array.spec.identity,
            "origin": array.spec.origin,
            "station": array.station.text,
        }
    predicting = response(found, width, **stops(limits))
    try:
        plans = all_policies(predicting, limits, tol, averages, v_step)
    except ValidationError as error:
        wrong = "; ".join(e["msg"] for e in error.errors())
        raise ConfigError(f"the station's limits leave a policy no room: {wrong}") from error
    wanted = [name for name in policies.split(",") if name] or list(plans)
    if unknown := [name for name in wanted if name not in plans]:
        raise ConfigError(f"no policy {', '.join(unknown)}; there are {', '.join(plans)}")
    outcomes: dict[str, Outcome] = {}
    with share_bar("policies") as bar:
        for k, name in enumerate(wanted):
            bar(k / len(wanted), name)
            with open_array(station) as array:
                outcomes[name] = _run(array, plans, name, chosen, currents, seed, v_rest)
    summaries = {name: outcome.summary() for name, outcome in outcomes.items()}
    data = facts | {
        "cells": int(chosen.size),
        "device": device or "fitted",
        "model": found.name,
        "tol_A": tol,
        "levels": levels,
        "low_A": currents[0],
        "high_A": currents[-1],
        "averages": averages,
        "width_s": width,
        "rest_s": v_rest,
        "policies": summaries,
        "figure": None if out is None else str(out),
    }
    if out is not None:
        _draw(out, data, outcomes)
    console.result(data, _text(data))


def _usable(chosen: Addresses, array: StationArray) -> Addresses:
    """Those of the cells that the station's health file knows no ill of."""
    good = chosen if array.usable is None else chosen[array.usable.ravel()[chosen]]
    if not good.size:
        raise ConfigError("there is no cell to program: the health file marks all of them bad")
    return good


def _rest(given: float | None, array: StationArray) -> float:
    """An hour costs nothing where the clock is virtual."""
    if given is None:
        return REST if "rest" in array.spec.capabilities else 0.0
    return given


def _fitted(array: StationArray, cells: Addresses, model: str, width: float) -> DeviceModel:
    """A device fitted to sweeps of some of the cells."""
    import numpy as np

    from cimlab.fit.fitting import choose, fit
    from cimlab.fit.recipe import characterise
    from cimlab.protocols import finish
    from cimlab.protocols.policies import stops

    some = np.unique(cells[np.linspace(0, cells.size - 1, SWEPT).astype(np.int64)])
    most = min(stops(array.spec.limits).values())
    tables = finish(characterise(array, some, most, width, V_READ))
    if model == "auto":
        best, fits, _ = choose(tables)
        found: DeviceModel = fits[best].model
    else:
        found = fit(tables, model).model
    return found


def _levels(
    device: DeviceModel, ends: tuple[float | None, float | None], count: int, full_scale: float
) -> NDArray[np.float64]:
    """Target currents, A at 0.1 V."""
    import numpy as np

    window = [V_READ * (device.g_min + x * (device.g_max - device.g_min)) for x in WINDOW]
    low = window[0] if ends[0] is None else ends[0]
    high = min(window[1], CLIPS * full_scale) if ends[1] is None else ends[1]
    if not 0 < low < high:
        raise ConfigError(f"levels need 0 < low < high, not {low:g} and {high:g} A")
    return np.linspace(low, high, count)


def _run(
    array: StationArray,
    plans: dict[str, VerifyPlan],
    name: str,
    cells: Addresses,
    currents: NDArray[np.float64],
    seed: int,
    rest: float,
) -> Outcome:
    """One policy, from cells at random levels to other ones; the same of both for every policy."""
    import numpy as np

    from cimlab.protocols import finish, program
    from cimlab.protocols.comparison import outcome

    rng = np.random.default_rng(seed)
    before, target = rng.choice(currents, (2, cells.size))
    program(array, plans["predicted"], cells, before)
    return finish(outcome(array, plans[name], cells, target, rest))


def _draw(file: Path, data: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
    from cimlab.report.programming import draw
    from cimlab.report.style import printed

    words = (
        f"{data['origin']} data of {data['identity']}; n = {data['cells']:,} cells, "
        f"{data['levels']} levels {1e6 * data['low_A']:.2f} to {1e6 * data['high_A']:.2f} "
        f"\N{MICRO SIGN}A at {V_READ} V, band \N{PLUS-MINUS SIGN}{1e6 * data['tol_A']:.3g} "
        f"\N{MICRO SIGN}A, verify reads of {data['averages']} conversions"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure = draw(data["policies"], outcomes, words, data["rest_s"])
    with printed():
        figure.savefig(file)


def _text(data: dict[str, Any]) -> str:
    """The table for people."""
    policies = data["policies"]
    wide = max(map(len, policies))
    head = " ".join(f"{title:>9}" for title, *_ in COLUMNS)
    lines = [
        f"{data['cells']:,} cells of {data['identity']} ({data['origin']}), {data['levels']} "
        f"levels {1e6 * data['low_A']:.2f} to {1e6 * data['high_A']:.2f} uA, band "
        f"+-{1e6 * data['tol_A']:.3g} uA; a cell:",
        f"{'':{wide}} {head}",
    ]
    for name, figures in policies.items():
        shown = (
            f"{factor * figures[key]:9{form}}" if key in figures else f"{'-':>9}"
            for _, key, factor, form in COLUMNS
        )
        lines.append(f"{name:{wide}} {' '.join(shown)}")
    if {"ispp", "predicted"} <= set(policies):
        share = policies["predicted"]["pulses"] / policies["ispp"]["pulses"]
        lines.append(f"predicted pulses take {100 * share:.0f} % of ISPP's")
    if data["rest_s"]:
        lines.append(f"rested: after {data['rest_s']:g} s")
    if data["figure"]:
        lines.append(f"figure: {data['figure']}")
    return "\n".join(lines)
