"""What every instrument driver is made of: messages under one lock, settings as properties.

A setting is one line of a driver::

    nplc = Number("SENS:CURR:NPLC", 0.01, 10, "power line cycles")

Writing it checks the range before a byte leaves, sends the command, and then reads the
instrument's error queue. Several writes inside ``with instrument.settings():`` share one look at
the queue. Whatever the queue holds is raised as InstrumentError(query, reply).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar, overload

from cimlab.core.errors import (
    CimError,
    ConfigError,
    InstrumentError,
    LimitError,
    LinkError,
    LinkProtocol,
    LinkTimeout,
)
from cimlab.drivers.instruments.link import Link, VisaLink

T = TypeVar("T")
ERRORS = 20
"""Errors read after one group before giving up on an instrument that never runs out of them."""
LATE = 30_000
"""Answers that an interrupted query may have left: the most that an instrument keeps."""


class Instrument:
    """An instrument on a link, which it owns from now on.

    A driver says by `model` which identities it takes; another instrument at the address is refused
    before anything else is sent. Leaving the context turns the outputs off and closes the link.

    Args:
        link: The line to it.

    Attributes:
        identity: Make, model, serial number, firmware, as it says itself.

    Raises:
        ConfigError: Something else answers there.
    """

    model: ClassVar[str]
    """Pattern that the identity must contain."""
    end: ClassVar[str] = "\n"
    identify: ClassVar[str] = "*IDN?"
    error_query: ClassVar[str] = "SYST:ERR?"
    no_error: ClassVar[str] = r"[+-]?0\b"
    """Pattern at the start of an empty queue's answer."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.RLock()
        self._group: list[str] | None = None
        self._closed = self._owed = self._explaining = False
        self.identity = ""
        try:
            self.identity = self.query(self.identify).strip()
            if not re.search(self.model, self.identity, re.IGNORECASE):
                raise ConfigError(
                    f"{type(self).__name__} expected at this address, but {self.identity!r} answers"
                )
            self.prepare()
        except CimError:
            link.close()
            raise

    @classmethod
    def open(cls, resource: str, visa: str = "@py") -> Self:
        """Connect; resource and visa as in VisaLink."""
        return cls(VisaLink(resource, visa, cls.end))

    def prepare(self) -> None:
        """Bring the instrument into the state the driver counts on; nothing by default."""

    def off(self) -> None:
        """Outputs off; nothing to turn off by default."""

    def close(self) -> None:
        """Off, then release the link; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.off()
        finally:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def query(self, message: str) -> str:
        """Send a query and wait for its answer; see queries."""
        return self.queries([message], 1)[0]

    def queries(self, messages: Sequence[str], count: int) -> list[str]:
        """Send messages that are answered count times altogether, then wait for the answers.

        Raises:
            InstrumentError: An answer is missing, and the error queue says why.
            LinkTimeout: An answer is missing.
        """
        with self._lock:
            if self._owed:
                self._catch_up()
            self._owed = True
            for message in messages:
                self._link.write(message)
            try:
                answers = [self._link.read() for _ in range(count)]
            except LinkTimeout:
                self._explain("; ".join(messages))
                raise
            self._owed = False
            return answers

    def _explain(self, sent: str) -> None:
        """What did the instrument have against it? Nothing happens when it does not say."""
        if self._explaining:
            return
        self._explaining = True
        try:
            self.check(sent)
        except LinkError:
            return
        finally:
            self._explaining = False

    def _catch_up(self) -> None:
        """Drop answers that an interrupted query (Ctrl-C, a timeout) left on the way."""
        self._link.write(self.identify)
        for _ in range(LATE):
            if self._link.read().strip() == self.identity:
                self._owed = False
                return
        raise LinkProtocol(f"{self.identity} does not say who it is any more")

    def send(self, *messages: str) -> None:
        """Send commands, then see whether they were accepted.

        Raises:
            InstrumentError: The instrument queued an error.
        """
        with self.settings() as group:
            for message in messages:
                self._link.write(message)
                group.append(message)

    @contextlib.contextmanager
    def settings(self) -> Iterator[list[str]]:
        """Commands sent inside are one group, with one look at the error queue at its end.

        Gives the commands sent so far; groups may be nested, the outermost one looks.
        """
        with self._lock:
            if self._group is not None:
                yield self._group
                return
            group = self._group = []
            try:
                yield group
            finally:
                self._group = None
            if group:
                self.check("; ".join(group))

    def check(self, sent: str) -> None:
        """Empty the error queue; InstrumentError with all it held after what was sent."""
        errors = []
        for _ in range(ERRORS):
            answer = self.query(self.error_query).strip()
            if re.match(self.no_error, answer):
                break
            errors.append(answer)
        if errors:
            raise InstrumentError(sent, " | ".join(errors))

    def numbers(self, message: str) -> list[float]:
        """Ask for numbers separated by commas.

        Raises:
            InstrumentError: The answer is something else.
        """
        answer = self.query(message)
        try:
            return [float(text) for text in answer.split(",")]
        except ValueError:
            raise InstrumentError(message, answer) from None


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
