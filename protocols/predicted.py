"""Model-predicted programming: each pulse is the one expected to land on the target.

A device that was characterised says what a pulse does. For all devices here that is, exactly or
nearly, a share of the way to a bound (`cimlab.fit.moments`, `mock_hw/devices`)::

    g' = bound - (bound - g) exp(-R),    R = gain * count * rate(v)

with a bound and a curve rate(v) for each polarity: the `Response`, which `cimlab.fit.response`
takes from a device file or a fit. To land at g' a cell needs R = ln((bound - g) / (bound - g')),
and the amplitude follows from the curve. Where no amplitude reaches far enough, or amplitude has
no say (a PCM's SET, NeuroSim's curves), several pulses do, fewer than would risk to overshoot:
what is left is seen by the next read.

Cells differ. Every verify read shows what the last pulse did; ln(R seen / R expected) corrects the
cell's own gain, weighed as in a Kalman filter: by the spread from cell to cell, which the fit
knows, against that from pulse to pulse and the read noise. So the second pulse knows the cell.
Nothing else is used: no look into an emulator, no reading beyond the verify reads.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cimlab.core.array import ArraySpec, Floats, Mask
from cimlab.protocols.closed_loop import LoopPlan, Pulses
from cimlab.protocols.procedure import Plan

GAIN_MOST = 3.0
"""Cells are not believed to differ from the model by more than this, in ln; stuck ones do."""
FAR_LEAST = 1e-3
"""Of ln(distance to the bound over that of the band's far edge)."""
STILL, NOTICED = 3.0, 6.0
"""A pulse had no effect if the cell moved less than the one while it should have moved more than
the other, both in sigmas of two reads."""


class Side(Plan):
    """What pulses of one polarity do.

    Attributes are magnitudes: v in V, rates without unit, the bound in S.
    """

    v: tuple[float, ...] = Field(min_length=1, description="amplitudes, rising, V")
    rate: tuple[float, ...] = Field(
        min_length=1, description="ln of the distance to the bound before over after a pulse"
    )
    bound: float = Field(description="where pulses lead to in the end, S")
    scatter: float = Field(ge=0, description="sigma of ln R from pulse to pulse")
    spread: float = Field(ge=0, description="sigma of ln R from cell to cell")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        v, rate = np.array(self.v), np.array(self.rate)
        if v.size != rate.size or (np.diff(v) <= 0).any() or (np.diff(rate) <= 0).any():
            raise ValueError("amplitudes and rates must rise together")
        if v[0] <= 0 or rate[0] <= 0:
            raise ValueError("amplitudes and rates must be positive")
        return self


class Response(Plan):
    """What pulses of one width do to a device, and how well it is read."""

    up: Side = Field(description="SET")
    down: Side = Field(description="RESET")
    width: float = Field(gt=0, description="of the pulses, s")
    sigma_read: float = Field(ge=0, description="of a single conversion, S")


class Predicted(LoopPlan):
    """Model-predicted pulses; `response` is the device, and must be of the plan's width."""

    job: ClassVar[str] = "predicted"

    response: Response = Field(description="what a pulse does to this device")
    misses_max: int = Field(
        default=3, ge=1, description="rounds in a row without an effect that give a cell up"
    )

    pulses_max: int = Field(
        default=300, ge=1, description="pulses after which a cell is given up, for its wear"
    )

    @model_validator(mode="after")
    def _same_width(self) -> Self:
        if abs(self.width / self.response.width - 1) > 1e-6:
            raise ValueError(
                f"the response is of pulses of {self.response.width:g} s, not {self.width:g} s"
            )
        return self

    def controller(self, spec: ArraySpec, target: Floats) -> _Cells:
        """See LoopPlan."""
        return _Cells(self, spec, target)


class _Law:
    """Both sides as arrays: index 0 is RESET, 1 is SET."""

    def __init__(self, plan: Predicted, count_max: int) -> None:
        found = plan.response
        sides = (found.down, found.up)
        stops = (plan.reset_stop, plan.set_stop)
        self.bound = np.array([side.bound for side in sides])
        self.scatter = np.array([side.scatter for side in sides])
        self.spread = np.array([side.spread for side in sides])
        self.least = 0.02 * float(self.bound[1] - self.bound[0])
        self.count_max = count_max
        self._curves = []
        for side, stop in zip(sides, stops, strict=True):
            inside = np.array(side.v) <= stop
            # where every amplitude is beyond the stop, the stop is all there is
            v = np.array(side.v)[inside] if inside.any() else np.array([stop])
            self._curves.append((v, np.log(np.array(side.rate)[: v.size])))

    def left(self, up: NDArray[np.int64], g: Floats) -> Floats:
        """Distance to the bound, S; what noise puts beyond the bound is near it."""
        bound = self.bound[up]
        return np.maximum(np.where(up == 1, bound - g, g - bound), self.least)

    def amplitude(self, up: NDArray[np.int64], wanted: Floats) -> tuple[Floats, Floats]:
        """Amplitudes whose ln rate is nearest to the wanted one, and that ln rate."""
        v, got = np.empty(up.size), np.empty(up.size)
        for side, (volts, rates) in enumerate(self._curves):
            here = up == side
            v[here] = np.interp(wanted[here], rates, volts)
            got[here] = np.clip(wanted[here], rates[0], rates[-1])
        return v, got


class _Cells:
    """What is believed of each cell: ln gain (2, n) and its variance, and its last pulse."""

    def __init__(self, plan: Predicted, spec: ArraySpec, target: Floats) -> None:
        self._plan = plan
        self._law = _Law(plan, spec.limits.count_max)
        n = target.size
        self._target = target / plan.v_read
        self._tol = plan.tol / plan.v_read
        self._sigma = plan.response.sigma_read / plan.averages**0.5
        self._gain = np.zeros((2, n))
        self._variance = np.repeat(self._law.spread[:, None] ** 2, n, axis=1)
        self._misses = np.zeros(n, np.int64)
        self._spent = np.zeros(n, np.int64)
        self._g = np.full(n, np.nan)
        self._up: NDArray[np.int64] = np.zeros(n, np.int64)
        self._count: NDArray[np.int64] = np.zeros(n, np.int64)
        self._expected = np.zeros(n)

    def decide(self, current: Floats) -> Pulses:
        """See Controller."""
        g = current / self._plan.v_read
        if self._count.any():
            self._learn(g)
        law, every = self._law, np.arange(g.size)
        up = (g < self._target).astype(np.int64)
        toward = np.where(up == 1, 1.0, -1.0)
        left = law.left(up, g)
        near, far = (
            np.log(left / law.left(up, self._target + side * toward * self._tol))
            for side in (-1, 1)
        )
        # a target near the bound, or beyond: as far towards it as a strong pulse leads
        far = np.where(far > FAR_LEAST, far, 1.0)
        near = np.clip(near, 1e-3 * far, far)
        gain = self._gain[up, every]
        v, rate = law.amplitude(up, (np.log(near) + np.log(far)) / 2 - gain)
        # several pulses where one is too weak, but no more than almost certainly stop short
        sure = np.sqrt(self._variance[up, every] + law.scatter[up] ** 2)
        many = np.floor(near * np.exp(-rate - gain - sure))
        spare = self._plan.pulses_max - self._spent
        count = np.clip(many, 1, np.clip(spare, 1, law.count_max)).astype(np.int64)
        self._g, self._up, self._count = g, up, count
        self._spent += count
        self._expected = np.log(count) + rate
        lost = (self._misses >= self._plan.misses_max) | (spare <= 0) | np.isnan(g)
        return np.where(lost, 0.0, toward * v), count

    def _learn(self, g: Floats) -> None:
        """Correct the gains of the side that was pulsed by what the pulses did."""
        law, up, every = self._law, self._up, np.arange(g.size)
        before, after = law.left(up, self._g), law.left(up, g)
        gain, variance = self._gain[up, every], self._variance[up, every]
        expected = np.exp(self._expected + gain)
        seen = np.log(before / after)
        blur = self._sigma * np.sqrt(1 / before**2 + 1 / after**2)
        ratio = np.maximum(seen / expected, np.exp(-GAIN_MOST))
        # what varies from pulse to pulse does not shrink with a cell that answers little
        scatter = law.scatter[up] * np.exp(-np.minimum(gain, 0.0))
        noise = scatter**2 / self._count + (blur / np.maximum(seen, expected)) ** 2
        weight = variance / np.maximum(variance + noise, 1e-12)
        gain = np.clip(gain + weight * np.log(ratio), -GAIN_MOST, GAIN_MOST)
        known = np.isfinite(gain)
        self._gain[up[known], every[known]] = gain[known]
        self._variance[up, every] = variance * (1 - weight)
        still = (np.abs(seen) < STILL * blur) & (expected > NOTICED * blur)
        self._misses = np.where(still, self._misses + 1, 0)

    def keep(self, stay: Mask) -> None:
        """See Controller."""
        self._gain, self._variance = self._gain[:, stay], self._variance[:, stay]
        for name in ("_target", "_misses", "_spent", "_g", "_up", "_count", "_expected"):
            setattr(self, name, getattr(self, name)[stay])
