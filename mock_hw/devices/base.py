"""What a device model is: pure state functions on arrays of cells.

A model holds parameters, never state. The crossbar gathers the cells that an event touches,
calls the model, and scatters the result back. All randomness comes from the `Draws` it is
handed: the k-th normal of a cell's event is a pure function of (seed, cell, event), so results
do not depend on threads, on grouping, or on how a call was cut into frames.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float32]
Ages: TypeAlias = NDArray[np.float64] | float
"""Seconds since cells were last programmed, (n,), or one number for all."""


class Draws(Protocol):
    """Independent random numbers for the n cells of one event."""

    def normal(self, k: int) -> Cells:
        """The k-th standard normal of every cell, (n,) float32; same k, same numbers."""
        ...

    def uniform(self, k: int) -> Cells:
        """The k-th uniform in (0, 1) of every cell, (n,) float32; independent of the normals."""
        ...


class DeviceModel(Protocol):
    """Physics of one cell type, vectorised over cells."""

    @property
    def name(self) -> str:
        """As used in station files."""
        ...

    @property
    def g_min(self) -> float:
        """Low end of the nominal conductance window, S."""
        ...

    @property
    def g_max(self) -> float:
        """High end of the nominal conductance window, S."""
        ...

    @property
    def sigma_read(self) -> float:
        """Sigma of the read noise as a conductance, S.

        Fresh and Gaussian at every read and every VMM: that is what lets a VMM draw it once an
        output.
        """
        ...

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Fresh devices: conductances (n,) in S, and fixed traits (n_traits, n), the d2d spread."""
        ...

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) after ONE pulse of v volts a cell (never 0), width seconds."""
        ...

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Conductances (n,) after so many seconds without a pulse.

        The rest begins age seconds after each cell was programmed; `rest` keeps that count.
        """
        ...


def rest(
    model: DeviceModel,
    g: Cells,
    traits: Cells,
    rested: Cells,
    age: NDArray[np.float64],
    seconds: float,
    draws: Draws,
) -> Cells:
    """Let cells rest; whoever keeps cells keeps `rested` and `age` for them, zero at first.

    A cell whose conductance is not what the last rest left has been programmed since. So nobody
    counts time while pulses are given, and a pulse below threshold does not restart a drift.

    Args:
        model: The cells' physics.
        g: Conductances, (n,) S.
        traits: As born.
        rested: Conductances after the last rest, (n,) S; brought up to date.
        age: Seconds from programming to the end of the last rest, (n,); brought up to date.
        seconds: How long.
        draws: Of this rest.

    Returns:
        The conductances afterwards, (n,) S: the array `rested`.
    """
    age[g != rested] = 0.0
    rested[:] = model.relax(g, traits, seconds, draws, age)
    age += seconds
    return rested
