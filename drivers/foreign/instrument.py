"""One way to speak to an instrument of PyMeasure (properties) or QCoDeS (parameters)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

import pyvisa
from pyvisa.constants import StatusCode

from cimlab.core.errors import CimError, ConfigError, InstrumentError, LinkClosed, LinkTimeout
from cimlab.drivers.foreign.classes import ForeignClass

_COUNT = itertools.count(1)
_CLOSE = 1e-3
"""How far an instrument may round what it is told, relative; far below what a cell notices."""


class ForeignInstrument:
    """An instrument of another library.

    Words are dotted paths from the part that plays the role (``source.limit``).

    Args:
        chosen: Its class.
        resource: VISA resource name.
        visa: PyVISA backend.

    Raises:
        LinkClosed: It cannot be opened.
        ConfigError: It has no such part.
    """

    def __init__(self, chosen: ForeignClass, resource: str, visa: str) -> None:
        self.name = chosen.kind.__name__ + (f"#{chosen.part}" if chosen.part else "")
        self.package = chosen.package
        try:
            # QCoDeS greets on standard output, where a command's answer belongs
            with contextlib.redirect_stdout(None):
                self.root = _opened(chosen, resource, visa)
        except Exception as error:  # each library and each VISA has its own
            raise LinkClosed(f"{self.name} cannot be opened at {resource}: {error}") from error
        self._closed = False
        self.part: Any = getattr(self.root, chosen.part, None) if chosen.part else self.root
        if self.part is None:
            self.close()
            raise ConfigError(f"a {chosen.kind.__name__} has no {chosen.part}")

    @functools.cached_property
    def identity(self) -> str:
        """What it says itself, and by whose driver."""
        with self._told("*IDN?"):
            if self.package == "pymeasure":
                said = self.root.ask("*IDN?").strip()
            else:
                said = ",".join(str(value) for value in self.root.get_idn().values())
        return f"{said} ({self.package} {self.name})"

    def has(self, word: str) -> bool:
        """Whether there is such a word; asks the instrument nothing."""
        *path, last = word.split(".")
        owner = functools.reduce(lambda part, name: getattr(part, name, None), path, self.part)
        return hasattr(type(owner), last) or last in getattr(owner, "parameters", {})

    def get(self, word: str) -> Any:
        """A value, asked of the instrument."""
        with self._told(word):
            owner, last = self._owner(word)
            value = getattr(owner, last)
            return value() if callable(value) else value

    def number(self, word: str) -> float:
        """A number; InstrumentError for anything else."""
        value = self.get(word)
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise InstrumentError(f"{self.name}.{word}", repr(value)) from error

    def do(self, word: str, *values: Any) -> Any:
        """Set a property, a parameter, or call a method; ``{ch}`` in a text is the channel."""
        values = tuple(self._of_channel(v) if isinstance(v, str) else v for v in values)
        with self._told(f"{word} {' '.join(map(str, values))}"):
            owner, last = self._owner(word)
            if isinstance(getattr(type(owner), last, None), property):
                return setattr(owner, last, *values)
            return getattr(owner, last)(*values)

    def whole(self, word: str, *values: Any) -> Any:
        """Call a method of the instrument as a whole."""
        with self._told(word):
            return getattr(self.root, word)(*values)

    def put(self, word: str, value: float) -> None:
        """Set a number, and see that the instrument took it."""
        self.do(word, value)
        taken = self.number(word)
        if not math.isclose(taken, value, rel_tol=_CLOSE, abs_tol=1e-12):
            raise InstrumentError(f"{self.name}.{word} = {value:g}", f"it says {taken:g}")

    def check(self, after: str) -> None:
        """InstrumentError with what the instrument complains of, as far as its driver tells."""
        errors: Any = []
        with self._told("error queue"), contextlib.suppress(NotImplementedError):
            if hasattr(self.part, "check_errors"):  # PyMeasure
                errors = self.part.check_errors()
            elif hasattr(self.root, "get_error"):  # QCoDeS: '+0,"No error"'
                errors = _unless_zero(self.root.get_error())
            elif hasattr(self.root, "error"):  # QCoDeS: (0, "No error")
                errors = _unless_zero(str(self.root.error()[0]))
        if errors:
            raise InstrumentError(f"{self.name}: {after}", str(errors))

    def close(self) -> None:
        """Release it; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            (self.root.adapter if self.package == "pymeasure" else self.root).close()

    def _of_channel(self, text: str) -> str:
        number = re.search(r"\d+$", self.name.partition("#")[2])
        return text.replace("{ch}", number[0] if number else "1")

    def _owner(self, word: str) -> tuple[Any, str]:
        *path, last = word.split(".")
        return functools.reduce(getattr, path, self.part), last

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Whatever another library raises becomes an error of ours."""
        try:
            yield
        except CimError:
            raise
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise LinkTimeout(f"{self.name} did not answer {what!r} in time") from error
            raise LinkClosed(f"{self.name}: {error.description}") from error
        except (OSError, pyvisa.Error) as error:
            raise LinkClosed(f"{self.name}: {error}") from error
        except Exception as error:
            raise InstrumentError(f"{self.name}: {what}", str(error)) from error


def _unless_zero(answer: str) -> str:
    return "" if re.match(r"[+-]?0\b", answer) else answer


def _opened(chosen: ForeignClass, resource: str, visa: str) -> Any:
    if chosen.package == "qcodes":
        return chosen.kind(f"cimlab_{next(_COUNT)}", resource, visalib=visa)
    return chosen.kind(resource, visa_library=visa, read_termination="\n", write_termination="\n")
