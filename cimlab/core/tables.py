"""Tables that stations of every kind have: limits, and settings of the converters."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from .array import Converters, Limits

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

PulsesMax = Annotated[
    int | None, Field(ge=1, description="pulses of a cell's whole life: its wear budget")
]


class Data(BaseModel):
    """Frozen data; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(Data):
    """A table of a TOML file, whose numbers are numbers."""

    model_config = ConfigDict(strict=True)


class LimitsTable(Table):
    """`[array.limits]`: what this station allows; a limit left out is the array's own."""

    v_set: Positive = Field(default=math.inf, description="V")
    v_reset: Positive = Field(default=math.inf, description="V, magnitude")
    v_read: Positive = Field(default=math.inf, description="V, reads and VMM inputs")
    width_min: Positive = Field(default=0.0, description="s")
    width_max: Positive = Field(default=math.inf, description="s")
    count_max: int = Field(default=2**31 - 1, ge=1, description="pulses a cell in one call")
    pulses_max: PulsesMax = None

    def limits(self) -> Limits:
        """As the seam's type, for one call; whatever was left out limits nothing."""
        return Limits(**self.model_dump(exclude={"pulses_max"}))


class ConvertersTable(Table):
    """`[array.converters]`: settings to apply on connection; one left out stays as it is."""

    v_read: Positive | None = Field(
        default=None, description="V, amplitude of reads and VMM inputs"
    )
    v_gate: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="V"
    )
    i_read: Positive | None = Field(default=None, description="A, ADC full scale of cell reads")
    i_vmm: Positive | Annotated[tuple[Positive, ...], Strict(False)] | None = Field(
        default=None, description="A, ADC full scale of VMMs: one for all tiles, or one a tile"
    )

    def over(self, current: Converters) -> Converters:
        """The current settings with this station's put over them."""
        i_vmm = self.i_vmm
        if isinstance(i_vmm, float | int):
            i_vmm = (float(i_vmm),) * len(current.i_vmm)
        return Converters(
            v_read=current.v_read if self.v_read is None else self.v_read,
            v_gate=current.v_gate if self.v_gate is None else self.v_gate,
            i_read=current.i_read if self.i_read is None else self.i_read,
            i_vmm=current.i_vmm if i_vmm is None else i_vmm,
        )
