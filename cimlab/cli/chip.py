"""`cimlab info`, `cimlab read` and `cimlab program`: an array without a network."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cimlab.core.errors import ConfigError

from . import files
from .console import console, log
from .options import Json, Out, Seed, Station

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cimlab.core.array import CimArray, Reading
    from cimlab.protocols.program import ProgramResult
    from cimlab.protocols.ramps import RampPlan
    from cimlab.records import RunWriter
    from cimlab.rig import StationArray


class Protocol(StrEnum):
    """Programming protocols."""

    WRITE_VERIFY = "write-verify"
    ISPP = "ispp"


class Place(StrEnum):
    """Where a programming loop runs."""

    AUTO = "auto"
    HOST = "host"


def info(station: Station = "mock:", json_: Json = False) -> None:
    """Say what the array is: size, converters, limits, capabilities, identity."""
    from cimlab.rig import open_array

    with open_array(station) as array:
        spec, settings = array.spec, array.converters
    data = asdict(spec) | {
        "capabilities": sorted(spec.capabilities),
        "converters": asdict(settings),
        "station": array.station.text,
    }
    limits = spec.limits
    console.result(
        data,
        f"identity      {spec.identity} ({spec.origin})\n"
        f"size          {spec.tiles} tile{'s' * (spec.tiles != 1)} "
        f"of {spec.rows} x {spec.cols} cells\n"
        f"converters    DAC {spec.dac_bits} bit, ADC {spec.adc_bits} bit, {spec.vmm} VMM\n"
        f"settings      read {settings.v_read:g} V, gate {settings.v_gate:g} V, "
        f"cells {settings.i_read * 1e6:g} uA, VMM {max(settings.i_vmm) * 1e6:g} uA\n"
        f"limits        SET {limits.v_set:g} V, RESET {limits.v_reset:g} V, read "
        f"{limits.v_read:g} V, width {limits.width_min:g} to {limits.width_max:g} s\n"
        f"capabilities  {', '.join(sorted(spec.capabilities)) or 'none'}",
    )


def read(
    station: Station = "mock:",
    v: Annotated[float, typer.Option(help="Read voltage, V.")] = 0.1,
    averages: Annotated[int, typer.Option(help="Conversions averaged a cell.", min=1)] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the map as .csv, .npy (S) or .png.")
    ] = None,
    json_: Json = False,
) -> None:
    """Read every cell and summarise the conductances, tile by tile."""
    if out is not None:
        files.check_map_file(out)
    from cimlab.rig import open_array

    with open_array(station) as array:
        reading = array.read(v, averages=averages)
        spec = array.spec
    if out is not None:
        files.write_map(out, reading, spec)
    tiles = _summaries(reading)
    data = {
        "identity": spec.identity,
        "origin": spec.origin,
        "v_read": reading.v,
        "averages": averages,
        "tiles": tiles,
        "file": None if out is None else str(out),
    }
    lines = [f"{spec.identity} ({spec.origin}), read at {reading.v:.3g} V, conductances in uS"]
    lines += ["tile     min  median    mean     max  saturated"]
    lines += [
        f"{t['tile']:4d}  "
        + "".join(f"{1e6 * t[key]:6.2f}  " for key in ("min", "median", "mean", "max"))
        + f"{t['saturated']:9d}"
        for t in tiles
    ]
    console.result(data, "\n".join(lines if out is None else [*lines, f"written to {out}"]))


def _summaries(reading: Reading) -> list[dict[str, Any]]:
    import numpy as np

    return [
        {
            "tile": tile,
            # a cell on a line that is marked bad is NaN
            "min": float(np.nanmin(g)),
            "median": float(np.nanmedian(g)),
            "mean": float(np.nanmean(g)),
            "max": float(np.nanmax(g)),
            "saturated": int(saturated.sum()),
        }
        for tile, (g, saturated) in enumerate(zip(reading.g, reading.saturated, strict=True))
    ]


def program(
    station: Station = "mock:",
    protocol: Annotated[Protocol, typer.Option(help="How.")] = Protocol.WRITE_VERIFY,
    pattern: Annotated[
        str, typer.Option(help="random, gradient, checkerboard, or a .npy of targets in S.")
    ] = "random",
    levels: Annotated[int, typer.Option(help="Levels of the pattern.", min=2)] = 16,
    low: Annotated[float, typer.Option(help="Lowest level, A at the read voltage.")] = 0.82e-6,
    high: Annotated[float, typer.Option(help="Highest level, A at the read voltage.")] = 3.29e-6,
    tol: Annotated[
        float | None, typer.Option(help="Acceptance band +-tol, A [default: the protocol's].")
    ] = None,
    tiles: Annotated[str, typer.Option(help="Tiles, such as 0,2; all when left out.")] = "",
    place: Annotated[Place, typer.Option(help="Run the loop beside the chip if it can.")] = (
        Place.AUTO
    ),
    seed: Seed = 0,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Program a pattern of levels with verification; report the share in the band and the error."""
    from cimlab.records import Header, RunWriter
    from cimlab.rig import open_array

    from . import patterns

    plan = _plan(protocol, tol, place)
    levels_ = patterns.Levels(levels, low, high)
    file = out or files.run_file("program")
    with open_array(station) as array:
        plan.check(array.spec)
        cells, target = patterns.targets(pattern, levels_, array.spec, tiles, seed, plan.v_read)
        header = Header(
            kind="program",
            spec=array.spec,
            station=files.station_facts(array.station),
            plan={"protocol": plan.job, **plan.model_dump(), "pattern": pattern, "tiles": tiles},
            seeds={"pattern": seed},
        )
        with RunWriter.create(file, header) as run:
            start = _requests(array)
            result = _run_plan(array, plan, cells, target)
            transactions = _requests(array) - start
            # read anew: a verify read that was accepted flatters its cell
            after = array.read(plan.v_read, averages=16)
            _record(run, array, plan, result, after)
    _report(result, after, transactions, file)


def _plan(protocol: Protocol, tol: float | None, place: Place) -> RampPlan:
    from pydantic import ValidationError

    from cimlab.protocols.ispp import Ispp
    from cimlab.protocols.write_verify import WriteVerify

    kind: type[RampPlan] = WriteVerify if protocol is Protocol.WRITE_VERIFY else Ispp
    given: dict[str, Any] = {"on_board": "auto" if place is Place.AUTO else "never"}
    if tol is not None:
        given["tol"] = tol
    try:
        return kind(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{protocol}: {wrong}") from error


def _requests(array: StationArray) -> int:
    return array.link.requests if array.link else 0


def _run_plan(
    array: CimArray, plan: RampPlan, cells: NDArray[np.int64], target: NDArray[np.float64]
) -> ProgramResult:
    from cimlab.protocols.program import program_steps

    steps = program_steps(array, plan, cells, target)
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            result: ProgramResult = stop.value
            return result
        log.debug("round %d: %d cells, %d done", event.index, len(event.cells), event.hit.sum())


def _record(
    run: RunWriter, array: StationArray, plan: RampPlan, result: ProgramResult, after: Reading
) -> None:
    import numpy as np

    spec = array.spec

    def spread(values: NDArray[Any], fill: float) -> NDArray[Any]:
        full = np.full(spec.size, fill, values.dtype)
        full[result.cells] = values
        return full.reshape(spec.shape)

    run.append(
        "programming",
        v_read=plan.v_read,
        rounds=result.rounds,
        target=spread(result.target, np.nan),
        current=spread(result.current, np.nan),
        pulses=spread(result.pulses, 0),
        converged=spread(result.converged, False),
    )
    run.append(
        "maps",
        step=0,
        v_read=after.v,
        current=after.current,
        pulses=array.ledger.pulses,
        reads=array.ledger.reads,
    )


def _report(result: ProgramResult, after: Reading, transactions: int, file: Path) -> None:
    import numpy as np

    error = after.current.reshape(-1)[result.cells] - result.target
    data: dict[str, Any] = {
        "cells": len(result.cells),
        "in_band": float(result.converged.mean()),
        "pulses_mean": float(result.pulses.mean()),
        "pulses_total": int(result.pulses.sum()),
        "rounds": result.rounds,
        "place": result.place,
        "error_mean_A": float(error.mean()),
        "error_rms_A": float(np.sqrt(np.mean(error**2))),
        "transactions": transactions,
        "run_file": str(file),
    }
    console.result(
        data,
        f"{data['cells']:,} cells programmed on the {data['place']} in {data['rounds']} rounds\n"
        f"in band      {100 * data['in_band']:.2f} %\n"
        f"pulses       {data['pulses_mean']:.2f} a cell\n"
        + (f"link         {transactions} requests\n" if transactions else "")
        + f"error        mean {1e6 * data['error_mean_A']:+.3f} uA, "
        f"RMS {1e6 * data['error_rms_A']:.3f} uA (read anew, 16 averages)\n"
        f"run file     {file}",
    )
