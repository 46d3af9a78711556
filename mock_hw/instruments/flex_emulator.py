"""What every instrument that speaks FLEX does: dispatch, errors, common commands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from cimlab.mock_hw.instruments import flex
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import command
from cimlab.mock_hw.instruments.flex import FlexError, Given

QUEUE = 4
"""Errors that are kept."""

Handler = Callable[[str, Given], str | None]


class FlexEmulator:
    """A FLEX instrument on a bench.

    A method marked with `command` gets the header and the parameters, and returns what is sent.

    Args:
        bench: Where its terminals go.
    """

    identity: ClassVar[str]
    end: ClassVar[bytes] = b"\n"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._errors: deque[int] = deque()
        self._handlers: dict[str, Handler] = {}
        for name in dir(type(self)):
            for header in getattr(getattr(type(self), name), "headers", ()):
                self._handlers[header] = getattr(self, name)
        self.reset()

    def reset(self) -> None:
        """*RST: the error queue stays."""

    def handle(self, message: bytes) -> bytes:
        """Carry out one line; each answer is a line."""
        answers = []
        try:
            for header, given in flex.commands(message.decode("latin-1").strip()):
                if header not in self._handlers:
                    raise FlexError(flex.UNDEFINED)
                answer = self._handlers[header](header, given)
                if answer is not None:
                    answers.append(answer)
        except FlexError as error:
            if len(self._errors) < QUEUE:
                self._errors.append(error.code)
        return "".join(f"{answer}\r\n" for answer in answers).encode("latin-1")

    @command("*IDN?")
    def _identify(self, name: str, given: Given) -> str:
        return self.identity

    @command("*RST")
    def _reset(self, name: str, given: Given) -> None:
        self.reset()

    @command("*OPC?", "WNU?")
    def _one(self, name: str, given: Given) -> str:
        return "1"

    @command("*TST?", "*CAL?", "NUB?", "*STB?", "*SRE?")
    def _nought(self, name: str, given: Given) -> str:
        return "0"

    @command("*OPC", "*SRE", "AB", "BC", "WAT", "WS", "OSX", "STGP")
    def _nothing(self, name: str, given: Given) -> None:
        """Nothing is going on, and nothing waits, when a command is read."""

    @command("ERR?")
    def _codes(self, name: str, given: Given) -> str:
        count = 1 if given.integer(0, 0, 1, 0) else QUEUE
        codes = [self._errors.popleft() if self._errors else 0 for _ in range(count)]
        return ",".join(map(str, codes))

    @command("ERRX?")
    def _error(self, name: str, given: Given) -> str:
        code = self._errors.popleft() if self._errors else 0
        return f"{code:+d}" + ("" if given.integer(0, 0, 1, 0) else f',"{flex.TEXTS[code]}"')

    @command("EMG?")
    def _text(self, name: str, given: Given) -> str:
        return flex.TEXTS.get(given.integer(0, 0, 99_999), "")
