"""`cimlab train`: networks with their forward VMMs on the array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cimlab.core.errors import ConfigError

from . import files
from .console import console
from .options import Json, Out

if TYPE_CHECKING:
    from cimlab.core.station import Station
    from cimlab.training.recipe import Recipe

_ELSEWHERE = (
    "station",
    "recipe",
    "hardware",
    "baseline",
    "health",
    "resume",
    "out",
    "json_",
)
"""Options that change no setting of the plan."""


def command(network: str, made_for: str) -> Callable[..., None]:
    """The command that trains a network; made_for: what its help says of it."""

    def train(
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
                help="What the other options change: the paper's recipe, or policies that come "
                "near to FP32 with fewer writes."
            ),
        ] = "paper",
        hardware: Annotated[
            str | None,
            typer.Option(
                help="A hardware file (TOML), or table1: PAPER 4's simulated cells and converters."
            ),
        ] = None,
        data: Annotated[
            Literal["mnist", "cifar10"] | None,
            typer.Option(help="Data set [default: what the network was made for]."),
        ] = None,
        mode: Annotated[
            Literal["mixed", "naive", "fp32", "qat"] | None,
            typer.Option(
                help="mixed precision; every update at once; no array; or no array but "
                "quantisation-aware [default: mixed]."
            ),
        ] = None,
        policy: Annotated[
            Literal[
                "threshold",
                "nandakumar",
                "hic",
                "stellar",
                "madam",
                "neurram",
                "pim-qat",
                "pcm",
                "late",
            ]
            | None,
            typer.Option(
                help="What turns gradients into pulses, with its own defaults: the paper's "
                "threshold, or a neighbour's scheme (docs/neighbours.md) [default: threshold]."
            ),
        ] = None,
        seed: Annotated[
            int | None, typer.Option(help="Of initial parameters and batches [default: 0].")
        ] = None,
        epochs: Annotated[int | None, typer.Option(help="Epochs [default: 13].")] = None,
        batches: Annotated[
            int | None, typer.Option(help="Random batches an epoch [default: 400].")
        ] = None,
        batch_size: Annotated[
            int | None, typer.Option(help="Images a batch [default: 64].")
        ] = None,
        lr: Annotated[
            float | None, typer.Option(help="Learning rate of AdamW [default: 0.004].")
        ] = None,
        rate: Annotated[
            float | None,
            typer.Option(help="Weights on chip step by lr * rate of their range [default: 3]."),
        ] = None,
        schedule: Annotated[
            Literal["constant", "cosine", "onecycle", "plateau"] | None,
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
        backward: Annotated[
            Literal["host", "array"] | None,
            typer.Option(
                help="Errors go back digitally, or by transposed products [default: host]."
            ),
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
        crest: Annotated[
            float | None,
            typer.Option(
                help="While training, clip inputs of layers at so many of their root mean squares "
                "[default: never; large networks 3]."
            ),
        ] = None,
        stagger: Annotated[
            bool | None,
            typer.Option(
                help="Let accumulators start anywhere between the thresholds [default: at zero; "
                "large networks anywhere]."
            ),
        ] = None,
        baseline: Annotated[
            Path | None,
            typer.Option(
                help="A run to compare with, such as one of --mode fp32: kept in the file."
            ),
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
        if resume is not None:
            given = _settings(context.params)
            if given or out or baseline or health or hardware or recipe != "paper":
                extra = ", ".join(given or ["out, baseline, health, hardware or recipe"])
                raise ConfigError(f"--resume continues a run as it was planned; leave out: {extra}")
            result = _resume(resume, station)
        else:
            plan, place = planned(network, context.params)
            result = _start(plan, place, out or files.run_file("train"), baseline, health)
        console.result(result, summary(result))

    train.__doc__ = made_for
    return train


def _resume(file: Path, station: str | None) -> dict[str, Any]:
    from . import training

    return training.resume_run(file, station)


def _start(
    plan: Recipe, place: Station | str, out: Path, baseline: Path | None, health: Path | None
) -> dict[str, Any]:
    from . import training

    return training.start_run(plan, place, out, baseline, health)


def planned(network: str, options: Mapping[str, Any]) -> tuple[Recipe, Station | str]:
    """The plan and the station that options of this command ask for."""
    from cimlab.training.hardware import load_hardware

    from . import training

    station, hardware = options["station"], options["hardware"]
    known = load_hardware(hardware) if hardware else None
    settings = (known.recipe if known else {}) | _settings(options) | {"network": network}
    plan = training.recipe(settings, options["recipe"])
    if known is None:
        return plan, station or "mock:"
    if station is not None:
        raise ConfigError("--hardware names a station of its own; leave out --station")
    return plan, known.station(training.tiles(plan, known))


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options change of the plan."""
    given = {k: v for k, v in options.items() if v is not None and k not in _ELSEWHERE}
    if "on_chip" in given:
        given["on_chip"] = given["on_chip"].split(",")
    if "repeats" in given:
        pairs = given["repeats"].split(",")
        given["repeats"] = dict(part.partition("=")[::2] for part in pairs)
    return given


lenet = command(
    "lenet",
    "Train the paper's LeNet on MNIST; the defaults stated are those of the paper's recipe.",
)
vgg8 = command("vgg8", "Train VGG-8 on CIFAR-10; see docs/large-nets.md for its defaults.")
resnet18 = command("resnet18", "Train ResNet-18 on CIFAR-10; see docs/large-nets.md.")


def summary(data: dict[str, Any]) -> str:
    """A training's result for people."""
    link = data["link"]
    lines = [
        f"accuracy   {100 * data['test_accuracy']:.2f} % on the test images "
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
