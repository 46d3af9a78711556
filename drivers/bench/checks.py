"""What a bench refuses before the first relay moves; comparisons are written so that NaN fails."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from cimlab.core.array import Floats, Limits
from cimlab.core.errors import LimitError
from cimlab.drivers.instruments import PulseGenerator, SourceMeter


def within(limits: Limits, smu: SourceMeter, pulser: PulseGenerator) -> Limits:
    """The limits, as far as the instruments reach."""
    return dataclasses.replace(
        limits,
        v_set=min(limits.v_set, pulser.v_max),
        v_reset=min(limits.v_reset, pulser.v_max),
        v_read=min(limits.v_read, smu.v_max),
        width_min=max(limits.width_min, pulser.width_min),
    )


def check_read(limits: Limits, v: float) -> None:
    """LimitError beyond the limit of reads."""
    if not abs(v) <= limits.v_read:
        raise LimitError(f"read voltage {v:g} V is beyond {limits.v_read:g} V")


def check_levels(limits: Limits, v: Floats) -> None:
    """LimitError beyond the limits of pulses."""
    if not np.all((v >= -limits.v_reset) & (v <= limits.v_set)):
        raise LimitError(f"levels must lie within -{limits.v_reset:g} .. {limits.v_set:g} V")


def check_pulses(limits: Limits, v: Floats, width: ArrayLike) -> None:
    """LimitError beyond the limits of pulses, s for width."""
    check_levels(limits, v)
    widths = np.asarray(width)
    if not np.all((limits.width_min <= widths) & (widths <= limits.width_max)):
        raise LimitError(
            f"pulse width {widths} s is outside {limits.width_min:g} .. {limits.width_max:g} s"
        )
