"""An array as a PyMeasure instrument: for Procedures, Workers and ManagedWindows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymeasure.adapters import Adapter
from pymeasure.instruments import Instrument

import cimlab
from cimlab.core.array import Addresses


class CimInstrument(Instrument):  # type: ignore[misc]  # PyMeasure has no types
    """All cells of an array as properties; whatever else it does is there as ``array``.

    Args:
        station: As for `cimlab.open`.
        name: As PyMeasure knows the instrument.

    Attributes:
        array: Guarded by the station's limits; grounded and closed by `shutdown`.
        averages: Conversions averaged in a read.
    """

    def __init__(self, station: str | Path, name: str = "cimlab") -> None:
        self.array = cimlab.open(station)
        self.averages = 1
        # nobody sends it messages: the array has a link of its own
        super().__init__(Adapter(), name, includeSCPI=False)

    @property
    def id(self) -> str:
        """Make, model, serial number and firmware."""
        return self.array.spec.identity

    @property
    def v_read(self) -> float:
        """Amplitude of reads and of VMM inputs, V."""
        return self.array.converters.v_read

    @v_read.setter
    def v_read(self, volts: float) -> None:
        self.array.configure(dataclasses.replace(self.array.converters, v_read=volts))

    @property
    def v_gate(self) -> float:
        """Word-line voltage, V."""
        return self.array.converters.v_gate

    @v_gate.setter
    def v_gate(self, volts: float) -> None:
        self.array.configure(dataclasses.replace(self.array.converters, v_gate=volts))

    @property
    def current(self) -> NDArray[np.float64]:
        """Of every cell at v_read, read afresh, (tiles, rows, cols) A."""
        return self.array.read(self.v_read, averages=self.averages).current

    @property
    def conductance(self) -> NDArray[np.float64]:
        """Of every cell at v_read, read afresh, (tiles, rows, cols) S."""
        return self.array.read(self.v_read, averages=self.averages).g

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """Apply pulses: v volts (> 0 SET, < 0 RESET) a cell, width s; see `CimArray.pulse`."""
        self.array.pulse(v, width, count, cells)

    def shutdown(self) -> None:
        """Ground all lines and close the array; a second call does nothing."""
        self.array.close()
        super().shutdown()
