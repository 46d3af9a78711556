"""What a programming policy costs and achieves, counted the same way for every policy.

Everything is taken from what crosses the seam: verbs, readings and the array's clock. So the
figures are those of any array, emulated or measured, and no policy is trusted to count itself.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import Addresses, CimArray, Floats, Mask, Reading
from cimlab.core.events import CellsRead, Event, Pulsed
from cimlab.core.tap import Tapped
from cimlab.protocols.procedure import Round, idle_on_error
from cimlab.protocols.program import program_steps
from cimlab.protocols.verified import VerifyPlan

AVERAGES = 100
"""Conversions of the reads that tell the errors: a fresh read, its noise out of the way."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What programming cells came to; arrays are (n,), a number a cell.

    Attributes:
        converged: The policy's last verify read lay inside the band.
        pulses: Received.
        reads: Verify reads.
        transactions: Calls over the seam, each for all cells together.
        stress: Time under pulses, s.
        energy: Of the pulses, V^2 g t with g from the readings before and after, J. That takes
            the cell for a resistor: an estimate, but the same one for every policy.
        seconds: That the calls took, of this machine and its hardware.
        error: Fresh reading at once minus target, A.
        rested: The same after the rest, A; None without one.
    """

    converged: Mask
    pulses: NDArray[np.int64]
    reads: NDArray[np.int64]
    transactions: int
    stress: NDArray[np.float64]
    energy: NDArray[np.float64]
    seconds: float
    error: NDArray[np.float64]
    rested: NDArray[np.float64] | None

    def summary(self) -> dict[str, float | int]:
        """Figures of the policy; errors are those of the cells that converged."""
        figures = {
            "cells": self.pulses.size,
            "converged": float(self.converged.mean()),
            "given_up": int((~self.converged).sum()),
            "pulses": float(self.pulses.mean()),
            "pulses_error": float(self.pulses.std() / self.pulses.size**0.5),
            "pulses_worst": int(self.pulses.max(initial=0)),
            "reads": float(self.reads.mean()),
            "transactions": self.transactions,
            "stress_s": float(self.stress.mean()),
            "energy_J": float(self.energy.mean()),
            "seconds": self.seconds,
        }
        for name, error in (("error", self.error), ("rested", self.rested)):
            if error is not None and self.converged.any():
                known = error[self.converged]
                figures[f"{name}_mean_A"] = float(known.mean())
                figures[f"{name}_rms_A"] = float(np.sqrt(np.mean(known**2)))
        return figures


class _Meter:
    """A sink: what policies do to cells, by address."""

    def __init__(self, first: Reading, size: int) -> None:
        self._g = np.full(size, np.nan)
        self._g[first.cells] = first.g
        self._owed = np.zeros(size)
        self.pulses, self.reads = np.zeros((2, size), np.int64)
        self.stress, self.energy = np.zeros((2, size))
        self.transactions, self.seconds = 0, 0.0

    def __call__(self, event: Event) -> None:
        """Count the event."""
        self.transactions += 1
        self.seconds += event.seconds
        match event:
            case CellsRead(reading=reading):
                self._read(reading)
            case Pulsed(v=v, width=width, count=count, reading=reading, cells=cells):
                where = slice(None) if cells is None else cells
                volts, number = np.asarray(v, np.float64), np.asarray(count, np.int64)
                self.pulses[where] += number
                self.stress[where] += number * width
                self._owed[where] += volts**2 * number * width
                if reading is not None:
                    self._read(reading)

    def _read(self, reading: Reading) -> None:
        where = slice(None) if reading.cells is None else reading.cells
        g = reading.g.reshape(-1)
        self.energy[where] += self._owed[where] * (self._g[where] + g) / 2
        self._owed[where], self._g[where] = 0.0, g
        self.reads[where] += 1


def outcome(
    array: CimArray, plan: VerifyPlan, cells: Addresses, target: Floats, rest: float = 0.0
) -> Generator[Round, None, Outcome]:
    """Program cells (n,) to target (n,) A and measure what it took and what it came to.

    Args:
        array: Where the cells are, in the state that they are to be programmed from.
        plan: The policy. An on-board job tells too little: let the host run it.
        cells: Rising addresses.
        target: Currents at plan.v_read.
        rest: Time after which errors are read again, s; 0: they are not.
    """
    with idle_on_error(array):
        meter = _Meter(array.read(plan.v_read, cells, plan.averages), array.spec.size)
        done = yield from program_steps(Tapped(array, meter), plan, cells, target)
        error = array.read(plan.v_read, cells, AVERAGES).current - done.target
        rested = None
        if rest:
            array.clock.sleep(rest)
            rested = array.read(plan.v_read, cells, AVERAGES).current - done.target
    return Outcome(
        done.converged,
        meter.pulses[cells],
        meter.reads[cells],
        meter.transactions,
        meter.stress[cells],
        meter.energy[cells],
        meter.seconds,
        error,
        rested,
    )
