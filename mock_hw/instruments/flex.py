"""FLEX, the language of Keysight's parameter analyzers: commands, parameters, errors, data.

A message holds commands separated by semicolons; a command is a header of letters, a question mark
if it asks, and numbers separated by commas. Errors are numbered from 100 on (chapter 5 of the
B1500A programming guide, B1500-90010); the rest of a message that fails is dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

UNDEFINED, SYNTAX, VALUE, CHANNEL, CHANNELS, COMPLIANCE, RANGE, POLARITY, SWITCHED_OFF = (
    100,
    102,
    120,
    121,
    122,
    123,
    124,
    130,
    200,
)
TEXTS = {
    0: "No Error.",
    UNDEFINED: "Undefined GPIB command.",
    SYNTAX: "Incorrect numeric data syntax.",
    VALUE: "Incorrect parameter value.",
    CHANNEL: "Channel number must be corrected.",
    CHANNELS: "Number of channels must be corrected.",
    COMPLIANCE: "Compliance must be set correctly.",
    RANGE: "Incorrect range value for this channel.",
    POLARITY: "Start and stop must be same polarity.",
    SWITCHED_OFF: "Channel output switch must be ON.",
}
INVALID = 199.999e99
"""What stands where there is no measurement."""
STATUS = {"N": 0, "V": 1, "T": 4, "C": 8, "W": 1, "E": 2}
"""What a status letter is in the format with numbers."""
END_OF_DATA = 128
_COMMAND = re.compile(r"(\*?[A-Z]+)(\?)?\s*(.*)", re.IGNORECASE | re.DOTALL)


class FlexError(Exception):
    """An error for the queue.

    Attributes:
        code: Its number.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Given(list[str]):
    """The parameters of one command."""

    def number(self, k: int, low: float, high: float, default: float | None = None) -> float:
        """Parameter k within low .. high; the default when it is not there."""
        if k >= len(self) or self[k] == "":
            return default if default is not None else refuse(VALUE)
        try:
            value = float(self[k])
        except ValueError:
            raise FlexError(SYNTAX) from None
        if not (math.isfinite(value) and low <= value <= high):
            raise FlexError(VALUE)
        return value

    def integer(self, k: int, low: int, high: int, default: int | None = None) -> int:
        """Parameter k as a whole number within low .. high."""
        value = self.number(k, low, high, default)
        return int(value) if value == int(value) else refuse(VALUE)

    def integers(self, start: int = 0) -> list[int]:
        """All parameters from one on."""
        return [self.integer(k, 0, 10_000) for k in range(start, len(self))]


def refuse(code: int) -> NoReturn:
    """Raise an error, in an expression."""
    raise FlexError(code)


def commands(message: str) -> Iterator[tuple[str, Given]]:
    """Header in upper case (with its question mark) and parameters of each command."""
    for text in filter(None, (part.strip() for part in message.split(";"))):
        match = _COMMAND.fullmatch(text)
        if match is None:
            raise FlexError(UNDEFINED)
        given = Given(part.strip() for part in match[3].split(",")) if match[3] else Given()
        yield match[1].upper() + (match[2] or ""), given


@dataclass(frozen=True, slots=True)
class Datum:
    """One number of a measurement.

    Attributes:
        status: N normal, C in compliance, T another channel was, V no measurement; W and E are
            steps of a sweep source and its last one.
        channel: Channel letter.
        kind: V, I, T (time) or X (index); small letters are source values.
        value: In SI units.
    """

    status: str
    channel: str
    kind: str
    value: float

    def show(self, form: int, last: bool) -> str:
        """As the data format FMT asks."""
        digits = 5 if form < 10 else 6
        number = f"{self.value:+.{digits}E}"
        if self.value == INVALID:
            number = "+199.999E+99" if form < 10 else "+199.9990E+99"
        if form in (2, 12, 22):
            return number
        if form == 21:
            code = STATUS[self.status] + END_OF_DATA * last
            return f"{code:03d}{self.channel}{self.kind}{number}"
        return f"{self.status}{self.channel}{self.kind.upper()}{number}"


def line(data: Sequence[Datum], form: int) -> str:
    """Data of one measurement, as sent."""
    return ",".join(d.show(form, last=d is data[-1]) for d in data)


def letter(channel: int) -> str:
    """How data name a channel: A is slot 1, and its first subchannel."""
    slot, sub = divmod(channel, 100) if channel > 100 else (channel, 1)
    return chr(ord("A" if sub == 1 else "a") + slot - 1)
