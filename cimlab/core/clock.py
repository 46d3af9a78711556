"""Time as a dependency: real on the bench, virtual in mocks, so a day takes milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Seconds since an arbitrary start, and a way to wait."""

    def now(self) -> float:
        """Monotonic time in seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for the given seconds."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Monotonic time in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for the given seconds."""
        time.sleep(seconds)


class VirtualClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Virtual time in seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock forward at once."""
        if not seconds >= 0:
            raise ValueError(f"cannot sleep {seconds} s")
        self._now += seconds


class RestingClock(VirtualClock):
    """The time of emulated cells: whoever sleeps lets them rest for so long, at once.

    Args:
        rest: Lets all cells age by so many seconds.
    """

    def __init__(self, rest: Callable[[float], None]) -> None:
        super().__init__()
        self._rest = rest

    def sleep(self, seconds: float) -> None:
        """Move the clock forward, and the cells with it."""
        super().sleep(seconds)
        self._rest(seconds)
