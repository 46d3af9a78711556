"""Replay: the measured jump table itself, resampled (DESIGN 5).

A table holds, for one amplitude, pairs (G, dG): the conductance before a pulse and the change
that the pulse made, as measured. A pulse of v volts uses the table of v's polarity whose
amplitude is nearest. The table's pairs are sorted by G into bins of equally many pairs; a draw
u in (0, 1) takes the pair of that rank in the bin below the cell's G and in the bin above, and
the jump lies between the two in proportion to G. So jumps keep their measured distribution -
skew, outliers and all - and its mean and spread change without steps between bins.

Differences from cell to cell are not told apart: they are in the jumps of a table that was
measured on many cells. So is the read noise of the two readings that made a jump; averaged
readings keep it small. Conductances stay within the bounds; the width of a pulse does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices._check import positive, rising, spread
from cimlab.mock_hw.devices.base import Ages, Cells, Draws

BINS_MOST = 64
BIN_LEAST = 32
"""Pairs that a bin has at least, if the table has as many."""
TABLES_MOST = 64
PAIRS_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Jumps:
    """What pulses of one amplitude did, as measured.

    Attributes:
        v: Amplitude, V; > 0 is SET, < 0 is RESET.
        g: Conductances before a pulse, S.
        dg: Their changes, S; as many.
    """

    v: float
    g: tuple[float, ...]
    dg: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Bins:
    """A table sorted: the bins' mean conductances (bins,), and their jumps in order (bins, m)."""

    centre: NDArray[np.float32]
    jump: NDArray[np.float32]

    @classmethod
    def of(cls, table: Jumps) -> _Bins:
        g, dg = np.array(table.g), np.array(table.dg)
        order = np.argsort(g, kind="stable")
        bins = min(max(g.size // BIN_LEAST, 1), BINS_MOST)
        size = g.size // bins
        # equally long, so that ranks correspond; neighbours overlap where it does not divide
        first = np.rint(np.linspace(0, g.size - size, bins)).astype(np.int64)
        members = order[first[:, None] + np.arange(size)]
        return cls(
            g[members].mean(axis=1).astype(np.float32),
            np.sort(dg[members], axis=1).astype(np.float32),
        )

    def draw(self, g: Cells, u: Cells) -> Cells:
        """Jumps of cells at g (n,) S, of rank u (n,)."""
        bins, size = self.jump.shape
        rank = np.minimum((u * np.float32(size)).astype(np.int64), size - 1)
        above = np.clip(np.searchsorted(self.centre, g), 1, max(bins - 1, 1))
        below = above - 1
        above = np.minimum(above, bins - 1)
        gap = np.maximum(self.centre[above] - self.centre[below], np.float32(1e-30))
        part = np.clip((g - self.centre[below]) / gap, np.float32(0.0), np.float32(1.0))
        low, high = self.jump[below, rank], self.jump[above, rank]
        jumps: Cells = low + part * (high - low)
        return jumps


@dataclass(frozen=True)
class Replay:
    """Measured jumps and the few numbers that are not in them; a `DeviceModel`.

    Attributes:
        g_min: Low bound, S.
        g_max: High bound, S.
        sigma_read: Read noise, S.
        v_threshold: Least amplitude (either polarity) that moves a cell, V.
        jumps: Tables, one an amplitude; both polarities.
    """

    jumps: tuple[Jumps, ...]
    g_min: float = 4.0e-6
    g_max: float = 40.0e-6
    sigma_read: float = 1.55e-6
    v_threshold: float = 1.0

    name: ClassVar[str] = "replay"

    def __post_init__(self) -> None:
        """Refuse parameters without physical meaning, and tables that are no tables."""
        positive(self.name, g_min=self.g_min, v_threshold=self.v_threshold)
        spread(self.name, sigma_read=self.sigma_read)
        rising(self.name, g_min=self.g_min, g_max=self.g_max)
        if len({table.v for table in self.jumps}) != len(self.jumps) or not (
            len(self.jumps) <= TABLES_MOST
            and any(table.v > 0 for table in self.jumps)
            and any(table.v < 0 for table in self.jumps)
        ):
            raise ConfigError(
                f"replay: jumps must have a table for SET (v > 0) and one for RESET (v < 0), "
                f"each amplitude once and at most {TABLES_MOST} in all"
            )
        for table in self.jumps:
            _check(table)

    @cached_property
    def _tables(self) -> dict[bool, tuple[NDArray[np.float32], list[_Bins]]]:
        """By polarity (SET is True): amplitudes in rising order, and their bins."""
        sides = {}
        for up in (True, False):
            tables = sorted((t for t in self.jumps if (t.v > 0) == up), key=lambda t: abs(t.v))
            amplitudes = np.array([abs(t.v) for t in tables], np.float32)
            sides[up] = (amplitudes, [_Bins.of(table) for table in tables])
        return sides

    def born(self, n: int, draws: Draws) -> tuple[Cells, Cells]:
        """Cells anywhere in the window; traits are (lo, hi), the same for all."""
        traits = np.empty((2, n), np.float32)
        traits[0], traits[1] = self.g_min, self.g_max
        return traits[0] + draws.uniform(0) * (traits[1] - traits[0]), traits

    def pulse(self, g: Cells, traits: Cells, v: Cells, width: float, draws: Draws) -> Cells:
        """Conductances (n,) in S after one pulse of v (n,) volts; the width does not matter."""
        u = draws.uniform(0)
        after = g.copy()
        felt = np.abs(v)
        for up, (amplitudes, bins) in self._tables.items():
            nearest = np.searchsorted((amplitudes[1:] + amplitudes[:-1]) / 2, felt)
            side = ((v > 0) == up) & (felt >= np.float32(self.v_threshold))
            for k, table in enumerate(bins):
                cells = np.flatnonzero(side & (nearest == k))
                if cells.size:
                    after[cells] += table.draw(g[cells], u[cells])
        moved: Cells = np.clip(after, np.minimum(g, traits[0]), np.maximum(g, traits[1]))
        return moved

    def relax(
        self, g: Cells, traits: Cells, seconds: float, draws: Draws, age: Ages = 0.0
    ) -> Cells:
        """Nothing moves at rest."""
        return g


def _check(table: Jumps) -> None:
    positive("replay", **{"magnitude of v": abs(table.v)})
    if not 0 < len(table.g) == len(table.dg) <= PAIRS_MOST:
        raise ConfigError(
            f"replay: the table of {table.v:g} V needs as many g as dg, 1 to {PAIRS_MOST:,}, "
            f"got {len(table.g):,} and {len(table.dg):,}"
        )
    for name, values in (("g", table.g), ("dg", table.dg)):
        most = max(map(abs, values), default=0.0)
        if not (math.isfinite(sum(values)) and most <= 1.0):
            raise ConfigError(f"replay: {name} of {table.v:g} V must be finite, in S, at most 1")
