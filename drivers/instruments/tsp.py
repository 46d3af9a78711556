"""What drivers of instruments that run TSP scripts share."""

from __future__ import annotations

from typing import ClassVar

from cimlab.drivers.instruments.base import Instrument


class TspInstrument(Instrument):
    """An Instrument whose language is Lua: queries are printed, errors are popped off a queue."""

    error_query: ClassVar[str] = "print(errorqueue.next())"
    no_error: ClassVar[str] = r"[+-]?0(\.0*)?(e[+-]?0+)?\s"

    def ask(self, expression: str) -> str:
        """The value of an expression, as the instrument prints it."""
        return self.query(f"print({expression})").strip()
