"""Settings of an instrument as attributes of its driver.

A setting is one line of a driver::

    nplc = Number("SENS:CURR:NPLC", 0.01, 10, "power line cycles")

Writing it checks the range before a byte leaves, sends the command, and then reads the
instrument's error queue. Several writes inside ``with instrument.settings():`` share one look at
the queue. Whatever the queue holds is raised as InstrumentError(query, reply).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Self, TypeVar, overload

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments.base import Instrument

T = TypeVar("T")


class Setting(Generic[T]):
    """A value of the instrument as an attribute of its driver.

    Args:
        command: Header; a question mark makes it the query.
        doc: What it is, for people.
    """

    def __init__(self, command: str, doc: str = "") -> None:
        self._command, self.__doc__ = command, doc or command
        self._name = command

    def __set_name__(self, owner: type[Instrument], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instrument: None, owner: type[Instrument]) -> Self: ...
    @overload
    def __get__(self, instrument: Instrument, owner: type[Instrument]) -> T: ...
    def __get__(self, instrument: Instrument | None, owner: type[Instrument]) -> T | Self:
        if instrument is None:
            return self
        query = self.question()
        answer = instrument.query(query).strip()
        try:
            return self._decode(answer)
        except (ValueError, KeyError):
            raise InstrumentError(query, answer) from None

    def __set__(self, instrument: Instrument, value: T) -> None:
        instrument.send(self.order(self._encode(value)))

    def question(self) -> str:
        """What asks for the value."""
        return f"{self._command}?"

    def order(self, text: str) -> str:
        """What sets the value."""
        return f"{self._command} {text}"

    def _decode(self, answer: str) -> T:
        raise NotImplementedError

    def _encode(self, value: T) -> str:
        raise NotImplementedError


class Number(Setting[float]):
    """A number within low .. high (inclusive) of a unit; LimitError outside."""

    def __init__(self, command: str, low: float, high: float, unit: str, doc: str = "") -> None:
        super().__init__(command, f"{doc or command}, {low:g} .. {high:g} {unit}".strip())
        self._low, self._high, self._unit = low, high, unit

    def _decode(self, answer: str) -> float:
        return float(answer)

    def _encode(self, value: float) -> str:
        if not self._low <= value <= self._high:
            raise LimitError(
                f"{self._name} {value:g} {self._unit} is outside "
                f"{self._low:g} .. {self._high:g} {self._unit}"
            )
        return f"{value:.9g}"


class Switch(Setting[bool]):
    """Something that is on or off."""

    def _decode(self, answer: str) -> bool:
        return bool(int(float(answer)))

    def _encode(self, value: bool) -> str:
        return "1" if value else "0"


class Choice(Setting[str]):
    """One of several words.

    Args:
        command: Header.
        words: What a driver calls each, and what the instrument calls it, both ways.
        doc: What it is.
    """

    def __init__(self, command: str, words: Mapping[str, str], doc: str = "") -> None:
        super().__init__(command, doc)
        self._words = dict(words)
        self._names = {word.strip("\"'"): name for name, word in words.items()}

    def _decode(self, answer: str) -> str:
        return self._names[answer.strip("\"'")]

    def _encode(self, value: str) -> str:
        if value not in self._words:
            raise ConfigError(f"{self._name} is one of {', '.join(self._words)}, not {value!r}")
        return self._words[value]
