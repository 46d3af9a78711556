"""Tables that stations of every kind have: limits, and settings of the converters."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from .array import Converters, Limits
from .dose import Dose

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Data(BaseModel):
    """Frozen data; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(Data):
    """A table of a TOML file, whose numbers are numbers."""

    model_config = ConfigDict(strict=True)


class Budgets(Table):
    """What cells may take up over more than one call, or in ways that no board knows of."""

    pulses_max: int | None = Field(
        default=None, ge=1, description="pulses of a cell's whole life: its wear budget"
    )
    energy_max: Positive | None = Field(default=None, description="J a cell takes up in one call")
    g_max: Positive | None = Field(default=None, description="S, the most a cell may conduct")
    duty_max: float = Field(default=1.0, gt=0, le=1, description="share of time cells are driven")

    @model_validator(mode="after")
    def _energy_needs_conductance(self) -> Self:
        if self.energy_max is not None and self.g_max is None:
            raise ValueError("energy_max needs g_max, the most that a cell may conduct, S")
        return self

    def dose(self) -> Dose | None:
        """What may heat a cell; None where anything may."""
        if self.energy_max is None and self.duty_max == 1:
            return None
        return Dose(self.energy_max or math.inf, self.g_max or 0.0, self.duty_max)

    def limits(self) -> Limits:
        """The others, as the seam's type, for one call."""
        return Limits(**self.model_dump(exclude=set(Budgets.model_fields)))


class LimitsTable(Budgets):
    """`[array.limits]`: what this station allows; a limit left out is the array's own."""

    v_set: Positive = Field(default=math.inf, description="V")
    v_reset: Positive = Field(default=math.inf, description="V, magnitude")
    v_read: Positive = Field(default=math.inf, description="V, reads and VMM inputs")
    width_min: Positive = Field(default=0.0, description="s")
    width_max: Positive = Field(default=math.inf, description="s")
    count_max: int = Field(default=2**31 - 1, ge=1, description="pulses a cell in one call")


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
