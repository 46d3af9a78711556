"""SCPI as instruments understand it: headers, messages, parameters. No instrument in particular.

A header pattern is written as in manuals: ``[:SOURce]:VOLTage<n>[:LEVel]``. Upper case letters are
the short form, the whole word is the long form, nothing between is accepted; parts in brackets may
be left out; ``<n>`` is a numeric suffix, 1 when it is left out. Case does not matter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Value = float | int | bool | str


class ScpiError(Exception):
    """An error for the queue of the instrument that met it.

    Attributes:
        code: SCPI error number, or the maker's own.
        text: Its message.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


UNDEFINED = (-113, "Undefined header")
SUFFIX = (-114, "Header suffix out of range")
TOO_MANY = (-108, "Parameter not allowed")
MISSING = (-109, "Missing parameter")
DATA_TYPE = (-104, "Data type error")
CONFLICT = (-221, "Settings conflict")
OUT_OF_RANGE = (-222, "Parameter data out of range")
ILLEGAL = (-224, "Illegal parameter value")


def pattern(header: str) -> re.Pattern[str]:
    """The expression that matches a header pattern, against upper case with a leading colon."""
    out, first = "", not header.startswith(("[", ":", "*"))
    for piece in re.findall(r"\[|\]|:|\*?[A-Za-z]+\d*|<n>", (":" if first else "") + header):
        if piece == "[":
            out += "(?:"
        elif piece == "]":
            out += ")?"
        elif piece == "<n>":
            out += r"(\d*)"
        elif piece == ":":
            out += ":"
        else:
            word = piece.rstrip("0123456789")
            short = _short(word)
            rest = word.upper()[len(short) :]
            out += re.escape(short) + (f"(?:{rest})?" if rest else "") + piece[len(word) :]
    return re.compile(out)


@dataclass(frozen=True, slots=True)
class Unit:
    """One command or query of a message.

    Attributes:
        header: Upper case, from the root, with a leading colon unless it is a common command.
        query: True for a query.
        arguments: Parameters as sent, without blanks around them.
        text: As sent, for messages.
    """

    header: str
    query: bool
    arguments: tuple[str, ...]
    text: str


def units(message: str) -> Iterator[Unit]:
    """The commands of one message, each with its full header: ``:A:B 1;C?`` is A:B and A:C?."""
    path = ""
    for text in split(message, ";"):
        head, _, tail = text.partition(" ")
        if "\t" in head:
            head, _, tail = text.partition("\t")
        query = head.endswith("?")
        name = head.rstrip("?").upper()
        if name.lstrip(":").startswith("*"):
            full = name.lstrip(":")
        else:
            full = name if name.startswith(":") else f"{path}:{name}"
            path = full.rpartition(":")[0]
        arguments = tuple(split(tail, ",")) if tail.strip() else ()
        yield Unit(full, query, arguments, text)


def split(text: str, separator: str) -> list[str]:
    """Cut at separators outside quotes and brackets; pieces are stripped, empty ones dropped."""
    pieces, start, depth, quote = [], 0, 0, ""
    for k, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
        elif c == separator and depth <= 0:
            pieces.append(text[start:k])
            start = k + 1
    pieces.append(text[start:])
    return [piece.strip() for piece in pieces if piece.strip()]


class Kind(Protocol):
    """How a parameter is read and written."""

    def parse(self, text: str) -> Value:
        """The value of a parameter as sent; ScpiError when it is none."""
        ...

    def show(self, value: Value) -> str:
        """The value as the instrument answers it."""
        ...


_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)\s*([A-Z]*)")
_PREFIX = {"": 1.0, "N": 1e-9, "U": 1e-6, "M": 1e-3, "K": 1e3, "MA": 1e6, "G": 1e9}
_UNITS = ("OHM", "HZ", "V", "A", "S", "PCT")


def number(text: str) -> float:
    """A decimal number with an optional unit, such as 1.5E-3, 10 mA or 2 MHZ."""
    match = _NUMBER.fullmatch(text.strip().upper())
    if not match:
        raise ScpiError(*DATA_TYPE)
    suffix = match[2]
    unit = next((u for u in _UNITS if suffix.endswith(u) and suffix[: -len(u)] in _PREFIX), "")
    prefix = suffix.removesuffix(unit)
    if prefix == "M" and unit in ("HZ", "OHM"):
        prefix = "MA"
    if prefix not in _PREFIX:
        raise ScpiError(-131, "Invalid suffix")
    return float(match[1]) * _PREFIX[prefix]


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range; MIN, MAX and DEF are understood.

    Attributes:
        low, high: Range, inclusive.
        default: What DEF means.
        form: Python format of the answer.
        infinite: True where INFinity is a value.
    """

    low: float
    high: float
    default: float
    form: str = "+.6E"
    infinite: bool = False

    def parse(self, text: str) -> float:
        """See Kind."""
        word = text.upper()
        for short, long, value in (
            ("MIN", "MINIMUM", self.low),
            ("MAX", "MAXIMUM", self.high),
            ("DEF", "DEFAULT", self.default),
            ("INF", "INFINITY", math.inf if self.infinite else None),
        ):
            if word in (short, long) and value is not None:
                return value
        value = number(text)
        if self.infinite and value >= 9.9e37:
            return math.inf
        if not self.low <= value <= self.high:
            raise ScpiError(*OUT_OF_RANGE)
        return value

    def show(self, value: Value) -> str:
        """See Kind; infinity is SCPI's 9.9E37."""
        value = float(value)
        if math.isinf(value):
            value = math.copysign(9.9e37, value)
        return format(value, self.form)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in a range, inclusive."""

    low: int
    high: int
    default: int
    form: str = "d"

    def parse(self, text: str) -> int:
        """See Kind; a fraction is rounded, as IEEE 488.2 asks."""
        return round(Number(self.low, self.high, self.default).parse(text))

    def show(self, value: Value) -> str:
        """See Kind."""
        return format(value, self.form)


class Boolean:
    """ON, OFF, or a number that is rounded."""

    def parse(self, text: str) -> bool:
        """See Kind."""
        word = text.upper()
        return word == "ON" if word in ("ON", "OFF") else round(number(text)) != 0

    def show(self, value: Value) -> str:
        """See Kind."""
        return "1" if value else "0"


class Choice:
    """One of several words, each in its short or long form; the short one is answered.

    Args:
        words: As in manuals: "VOLTage", "CURRent".
        quoted: True where the word is sent and answered as a string.
        answers: What is answered in place of a short form.
    """

    def __init__(
        self, *words: str, quoted: bool = False, answers: dict[str, str] | None = None
    ) -> None:
        self._words = [(re.compile(f"(?:{_either(word)})"), _short(word)) for word in words]
        self._quoted, self._answers = quoted, answers or {}

    def parse(self, text: str) -> str:
        """See Kind."""
        word = unquoted(text).upper() if self._quoted or text[:1] in "\"'" else text.upper()
        for expression, short in self._words:
            if expression.fullmatch(word):
                return short
        raise ScpiError(*ILLEGAL)

    def show(self, value: Value) -> str:
        """See Kind."""
        answer = self._answers.get(str(value), str(value))
        return f'"{answer}"' if self._quoted else answer


def _short(word: str) -> str:
    return "".join(c for c in word if not c.islower())


def _either(word: str) -> str:
    return f"{re.escape(_short(word))}|{re.escape(word.upper())}"


def unquoted(text: str) -> str:
    """The inside of a quoted string; ScpiError when it is not quoted."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    raise ScpiError(*DATA_TYPE)


def channels(text: str) -> list[tuple[str, str]]:
    """A channel list (@a,b:c) as ranges of channel names; a single channel is a range to itself."""
    match = re.fullmatch(r"\(@\s*(.*?)\s*\)", text)
    if not match:
        raise ScpiError(*DATA_TYPE)
    ranges = []
    for piece in filter(None, (p.strip() for p in match[1].split(","))):
        first, _, last = piece.partition(":")
        ranges.append((first.strip(), (last or first).strip()))
    return ranges


def arguments(given: Sequence[str], least: int, most: int) -> None:
    """Refuse too few or too many parameters."""
    if len(given) < least:
        raise ScpiError(*MISSING)
    if len(given) > most:
        raise ScpiError(*TOO_MANY)
