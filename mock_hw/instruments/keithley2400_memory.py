"""Memory of the Keithley 2400: lists and ramps that sweeps source, and the trace buffer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, command
from cimlab.mock_hw.instruments.keithley2400_tables import BUFFER_FULL, ORDER, TOP, Row
from cimlab.mock_hw.instruments.scpi import Number, ScpiError
from cimlab.mock_hw.instruments.status import Register


class Memory(ScpiEmulator):
    """See the module."""

    def __init__(self, bench: Bench) -> None:
        self._measurement = Register()
        self._trace: list[Row] = []
        super().__init__(bench)
        self.status.registers[0] = self._measurement

    def reset(self) -> None:
        """*RST keeps the trace buffer."""
        super().reset()
        self._elements = list(ORDER)
        self._lists: dict[str, list[float]] = {"voltage": [0.0], "current": [0.0]}
        self._rows: list[Row] = []

    def _levels(self, quantity: str) -> list[float]:
        """What a sweep sources one after another; empty when the level is fixed."""
        mode = self.get(f"source.{quantity}.mode")
        if mode == "LIST":
            return self._lists[quantity]
        if mode == "FIX":
            return []
        start, stop = (self.get(f"source.{quantity}.{end}") for end in ("start", "stop"))
        step, points = self.get(f"source.{quantity}.step"), self.get("points")
        if self.get("spacing") == "LOG":
            sweep: list[float] = np.geomspace(start, stop, points).tolist()
            return sweep
        if step:
            points = round(abs((stop - start) / step)) + 1
        sweep = np.linspace(start, stop, points).tolist()
        return sweep

    def _store(self) -> None:
        if self.get("store") == "NEXT":
            room = self.get("size") - len(self._trace)
            self._trace += self._rows[:room]
            if len(self._trace) >= self.get("size"):
                self.put("store", "NEV")
                self._measurement.set(BUFFER_FULL)

    def _show(self, rows: Sequence[Row]) -> str:
        if not rows:
            raise ScpiError(-230, "Data corrupt or stale")
        kept = [k for k, name in enumerate(ORDER) if name in self._elements]
        return ",".join(f"{row[k]:+.6E}" for row in rows for k in kept)

    @command("SOURce:LIST:VOLTage")
    def _volt_list(self, given: Sequence[str]) -> None:
        self._set_list("voltage", given, [])

    @command("SOURce:LIST:VOLTage:APPend")
    def _more_volts(self, given: Sequence[str]) -> None:
        self._set_list("voltage", given, self._lists["voltage"])

    @command("SOURce:LIST:CURRent")
    def _current_list(self, given: Sequence[str]) -> None:
        self._set_list("current", given, [])

    @command("SOURce:LIST:CURRent:APPend")
    def _more_currents(self, given: Sequence[str]) -> None:
        self._set_list("current", given, self._lists["current"])

    def _set_list(self, quantity: str, given: Sequence[str], before: list[float]) -> None:
        scpi.arguments(given, 1, 100)
        kind = Number(-TOP[quantity], TOP[quantity], 0)
        levels = before + [kind.parse(text) for text in given]
        if len(levels) > 2500:
            raise ScpiError(*scpi.TOO_MANY)
        self._lists[quantity] = levels

    @command("SOURce:LIST:VOLTage:POINts?")
    def _list_size(self, given: Sequence[str]) -> str:
        return str(len(self._lists["voltage"]))

    @command("TRACe:DATA?")
    def _data(self, given: Sequence[str]) -> str:
        return self._show(self._trace)

    @command("TRACe:POINts:ACTual?")
    def _filled(self, given: Sequence[str]) -> str:
        return str(len(self._trace))

    @command("TRACe:CLEar")
    def _clear_trace(self, given: Sequence[str]) -> None:
        self._trace = []
        self._measurement.set(0)

    @command("CALCulate3:DATA?")
    def _statistics(self, given: Sequence[str]) -> str:
        if len(self._trace) < 2:
            raise ScpiError(-230, "Data corrupt or stale")
        folds: dict[str, Callable[[list[float]], float]] = {
            "MEAN": statistics.fmean,
            "SDEV": statistics.stdev,
            "MAX": max,
            "MIN": min,
            "PKPK": lambda x: max(x) - min(x),
        }
        fold = folds[self.get("statistic")]
        kept = [k for k, name in enumerate(ORDER[:3]) if name in self._elements]
        return ",".join(f"{fold([row[k] for row in self._trace]):+.6E}" for k in kept)
