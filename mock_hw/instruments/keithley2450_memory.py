"""Memory of the Keithley 2450: reading buffers, and the lists that sweeps source."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, command
from cimlab.mock_hw.instruments.keithley2450_tables import (
    LEVELS,
    SHORT,
    Record,
    buffer_and_elements,
)
from cimlab.mock_hw.instruments.scpi import Integer, Number, ScpiError


class Memory(ScpiEmulator):
    """See the module."""

    def reset(self) -> None:
        """*RST clears it."""
        super().reset()
        self._buffers: dict[str, list[Record]] = {"defbuffer1": [], "defbuffer2": []}
        self._sizes = {"defbuffer1": 100_000, "defbuffer2": 100_000}
        self._lists: dict[str, list[float]] = {"voltage": [], "current": []}

    def _buffer(self, name: str) -> list[Record]:
        if name not in self._buffers:
            raise ScpiError(-224, "Illegal parameter value: unknown reading buffer")
        return self._buffers[name]

    @command("TRACe:MAKE")
    def _make(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 2, 3)
        name = scpi.unquoted(given[0])
        if name in self._buffers:
            raise ScpiError(-224, "Illegal parameter value: the buffer exists")
        self._buffers[name], self._sizes[name] = [], Integer(10, 6_875_000, 10).parse(given[1])

    @command("TRACe:DELete")
    def _delete(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        name = scpi.unquoted(given[0])
        if name.startswith("defbuffer") or name not in self._buffers:
            raise ScpiError(*scpi.ILLEGAL)
        del self._buffers[name], self._sizes[name]

    @command("TRACe:CLEar")
    def _clear_buffer(self, given: Sequence[str]) -> None:
        self._buffer(buffer_and_elements(given)[0]).clear()

    @command("TRACe:POINts?")
    def _size(self, given: Sequence[str]) -> str:
        name = buffer_and_elements(given)[0]
        self._buffer(name)
        return str(self._sizes[name])

    @command("TRACe:POINts")
    def _set_size(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 2)
        name = buffer_and_elements(given[1:])[0]
        self._buffer(name).clear()
        self._sizes[name] = Integer(1, 6_875_000, 10).parse(given[0])

    @command("TRACe:ACTual?")
    def _filled(self, given: Sequence[str]) -> str:
        return str(len(self._buffer(buffer_and_elements(given)[0])))

    @command("TRACe:DATA?")
    def _data(self, given: Sequence[str]) -> str:
        scpi.arguments(given, 2, 99)
        name, elements = buffer_and_elements(given[2:])
        kept = self._buffer(name)
        first, last = (round(scpi.number(text)) for text in given[:2])
        if not 1 <= first <= last <= len(kept):
            raise ScpiError(*scpi.OUT_OF_RANGE)
        return ",".join(r.show(e) for r in kept[first - 1 : last] for e in elements)

    @command("TRACe:STATistics:AVERage?")
    def _average(self, given: Sequence[str]) -> str:
        return f"{statistics.fmean(self._readings(given)):.6E}"

    @command("TRACe:STATistics:STDDev?")
    def _deviation(self, given: Sequence[str]) -> str:
        return f"{statistics.stdev(self._readings(given)):.6E}"

    @command("TRACe:STATistics:MAXimum?")
    def _maximum(self, given: Sequence[str]) -> str:
        return f"{max(self._readings(given)):.6E}"

    @command("TRACe:STATistics:MINimum?")
    def _minimum(self, given: Sequence[str]) -> str:
        return f"{min(self._readings(given)):.6E}"

    def _readings(self, given: Sequence[str]) -> list[float]:
        kept = self._buffer(buffer_and_elements(given)[0])
        if len(kept) < 2:
            raise ScpiError(-230, "Data corrupt or stale")
        return [record.reading for record in kept]

    @command("SOURce:LIST:VOLTage", "SOURce:LIST:CURRent")
    def _list(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 100)
        self._lists[self._quantity].clear()
        self._append(given)

    @command("SOURce:LIST:VOLTage:APPend", "SOURce:LIST:CURRent:APPend")
    def _append(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 100)
        top = LEVELS[self._quantity]
        kind = Number(-top, top, 0)
        self._lists[self._quantity] += [kind.parse(text) for text in given]

    @command("SOURce:LIST:VOLTage:POINts?", "SOURce:LIST:CURRent:POINts?")
    def _list_size(self, given: Sequence[str]) -> str:
        return str(len(self._lists[self._quantity]))

    @property
    def _quantity(self) -> str:
        return SHORT[self.get("source")]
