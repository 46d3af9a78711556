"""Is this array fit to work with? Reads and products only: nothing that moves a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cimlab.core.array import Addresses, CimArray, Floats, Window
from cimlab.protocols.procedure import idle_on_error

READS = 8
LEVELS = 9
"""Of the ramp that all inputs go through, 0 V included."""
LINEAR = 0.99
"""Least share of a ramp's variance that a straight line explains, in the median column."""
FILLED = 0.8
"""Share of the converters' range that the ramp may fill."""
KIRCHHOFF = 0.2
"""Most that the median column's product may differ from the sum of its cells, of that sum."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        passed: Whether it is as it should be.
        found: What was found.
        advice: What to do about it; empty if it passed.
    """

    name: str
    passed: bool
    found: str
    advice: str = ""


def self_test(array: CimArray) -> Iterator[Check]:
    """Check reads, converters and products of an array's first tile; yields each result."""
    with idle_on_error(array):
        reads = _reads(array)
        yield reads
        if reads.passed and array.spec.vmm == "analog":
            yield from _products(array)
        array.ground()
        yield Check("ground", True, "all lines at 0 V")


def _cells(array: CimArray) -> Addresses:
    """The first columns of the first tile: enough to tell, quick on a bench."""
    spec = array.spec
    rows, cols = np.arange(spec.rows), np.arange(min(spec.cols, 4))
    return (rows[:, None] * spec.cols + cols).ravel().astype(np.int64)


def _reads(array: CimArray) -> Check:
    v, cells = array.converters.v_read, _cells(array)
    readings = [array.read(v, cells) for _ in range(READS)]
    current = np.array([reading.current for reading in readings])
    clipped = float(np.mean([reading.saturated for reading in readings]))
    sigma = float(np.sqrt(np.nanmean(current.var(axis=0, ddof=1))))
    typical = float(np.nanmedian(current))
    found = (
        f"{cells.size} cells, {READS} reads at {v:g} V: median {1e6 * typical:.3g} uA, "
        f"noise {1e6 * sigma:.2g} uA, {clipped:.1%} clipped"
    )
    if clipped > 0.5:
        return Check("reads", False, found, "raise i_read in [array.converters]")
    if not typical > 3 * sigma / np.sqrt(READS):
        return Check(
            "reads", False, found, "no current: are the cells open, the gate off, the wires right?"
        )
    return Check("reads", True, found)


def _products(array: CimArray) -> Iterator[Check]:
    spec, v = array.spec, array.converters.v_read
    cells = np.arange(spec.rows * spec.cols, dtype=np.int64)
    each = array.read(v, cells, READS).current.reshape(spec.rows, spec.cols)
    # as many rows as the converter can take: virgin cells may all be ON
    rows = max(1, int((each.cumsum(axis=0).max(axis=1) < FILLED * array.converters.i_vmm[0]).sum()))
    window = Window((0,), (0, rows), (0, spec.cols))
    levels = np.linspace(0.0, v, LEVELS)
    inputs = np.broadcast_to(levels[None, :, None], (1, LEVELS, rows)).astype(np.float32)
    product = array.vmm(np.ascontiguousarray(inputs), window)
    current, clipped = product.current[0].astype(np.float64), product.saturated[0]
    whole = ~clipped.any(axis=0)
    if not whole.any():
        yield Check("ramp", False, "every column clipped", "raise i_vmm in [array.converters]")
        return
    explained = np.median([_linear(levels, current[:, k]) for k in np.flatnonzero(whole)])
    found = (
        f"{rows} rows from 0 to {v:g} V in {LEVELS} steps: a line explains {explained:.2%} of the "
        f"median column, {(~whole).sum()} of {spec.cols} columns clipped"
    )
    straight = bool(explained >= LINEAR)
    yield Check("ramp", straight, found, "" if straight else "look at the DACs and ADCs")
    sums = each[:rows].sum(axis=0)
    off = float(np.median(np.abs(current[-1] - sums)[whole]) / np.median(np.abs(sums)))
    close = off <= KIRCHHOFF
    yield Check(
        "Kirchhoff",
        close,
        f"products and sums of cells differ by {off:.1%} in the median column",
        "" if close else "calibrate the columns; look for lines that are not connected",
    )


def _linear(x: Floats, y: Floats) -> float:
    """Share of y's variance that a straight line in x explains."""
    return float(np.corrcoef(x, y)[0, 1] ** 2) if y.any() else 0.0
