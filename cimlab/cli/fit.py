"""`cimlab fit`: from recorded sweeps to a device file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.fit.fitting import Fit

AUTO = "auto"


def fit(
    runs: Annotated[list[Path], typer.Argument(help="Run files of `cimlab sweep`, as measured.")],
    model: Annotated[
        str,
        typer.Option(help="softbounds, exponential, brram, pcm, replay; auto: smallest AIC."),
    ] = AUTO,
    out: Annotated[Path, typer.Option("--out", "-o", help="Device file to write (TOML).")] = Path(
        "device.toml"
    ),
    report: Annotated[
        Path | None,
        typer.Option(help="Figure to draw (PNG or PDF): curves, residuals, parameters."),
    ] = None,
    json_: Json = False,
) -> None:
    """Fit a device model to sweeps: parameters with standard errors, and how well it suits."""
    from cimlab.fit.fitting import choose
    from cimlab.fit.fitting import fit as fit_model
    from cimlab.fit.histories import Table
    from cimlab.mock_hw.devices import write_device

    tables = [Table.of_run(run) for run in runs]
    compared: dict[str, Fit] = {}
    failures: dict[str, str] = {}
    if model == AUTO:
        model, compared, failures = choose(tables)
        found = compared[model]
    else:
        found = fit_model(tables, model)
    told = {name: error for name, error in found.errors.items() if error is not None}
    write_device(out, found.model, told, _notes(found, runs))
    if report is not None:
        from cimlab.fit.report import draw

        draw(found, report)
    data = {
        "model": model,
        "device_file": str(out),
        "report": None if report is None else str(report),
        "runs": [str(run) for run in runs],
        "parameters": {
            name: {"value": value, "standard_error": found.errors[name]}
            for name, value in found.values.items()
        },
        "unidentified": found.unidentified,
        "cells": found.cells,
        "stuck": list(found.stuck),
        "readings": found.readings,
        "saturated": found.saturated,
        "log_likelihood": found.log_likelihood,
        "aic": found.aic,
        "converged": found.converged,
        "goodness": dict(found.goodness),
        "compared": {name: other.aic for name, other in compared.items()},
        "not_fitted": failures,
    }
    console.result(data, _text(data))


def _notes(found: Fit, runs: list[Path]) -> dict[str, Any]:
    """What the device file says of the fit."""
    notes: dict[str, Any] = {
        "runs": [run.name for run in runs],
        "cells": found.cells,
        "stuck_cells": len(found.stuck),
        "readings": found.readings,
        "saturated": found.saturated,
        "unidentified": found.unidentified,
        **found.goodness,
    }
    if found.aic is not None:
        notes["aic"] = found.aic
    return notes


def _text(data: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{data['model']}: {data['readings']:,} readings of {data['cells']:,} cell"
        + "s" * (data["cells"] != 1)
        + (f", {len(data['stuck'])} stuck cells left out" if data["stuck"] else "")
        + (f", {data['saturated']:,} saturated readings left out" if data["saturated"] else "")
    ]
    for name, parameter in data["parameters"].items():
        value, error = parameter["value"], parameter["standard_error"]
        said = f"+- {error:.2g}" if error is not None else "default, no run tells it"
        lines.append(f"{name:18}{value:12.5g}  {said}")
    lines += [f"{name:18}{value:12.4g}" for name, value in data["goodness"].items()]
    for name, aic in sorted(data["compared"].items(), key=lambda pair: pair[1]):
        lines.append(f"AIC {name:14}{aic:12.1f}")
    lines += [f"{name}: not fitted: {why}" for name, why in data["not_fitted"].items()]
    if not data["converged"]:
        lines.append("the maximum of the likelihood was not reached: treat errors with care")
    lines.append(f"device file       {data['device_file']}")
    return "\n".join(lines)
