"""What every instrument driver is made of: messages under one lock, errors, closing.

Several settings inside ``with instrument.settings():`` share one look at the error queue. Whatever
the queue holds is raised as InstrumentError(query, reply).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cimlab.core.errors import (
    CimError,
    ConfigError,
    InstrumentError,
    LinkError,
    LinkProtocol,
    LinkTimeout,
)
from cimlab.drivers.instruments.link import Link, VisaLink

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
    stop: ClassVar[tuple[str, ...]] = ()
    """Messages that end at once what goes on; none of them is answered."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.RLock()
        self._group: list[str] | None = None
        self._closed = self._owed = self._explaining = False
        self._asked = 0
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

    @contextlib.contextmanager
    def ending(self, action: Callable[[], None]) -> Iterator[None]:
        """Do something at the end, whatever happens inside; the first error is the one to tell."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(CimError):
                action()
            raise
        action()

    @contextlib.contextmanager
    def running(self, seconds: float = 0.0) -> Iterator[None]:
        """Something goes on inside; the instrument may not answer for so many seconds.

        What ends it early (Ctrl-C, an error, no answer) also stops the instrument, which would
        otherwise take the next commands, such as output off, only after its last level.
        """
        self._link.patience = seconds
        try:
            yield
        except BaseException:
            self._link.patience = 0.0
            with contextlib.suppress(CimError):
                self._abort()
            raise
        self._link.patience = 0.0

    def _abort(self) -> None:
        """End what goes on, without waiting for anything."""
        self._link.clear()
        for message in self.stop:
            self._link.write(message)

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
            try:
                if self._owed:
                    self._catch_up()
            finally:  # an instrument that is deaf to us may still turn its output off
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
        """Drop answers that an interrupted query (Ctrl-C, a timeout) left on the way.

        The last of them is the answer to the question asked here, and to those that were asked
        here before in vain.
        """
        self._link.write(self.identify)
        self._asked += 1
        seen = 0
        for _ in range(LATE):
            try:
                seen += self._link.read().strip() == self.identity
            except LinkProtocol:  # what is late may be garbled too
                continue
            except LinkTimeout:
                if not seen:
                    raise
                self._asked = seen  # an earlier question was lost
            if seen == self._asked:
                self._asked, self._owed = 0, False
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

    def table(self, message: str, rows: int, columns: int) -> NDArray[np.float64]:
        """Ask for a table of numbers, row by row; InstrumentError when the answer is another."""
        values = self.numbers(message)
        if len(values) != rows * columns:
            raise InstrumentError(message, f"{len(values)} numbers instead of {rows} x {columns}")
        return np.array(values).reshape(rows, columns)
