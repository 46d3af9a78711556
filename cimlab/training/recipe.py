"""How to train: a plan, as data. The defaults are the paper's recipe (PAPER 3).

The paper does not say in which units its learning rate of 0.004 moves the weights. Here a weight
on chip moves by `lr * rate` of its layer's range where Adam steps fully: with rate 3 a weight
crosses the threshold of a third of the range in 28 such steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from cimlab.nn import DeviceWindow
from cimlab.protocols import Blind, Ispp, Plan, RampPlan, WriteVerify

RISE, LOWEST = 0.3, 0.04
"""One cycle: share of the run in which the learning rate rises, and where it begins."""
PATIENCE = 5
DIGITAL = ("fp32", "qat")
"""Modes without an array."""


class Recipe(Plan):
    """Settings of a training run."""

    network: str = Field(default="lenet", description="of cimlab.training.networks")
    data: Literal["mnist", "cifar10"] = Field(default="mnist", description="data set")
    augment: bool = Field(
        default=False, description="training images shifted by up to 4 pixels, half mirrored"
    )
    mode: Literal["mixed", "naive", "fp32", "qat"] = Field(
        default="mixed",
        description="mixed: accumulate, write what passes the threshold; naive: write every update "
        "at once; fp32: no array, the same network on the same batches; qat: no array, weights "
        "rounded to the cells' levels in forward passes",
    )
    policy: Literal[
        "threshold", "nandakumar", "hic", "stellar", "madam", "neurram", "pim-qat", "pcm", "late"
    ] = Field(
        default="threshold",
        description="what turns gradients into pulses: the paper's threshold, or a neighbour's "
        "scheme (cimlab.training.policies)",
    )
    seed: int = Field(default=0, ge=0, description="of initial parameters and batches")
    epochs: int = Field(default=13, ge=1, description="epochs")
    batches: int = Field(default=400, ge=1, description="random batches an epoch")
    batch_size: int = Field(default=64, ge=1, description="images a batch")
    lr: float = Field(default=0.004, gt=0, description="learning rate of AdamW")
    rate: float = Field(
        default=3.0,
        gt=0,
        description="how fast weights on chip learn: they step by lr * rate of their layer's range",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of AdamW")
    schedule: Literal["constant", "cosine", "onecycle", "plateau"] = Field(
        default="constant",
        description="of the learning rate over the run; onecycle rises for 30 % of it and falls as "
        "a cosine; plateau halves it after 5 epochs whose loss is no new best",
    )
    on_chip: tuple[str, ...] | None = Field(
        default=None, description="layers on the array; None for all"
    )
    threshold: float = Field(
        default=1 / 3,
        gt=0,
        description="least change worth a write, as a share of the weight range",
    )
    remainder: Literal["keep", "discard"] = Field(
        default="discard",
        description="keep: write whole multiples of the threshold, and carry over the rest and "
        "what the write missed; discard: write all of the change, start again from zero",
    )
    stagger: bool = Field(
        default=False,
        description="accumulators start anywhere between the thresholds, so that weights do not "
        "pass it in step",
    )
    master: Literal["ideal", "readback"] = Field(
        default="readback",
        description="W_FP after a write: what was wanted (the paper's text), or what a read finds "
        "(its figure 4a)",
    )
    backward: Literal["host", "array"] = Field(
        default="host",
        description="where errors are propagated: digitally from W_FP, or by transposed products",
    )
    program: Literal["write-verify", "ispp", "blind"] = Field(
        default="write-verify", description="how cells are written"
    )
    tolerance: float | None = Field(
        default=None,
        gt=0,
        description="accepted deviation of a verified cell, A at v_read; None for the plan's own",
    )
    averages: int = Field(
        default=16, ge=1, description="conversions averaged when cells are read for W_FP"
    )
    repeats: dict[str, int] = Field(
        default_factory=dict,
        description="products of the same inputs that a layer averages, by its name; else 1",
    )
    low: float = Field(default=0.82e-6, gt=0, description="least current of a cell, A at v_read")
    high: float = Field(default=3.29e-6, gt=0, description="largest current of a cell, A at v_read")
    levels: int = Field(default=16, ge=2, description="of a cell, in mode qat")
    ranges: Literal["fit", "station"] = Field(
        default="fit",
        description="ADC ranges of products: fitted to each tile's currents, or what the station "
        "sets",
    )
    headroom: float = Field(
        default=3.0, ge=1, description="weight range over the largest initial weight of a layer"
    )
    crest: float | None = Field(
        default=None,
        gt=0,
        description="while training, inputs of layers on chip are clipped at so many of their root "
        "mean squares; None for never",
    )

    @model_validator(mode="after")
    def _window_open(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self

    @classmethod
    def tuned(cls, **changes: Any) -> Self:
        """Policies that come near to FP32 with fewer writes; changes replace settings.

        A cosine schedule lets the weights settle. ISPP with averaged reads leaves a fifth of the
        write-verify's error, and the read after it tells W_FP the rest. What then remains is the
        noise of the products, and nearly all of it enters in the last layer, whose few products
        (3 of 707 tile operations an image) are cheap to repeat.
        """
        settings: dict[str, Any] = {"schedule": "cosine", "program": "ispp"}
        if changes.get("network", "lenet") == "lenet":
            settings |= {"rate": 4.0, "repeats": {"fc": 16}}
        return cls(**settings | changes)

    @property
    def window(self) -> DeviceWindow:
        """Currents that cells are programmed to."""
        return DeviceWindow(self.low, self.high)

    @property
    def steps(self) -> int:
        """Batches of the whole run."""
        return self.epochs * self.batches

    @property
    def writing(self) -> RampPlan | Blind:
        """The programming plan."""
        accepted = {} if self.tolerance is None else {"tol": self.tolerance}
        match self.program:
            case "write-verify":
                return WriteVerify(**accepted)
            case "ispp":
                return Ispp(**Ispp.precise().model_dump() | accepted)
            case "blind":
                return Blind()

    @property
    def placing(self) -> RampPlan:
        """How the first weights are written: blind pulses need cells of known states."""
        plan = self.writing
        return plan if isinstance(plan, RampPlan) else WriteVerify()

    def lr_at(self, step: int, losses: Sequence[float] = ()) -> float:
        """Learning rate of a step, counted from 0, after epochs of these mean losses."""
        done = step / self.steps
        match self.schedule:
            case "constant":
                return self.lr
            case "cosine":
                return self.lr * _falling(done)
            case "onecycle":
                if done < RISE:
                    return self.lr * (LOWEST + (1 - LOWEST) * done / RISE)
                return self.lr * _falling((done - RISE) / (1 - RISE))
            case "plateau":
                return self.lr * 0.5 ** _plateaus(losses)


def _falling(done: float) -> float:
    """Half a cosine, from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _plateaus(losses: Sequence[float]) -> int:
    """How often a loss has been no new best for PATIENCE epochs."""
    best, waited, plateaus = math.inf, 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == PATIENCE:
            waited, plateaus = 0, plateaus + 1
    return plateaus


def large(network: str, **changes: Any) -> dict[str, Any]:
    """The paper's settings for CIFAR-10 (PAPER 4), as a recipe takes them; changes replace some.

    A range no larger than the initial weights suits networks whose activations are normalised.
    Without staggered accumulators VGG-8's loss rises at first, even on ideal cells.
    """
    settings: dict[str, Any] = {
        "network": network,
        "data": "cifar10",
        "augment": True,
        "epochs": 100,
        "batches": 782,
        "lr": 0.003,
        "rate": 1.0,
        "headroom": 1.0,
        "schedule": "plateau",
        "threshold": 1 / 15,
        "stagger": True,
        "crest": 3.0,
    }
    return settings | changes
