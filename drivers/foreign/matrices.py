"""Foreign switch matrices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from cimlab.core.errors import InstrumentError
from cimlab.drivers.foreign.instrument import ForeignInstrument
from cimlab.drivers.instruments.roles import Crosspoint


class _Matrix:
    """A SwitchMatrix that asks what is closed after every change.

    Args:
        instrument: Closed with this.
    """

    known_by: ClassVar[tuple[str, ...]]
    start: ClassVar[tuple[tuple[str, ...], ...]]
    open_all: ClassVar[tuple[str, ...]]

    inputs: int
    outputs: int

    def __init__(self, instrument: ForeignInstrument) -> None:
        self._instrument = instrument
        for step in self.start:
            instrument.do(*step)
        self.off()

    @property
    def identity(self) -> str:
        """See Role."""
        return self._instrument.identity

    def connect(self, crosspoints: Iterable[Crosspoint]) -> None:
        """See SwitchMatrix."""
        wanted = set(crosspoints)
        closed = self._closed()
        if leaving := sorted(closed - wanted):
            self._open(leaving)
        if coming := sorted(wanted - closed):
            self._close(coming)
        self._instrument.check("crosspoints")
        if (closed := self._closed()) != wanted:
            raise InstrumentError(f"close {sorted(wanted)}", f"closed are {sorted(closed)}")

    def off(self) -> None:
        """See Role."""
        self._instrument.do(*self.open_all)

    def close(self) -> None:
        """See Role."""
        try:
            self.off()
        finally:
            self._instrument.close()

    def _closed(self) -> set[Crosspoint]:
        raise NotImplementedError

    def _open(self, points: list[Crosspoint]) -> None:
        raise NotImplementedError

    def _close(self, points: list[Crosspoint]) -> None:
        raise NotImplementedError


class QCodesB220X(_Matrix):
    """QCoDeS: Keysight B2200A and B2201A."""

    known_by = ("connect_paths", "disconnect_paths", "disconnect_all", "connections")
    start = (("reset",), ("connection_rule", "free"), ("connection_sequence", "bbm"))
    open_all = ("disconnect_all",)
    inputs, outputs = 14, 48

    def _closed(self) -> set[Crosspoint]:
        return set(self._instrument.get("connections"))

    def _open(self, points: list[Crosspoint]) -> None:
        self._instrument.do("disconnect_paths", points)

    def _close(self, points: list[Crosspoint]) -> None:
        self._instrument.do("connect_paths", points)


class QCodes3706A(_Matrix):
    """QCoDeS: Keithley 3706A; rows are the inputs, columns of slot after slot the outputs."""

    known_by = ("close_channel", "open_channel", "get_closed_channels", "get_channels")
    start = (("channel_connect_rule", "BREAK_BEFORE_MAKE"),)
    open_all = ("open_channel", "allslots")

    def __init__(self, instrument: ForeignInstrument) -> None:
        super().__init__(instrument)
        names = sorted(instrument.do("get_channels"))
        rows = sorted({name[1] for name in names})
        columns = sorted({(name[0], name[2:]) for name in names})
        self.inputs, self.outputs = len(rows), len(columns)
        self._names = {
            (rows.index(name[1]) + 1, columns.index((name[0], name[2:])) + 1): name
            for name in names
        }
        self._points = {name: point for point, name in self._names.items()}

    def _closed(self) -> set[Crosspoint]:
        return {
            self._points[n] for n in self._instrument.do("get_closed_channels", "allslots") or ()
        }

    def _open(self, points: list[Crosspoint]) -> None:
        for point in points:
            self._instrument.do("open_channel", self._names[point])

    def _close(self, points: list[Crosspoint]) -> None:
        for point in points:
            self._instrument.do("close_channel", self._names[point])


MATRICES: tuple[type[_Matrix], ...] = (QCodesB220X, QCodes3706A)
