"""The status model of IEEE 488.2 and SCPI: event register, status byte, error queue."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = (
    0x01,
    0x04,
    0x08,
    0x10,
    0x20,
    0x80,
)
QUEUE = 10
"""Errors an instrument keeps; the last place then says that there were more."""


@dataclass(slots=True)
class Register:
    """Condition, latched events and their enable mask."""

    condition: int = 0
    event: int = 0
    enable: int = 0

    def set(self, condition: int) -> None:
        """Change the condition; bits that rise are latched."""
        self.event |= condition & ~self.condition
        self.condition = condition

    def read_event(self) -> int:
        """The latched events, which reading clears."""
        event, self.event = self.event, 0
        return event


@dataclass(slots=True)
class Status:
    """Everything *STB? looks at.

    Attributes:
        esr: Standard event register; *ESR? reads and clears it.
        ese, sre: Enable masks.
        registers: SCPI registers by their status byte's bit: 3 questionable, 7 operation.
        errors: Oldest first.
    """

    esr: int = POWER_ON
    ese: int = 0
    sre: int = 0
    registers: dict[int, Register] = field(default_factory=lambda: {3: Register(), 7: Register()})
    errors: deque[tuple[int, str]] = field(default_factory=deque)

    def error(self, code: int, text: str) -> None:
        """Queue an error and set the event that its number belongs to."""
        if len(self.errors) >= QUEUE:
            self.errors[-1] = (-350, "Queue overflow")
        else:
            self.errors.append((code, text))
        if -200 < code <= -100:
            self.esr |= COMMAND_ERROR
        elif -300 < code <= -200:
            self.esr |= EXECUTION_ERROR
        elif -500 < code <= -400:
            self.esr |= QUERY_ERROR
        else:
            self.esr |= DEVICE_ERROR

    def next_error(self) -> tuple[int, str]:
        """The oldest error, taken off the queue; (0, "No error") when there is none."""
        return self.errors.popleft() if self.errors else (0, "No error")

    def read_events(self) -> int:
        """The standard event register, which reading clears."""
        esr, self.esr = self.esr, 0
        return esr

    def clear(self) -> None:
        """*CLS: events and errors go, masks stay."""
        self.esr = 0
        self.errors.clear()
        for register in self.registers.values():
            register.event = 0

    def preset(self) -> None:
        """STATus:PRESet: no SCPI event is enabled."""
        for register in self.registers.values():
            register.enable = 0

    def byte(self) -> int:
        """The status byte with the master summary in bit 6."""
        byte = 0x04 if self.errors else 0
        byte |= 0x20 if self.esr & self.ese else 0
        for bit, register in self.registers.items():
            byte |= (1 << bit) if register.event & register.enable else 0
        return byte | (0x40 if byte & self.sre & ~0x40 else 0)
