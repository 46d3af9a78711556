"""`cimlab train`: networks with their forward VMMs on the array."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cimlab.core.errors import ConfigError

from . import files
from .console import console
from .options import Json, Out


def lenet(
    context: typer.Context,
    station: Annotated[
        str | None,
        typer.Option(
            help="A station file (TOML), or model:, mock:, tcp://host:port, serial://port "
            "[default: mock:, or the resumed run's]."
        ),
    ] = None,
    recipe: Annotated[
        Literal["paper", "tuned"],
        typer.Option(
            help="What the other options change: the paper's recipe, or policies that come near "
            "to FP32 with fewer writes."
        ),
    ] = "paper",
    mode: Annotated[
        Literal["mixed", "naive", "fp32"] | None,
        typer.Option(help="mixed precision; every update at once; or no array [default: mixed]."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of initial parameters and batches [default: 0].")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs [default: 13].")] = None,
    batches: Annotated[
        int | None, typer.Option(help="Random batches an epoch [default: 400].")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate of AdamW [default: 0.004].")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Weights on chip step by lr * rate of their range [default: 3]."),
    ] = None,
    schedule: Annotated[
        Literal["constant", "cosine"] | None,
        typer.Option(help="Of the learning rate over the run [default: constant]."),
    ] = None,
    on_chip: Annotated[
        str | None, typer.Option(help="Layers on the array, of conv1,conv2,fc [default: all].")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least change worth a write, share of the range [default: 1/3]."),
    ] = None,
    remainder: Annotated[
        Literal["keep", "discard"] | None,
        typer.Option(help="Of an accumulator after a write [default: discard]."),
    ] = None,
    master: Annotated[
        Literal["ideal", "readback"] | None,
        typer.Option(help="W_FP after a write: as wanted, or as read [default: readback]."),
    ] = None,
    program: Annotated[
        Literal["write-verify", "ispp", "blind"] | None,
        typer.Option(help="How cells are written [default: write-verify]."),
    ] = None,
    averages: Annotated[
        int | None, typer.Option(help="Conversions averaged in reads for W_FP [default: 16].")
    ] = None,
    repeats: Annotated[
        str | None,
        typer.Option(help="Products averaged, such as conv1=4,fc=2 [default: 1 each]."),
    ] = None,
    headroom: Annotated[
        float | None,
        typer.Option(help="Weight range over the largest initial weight [default: 3]."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="A run to compare with, such as one of --mode fp32: kept in the file."),
    ] = None,
    health: Annotated[
        Path | None,
        typer.Option(help="Health file (sweep screen --health): its bad cells are avoided."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue the run of this file, as it was planned.")
    ] = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Train the paper's LeNet on MNIST; the defaults stated are those of the paper's recipe."""
    from . import training

    elsewhere = ("station", "recipe", "baseline", "health", "resume", "out", "json_")
    given = {k: v for k, v in context.params.items() if v is not None and k not in elsewhere}
    if resume is not None:
        if given or out or baseline or health or recipe != "paper":
            extra = ", ".join(given or ["out, baseline, health or recipe"])
            raise ConfigError(f"--resume continues a run as it was planned; leave out: {extra}")
        data = training.resume_run(resume, station)
    else:
        if on_chip is not None:
            given["on_chip"] = on_chip.split(",")
        if repeats is not None:
            given["repeats"] = dict(part.partition("=")[::2] for part in repeats.split(","))
        data = training.start_run(
            training.recipe(given, recipe),
            station or "mock:",
            out or files.run_file("train"),
            baseline,
            health,
        )
    console.result(data, summary(data))


def summary(data: dict[str, Any]) -> str:
    """A training's result for people."""
    link = data["link"]
    lines = [
        f"accuracy   {100 * data['test_accuracy']:.2f} % on 10,000 test images "
        f"(best epoch {100 * data['test_accuracy_best']:.2f} %)",
        f"writes     {data['updates_per_weight']:.2f} a weight",
        f"time       {sum(epoch['seconds'] for epoch in data['epochs']):.1f} s "
        f"for {len(data['epochs'])} epochs",
    ]
    if link:
        lines.append(
            f"link       {link['frames']:,} frames, {link['bytes_out'] / 1e6:.1f} MB out, "
            f"{link['bytes_in'] / 1e6:.1f} MB in, {link['retries']} retries"
        )
    return "\n".join([*lines, f"run file   {data['run_file']}"])
