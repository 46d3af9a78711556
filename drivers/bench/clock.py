"""The clock of an emulated bench: its cells age on request. Real ones have no such instrument."""

from __future__ import annotations

from typing import ClassVar

from cimlab.drivers.instruments import Instrument


class BenchClock(Instrument):
    """``clock`` of `cimlab mock bench`."""

    model: ClassVar[str] = r"cimlab,bench clock"

    def rest(self, seconds: float) -> None:
        """Let every cell age by so many seconds, at once."""
        self.send(f"REST {seconds!r}")
