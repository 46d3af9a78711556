"""`cimlab demo`: the paper's LeNet, trained over the link in a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import files
from .console import console, log
from .options import Json

_INTRODUCTION = """\
Training the paper's LeNet on MNIST, 3 epochs of 400 batches. Every forward VMM runs on an emulated
memristor chip of 8 tiles, in a process of its own behind the board's byte link (TCP); weights
change by programming pulses with verification."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run file and its figures.")] = Path(
        "runs"
    ),
    json_: Json = False,
) -> None:
    """Train LeNet for 3 epochs on an emulated board over TCP; draw its curves and maps."""
    from cimlab import records

    from . import runs, train, training

    log.info(_INTRODUCTION)
    file = out / files.run_file("demo").name
    data = training.start_run(
        training.recipe({"epochs": 3, "threshold": 0.15}, "tuned"), "mock:", file
    )
    with records.load(file) as run:
        data["figures"] = runs.draw(run, out)
    curves, maps = data["figures"]
    console.result(
        data,
        f"\n{train.summary(data)}\ncurves     {curves}\nmaps       {maps}\n\n"
        "Next: cimlab train lenet (the paper's 13 epochs), or cimlab --help.",
    )
