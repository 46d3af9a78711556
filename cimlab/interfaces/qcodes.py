"""An array as a QCoDeS instrument: in a Station, with snapshots, for measurements and databases.

In the station file of QCoDeS::

    instruments:
      chip:
        type: cimlab.interfaces.qcodes.CimInstrument
        init: {station: "tcp://192.168.1.20:5000"}
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qcodes.instrument import Instrument
from qcodes.parameters import Parameter, ParameterWithSetpoints
from qcodes.validators import Arrays

import cimlab

if TYPE_CHECKING:
    from qcodes.instrument.instrument_base import InstrumentBaseKWArgs
    from typing_extensions import Unpack

    from cimlab.core.array import Addresses


class CimInstrument(Instrument):
    """All cells of an array as parameters with setpoints tile, row and column.

    What it does not have as a parameter is there as ``array``, the CimArray itself.

    Args:
        name: As QCoDeS knows the instrument.
        station: As for `cimlab.open`.
        kwargs: As of any instrument.

    Attributes:
        array: Guarded by the station's limits; grounded and closed with this instrument.
        v_read: Amplitude of reads and of VMM inputs, V.
        v_gate: Word-line voltage, V.
        averages: Conversions averaged in a read.
        current: Of every cell at v_read, (tiles, rows, cols) A.
        conductance: The same as S; read afresh.
    """

    def __init__(
        self, name: str, station: str | Path, **kwargs: Unpack[InstrumentBaseKWArgs]
    ) -> None:
        super().__init__(name, **kwargs)
        self.array = cimlab.open(station)
        self.v_read = self._converter("v_read")
        self.v_gate = self._converter("v_gate")
        self.averages: Parameter = self.add_parameter(
            "averages", set_cmd=None, initial_value=1, label="Conversions averaged"
        )
        for axis, size in zip(("tile", "row", "col"), self.array.spec.shape, strict=True):
            self.add_parameter(
                axis, get_cmd=lambda size=size: np.arange(size), vals=Arrays(shape=(size,))
            )
        self.current = self._map("current", "A")
        self.conductance = self._map("conductance", "S")
        self.metadata["station"] = self.array.station.text

    def _converter(self, name: str) -> Parameter:
        """One setting of the converters."""

        def put(volts: float) -> None:
            change: dict[str, Any] = {name: volts}
            self.array.configure(dataclasses.replace(self.array.converters, **change))

        return self.add_parameter(
            name,
            unit="V",
            initial_cache_value=getattr(self.array.converters, name),
            get_cmd=lambda: getattr(self.array.converters, name),
            set_cmd=put,
        )

    def _map(self, name: str, unit: str) -> ParameterWithSetpoints:
        def get() -> NDArray[np.float64]:
            reading = self.array.read(self.v_read(), averages=self.averages())
            return reading.g if name == "conductance" else reading.current

        return self.add_parameter(
            name,
            ParameterWithSetpoints,
            unit=unit,
            get_cmd=get,
            setpoints=(self.tile, self.row, self.col),
            vals=Arrays(shape=self.array.spec.shape),
        )

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """Apply pulses: v volts (> 0 SET, < 0 RESET) a cell, width s; see `CimArray.pulse`."""
        self.array.pulse(v, width, count, cells)

    def get_idn(self) -> dict[str, str | None]:
        """Who answers: the array's identity, as one text."""
        return {
            "vendor": "cimlab",
            "model": self.array.spec.identity,
            "serial": None,
            "firmware": cimlab.__version__,
        }

    def close(self) -> None:
        """Ground all lines and close the array; a second call does nothing."""
        if hasattr(self, "array"):
            self.array.close()
        super().close()
