"""What every emulated SCPI instrument does: settings, common commands, status, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.scpi import Kind, ScpiError, Unit, Value
from cimlab.mock_hw.instruments.status import OPERATION_COMPLETE, Register, Status

Handler = Callable[..., str | None]
F = TypeVar("F", bound=Handler)


class Emulator(Protocol):
    """An instrument behind a byte stream: whole messages in, whole replies out."""

    @property
    def end(self) -> bytes:
        """What ends a message from the host."""
        ...

    def handle(self, message: bytes) -> bytes:
        """Carry out one message (without its end); the reply with its end, or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a command sets and a query answers.

    Attributes:
        key: What the emulator calls it.
        kind: How it is read, checked and answered.
        default: Value after *RST.
        headers: Every header that it answers to.
        count: Highest numeric suffix.
    """

    key: str
    kind: Kind
    default: Value
    headers: tuple[str, ...]
    count: int = 1


def setting(key: str, kind: Kind, default: Value, *headers: str, count: int = 1) -> Setting:
    """A Setting with its headers as a list."""
    return Setting(key, kind, default, headers, count)


def command(*headers: str) -> Callable[[F], F]:
    """Mark a method as what headers do; a header with ``?`` at its end is a query."""

    def mark(method: F) -> F:
        method.headers = headers  # type: ignore[attr-defined]
        return method

    return mark


class ScpiEmulator:
    """A SCPI instrument on a bench; makers and models are its children.

    A method marked with `command` gets the numeric suffixes of its header (int), then the
    parameters as one list of str, and returns the answer of a query.

    Args:
        bench: Where its terminals go.
    """

    settings: ClassVar[tuple[Setting, ...]] = ()
    identity: ClassVar[str]
    end: ClassVar[bytes] = b"\n"
    no_error: ClassVar[str] = '+0,"No error"'

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.status = Status()
        self._values: dict[tuple[str, int], Value] = {}
        self._headers = self._table()
        self._found: dict[tuple[str, bool], tuple[Handler, tuple[int, ...]]] = {}
        self.reset()

    def _table(self) -> list[tuple[re.Pattern[str], bool, Handler]]:
        """Every header of this instrument with what it does."""
        table = []
        for each in self.settings:
            for header in each.headers:
                expression = scpi.pattern(header)
                table.append((expression, False, self._setter(each)))
                table.append((expression, True, self._getter(each)))
        for name in dir(type(self)):
            method = getattr(type(self), name)
            for header in getattr(method, "headers", ()):
                bound = getattr(self, name)
                table.append((scpi.pattern(header.rstrip("?")), header.endswith("?"), bound))
        return table

    def _setter(self, each: Setting) -> Handler:
        def write(*suffixes_and_values: Any) -> None:
            *suffixes, given = suffixes_and_values
            scpi.arguments(given, 1, 1)
            n = self._channel(each, suffixes)
            value = each.kind.parse(given[0])
            self.check(each.key, n, value)
            self._values[each.key, n] = value
            self.changed(each.key, n)

        return write

    def _getter(self, each: Setting) -> Handler:
        def read(*suffixes_and_values: Any) -> str:
            *suffixes, given = suffixes_and_values
            scpi.arguments(given, 0, 1)
            n = self._channel(each, suffixes)
            value = each.kind.parse(given[0]) if given else self.get(each.key, n)
            return each.kind.show(value)

        return read

    def _channel(self, each: Setting, suffixes: Sequence[int]) -> int:
        n = max(suffixes, default=1)
        if not 1 <= n <= each.count:
            raise ScpiError(*scpi.SUFFIX)
        return n

    def get(self, key: str, n: int = 1) -> Any:
        """A setting's value."""
        return self._values[key, n]

    def put(self, key: str, value: Value, n: int = 1) -> None:
        """Change a setting from within."""
        self._values[key, n] = value

    def check(self, key: str, n: int, value: Value) -> None:
        """Refuse a value that its own range allows but other settings do not, with ScpiError."""

    def changed(self, key: str, n: int) -> None:
        """Called after a setting changed."""

    def reset(self) -> None:
        """*RST: every setting at its default."""
        for each in self.settings:
            for n in range(1, each.count + 1):
                self._values[each.key, n] = each.default

    def handle(self, message: bytes) -> bytes:
        """Carry out one line; answers of several queries are joined by semicolons."""
        answers = []
        for unit in scpi.units(message.decode("latin-1").strip()):
            try:
                answer = self._carry_out(unit)
            except ScpiError as error:
                self.status.error(error.code, error.text)
                continue
            if answer is not None:
                answers.append(answer)
        return ";".join(answers).encode("latin-1") + b"\n" if answers else b""

    def _carry_out(self, unit: Unit) -> str | None:
        method, suffixes = self._look_up(unit.header, unit.query)
        return method(*suffixes, unit.arguments)

    def _look_up(self, header: str, query: bool) -> tuple[Handler, tuple[int, ...]]:
        key = (header, query)
        if key not in self._found:
            for expression, asks, method in self._headers:
                if asks == query and (match := expression.fullmatch(header)):
                    suffixes = tuple(int(group or 1) for group in match.groups())
                    self._found[key] = (method, suffixes)
                    break
            else:
                raise ScpiError(*scpi.UNDEFINED)
        return self._found[key]

    @command("*IDN?")
    def _identify(self, given: Sequence[str]) -> str:
        return self.identity

    @command("*RST")
    def _reset(self, given: Sequence[str]) -> None:
        self.reset()

    @command("*CLS")
    def _clear(self, given: Sequence[str]) -> None:
        self.status.clear()

    @command("*ESR?")
    def _events(self, given: Sequence[str]) -> str:
        return str(self.status.read_events())

    @command("*ESE")
    def _set_event_mask(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        self.status.ese = scpi.Integer(0, 255, 0).parse(given[0])

    @command("*ESE?")
    def _event_mask(self, given: Sequence[str]) -> str:
        return str(self.status.ese)

    @command("*SRE")
    def _set_service_mask(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        self.status.sre = scpi.Integer(0, 255, 0).parse(given[0]) & ~0x40

    @command("*SRE?")
    def _service_mask(self, given: Sequence[str]) -> str:
        return str(self.status.sre)

    @command("*STB?")
    def _status_byte(self, given: Sequence[str]) -> str:
        return str(self.status.byte())

    @command("*OPC")
    def _complete(self, given: Sequence[str]) -> None:
        self.status.esr |= OPERATION_COMPLETE

    @command("*OPC?")
    def _completed(self, given: Sequence[str]) -> str:
        return "1"

    @command("*TST?")
    def _test(self, given: Sequence[str]) -> str:
        return "0"

    @command("*WAI")
    def _wait(self, given: Sequence[str]) -> None:
        """Everything here is carried out before the next command is read."""

    @command("*OPT?")
    def _options(self, given: Sequence[str]) -> str:
        return "0"

    @command("SYSTem:ERRor[:NEXT]?")
    def _error(self, given: Sequence[str]) -> str:
        return self.show_error(*self.status.next_error())

    def show_error(self, code: int, text: str) -> str:
        """How this maker writes an error."""
        return f'{code:+d},"{text}"'

    @command("SYSTem:ERRor:COUNt?")
    def _errors(self, given: Sequence[str]) -> str:
        return str(len(self.status.errors))

    @command("SYSTem:VERSion?")
    def _version(self, given: Sequence[str]) -> str:
        return "1999.0"

    @command("STATus:PRESet")
    def _preset(self, given: Sequence[str]) -> None:
        self.status.preset()

    @command("STATus:QUEStionable[:EVENt]?")
    def _questionable(self, given: Sequence[str]) -> str:
        return str(self.status.registers[3].read_event())

    @command("STATus:QUEStionable:CONDition?")
    def _questionable_now(self, given: Sequence[str]) -> str:
        return str(self.status.registers[3].condition)

    @command("STATus:QUEStionable:ENABle")
    def _enable_questionable(self, given: Sequence[str]) -> None:
        enable(self.status.registers[3], given)

    @command("STATus:OPERation[:EVENt]?")
    def _operation(self, given: Sequence[str]) -> str:
        return str(self.status.registers[7].read_event())

    @command("STATus:OPERation:CONDition?")
    def _operation_now(self, given: Sequence[str]) -> str:
        return str(self.status.registers[7].condition)

    @command("STATus:OPERation:ENABle")
    def _enable_operation(self, given: Sequence[str]) -> None:
        enable(self.status.registers[7], given)


def enable(register: Register, given: Sequence[str]) -> None:
    """Set a register's enable mask from a command's parameters."""
    scpi.arguments(given, 1, 1)
    register.enable = scpi.Integer(0, 65535, 0).parse(given[0])
