"""How to train: a plan, as data. The defaults are the paper's recipe (PAPER 3).

The paper does not say in which units its learning rate of 0.004 moves the weights. Here a weight
on chip moves by `lr * rate` of its layer's range where Adam steps fully: with rate 3 a weight
crosses the threshold of a third of the range in 28 such steps.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from cimlab.nn import DeviceWindow
from cimlab.protocols import Blind, Ispp, Plan, RampPlan, WriteVerify


class Recipe(Plan):
    """Settings of a training run."""

    mode: Literal["mixed", "naive", "fp32"] = Field(
        default="mixed",
        description="mixed: accumulate, write what passes the threshold; naive: write every update "
        "at once; fp32: no array, the same network on the same batches",
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
    schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="of the learning rate over the run"
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
    master: Literal["ideal", "readback"] = Field(
        default="readback",
        description="W_FP after a write: what was wanted (the paper's text), or what a read finds "
        "(its figure 4a)",
    )
    program: Literal["write-verify", "ispp", "blind"] = Field(
        default="write-verify", description="how cells are written"
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
    headroom: float = Field(
        default=3.0, ge=1, description="weight range over the largest initial weight of a layer"
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
        settings: dict[str, Any] = {
            "schedule": "cosine",
            "program": "ispp",
            "rate": 4.0,
            "repeats": {"fc": 16},
        }
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
        match self.program:
            case "write-verify":
                return WriteVerify()
            case "ispp":
                return Ispp.precise()
            case "blind":
                return Blind()

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.steps))
