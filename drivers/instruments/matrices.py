"""Switch matrices: what they share, Keysight B2200A, Keithley 707B and 3706A."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from cimlab.core.errors import LimitError
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.roles import Crosspoint
from cimlab.drivers.instruments.tsp import TspInstrument


class Matrix(Instrument):
    """A SwitchMatrix that remembers what it closed; children say it in their language."""

    inputs: ClassVar[int]
    outputs: ClassVar[int]

    def prepare(self) -> None:
        """Everything open."""
        self.off()

    def connect(self, crosspoints: Iterable[Crosspoint]) -> None:
        """See SwitchMatrix; what is closed already stays closed."""
        wanted = set(crosspoints)
        for i, o in wanted:
            if not (1 <= i <= self.inputs and 1 <= o <= self.outputs):
                raise LimitError(
                    f"crosspoint {(i, o)} is outside inputs 1 .. {self.inputs}, "
                    f"outputs 1 .. {self.outputs}"
                )
        opened, closed = self._crosspoints - wanted, wanted - self._crosspoints
        with self.settings():
            if opened:
                self.send(self._open(sorted(opened)))
            self._crosspoints -= opened
            if closed:
                # from here on a crosspoint may be closed even if an error comes back
                self._crosspoints |= closed
                self.send(self._close(sorted(closed)))

    def off(self) -> None:
        """Open every crosspoint."""
        self.send(self._open_all())
        self._crosspoints: set[Crosspoint] = set()

    def _open(self, points: list[Crosspoint]) -> str:
        raise NotImplementedError

    def _close(self, points: list[Crosspoint]) -> str:
        raise NotImplementedError

    def _open_all(self) -> str:
        raise NotImplementedError


class KeysightB2200(Matrix):
    """B2200A and B2201A in Auto mode (programming guide B2200-90010)."""

    model = r"B220[01]A"
    error_query: ClassVar[str] = ":SYST:ERR?"

    inputs: ClassVar[int] = 14
    outputs: ClassVar[int] = 48

    def prepare(self) -> None:
        """Defaults: everything open, an input may reach many outputs, break before make."""
        self.send("*CLS", "*RST", ":CONN:RULE 0,FREE", ":CONN:SEQ 0,BBM")
        super().prepare()

    def _open(self, points: list[Crosspoint]) -> str:
        return f":OPEN {_channels(points)}"

    def _close(self, points: list[Crosspoint]) -> str:
        return f":CLOS {_channels(points)}"

    def _open_all(self) -> str:
        return ":OPEN:CARD 0"


def _channels(points: list[Crosspoint]) -> str:
    return f"(@{','.join(f'0{i:02d}{o:02d}' for i, o in points)})"


class _KeithleyMatrix(Matrix, TspInstrument):
    """Rows are the inputs, columns of slot after slot the outputs."""

    rows: ClassVar[str]
    columns: ClassVar[int]

    def prepare(self) -> None:
        """Errors cleared, break before make, everything open."""
        self.send("errorqueue.clear()", "channel.connectrule = channel.BREAK_BEFORE_MAKE")
        super().prepare()

    def _open(self, points: list[Crosspoint]) -> str:
        return f"channel.open('{self._channels(points)}')"

    def _close(self, points: list[Crosspoint]) -> str:
        return f"channel.close('{self._channels(points)}')"

    def _open_all(self) -> str:
        return "channel.open('allslots')"

    def _channels(self, points: list[Crosspoint]) -> str:
        names = []
        for i, o in points:
            slot, column = divmod(o - 1, self.columns)
            names.append(f"{slot + 1}{self.rows[i - 1]}{column + 1:02d}")
        return ",".join(names)


class Keithley707B(_KeithleyMatrix):
    """707B with six cards of 8 rows and 12 columns (reference manual 707B-901-01)."""

    model = r"MODEL 70[78]B"

    rows: ClassVar[str] = "ABCDEFGH"
    columns: ClassVar[int] = 12
    inputs: ClassVar[int] = 8
    outputs: ClassVar[int] = 72


class Keithley3706A(_KeithleyMatrix):
    """3706A with 3730 cards of 6 rows and 16 columns, rows bussed (manual 3700AS-901-01)."""

    model = r"MODEL 370[68]A"

    rows: ClassVar[str] = "123456"
    columns: ClassVar[int] = 16
    inputs: ClassVar[int] = 6
    outputs: ClassVar[int] = 96
