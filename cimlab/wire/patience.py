"""When a host asks the board what it has, and when it gives up (docs/wire.md 4)."""

from __future__ import annotations

FLOOR = 0.01
"""Shortest wait before the board is asked what it has, s."""
USUAL = 4.0
"""That wait in usual answer times."""
FIRST_WAIT = 0.2
"""That wait while the board's watchdog time is not known, s."""


class Patience:
    """How long to wait in silence: some usual answer times, twice as long after every question.

    Args:
        timeout: Give up when nothing has been answered for so long, s.

    Attributes:
        watchdog: The board's, s, once known: it is asked at least three times in that time.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.watchdog: float | None = None
        self._quiet_since = self._progress = 0.0
        self._rtt = 0.0
        self._backoff = 1

    def heard(self, now: float) -> None:
        """Bytes went or came: the silence begins anew."""
        self._quiet_since = now

    def progress(self, now: float) -> None:
        """The board works on what it was asked for."""
        self._progress = now

    def hurry(self) -> None:
        """The next question is not put off by those before."""
        self._backoff = 1

    def asked(self) -> None:
        """The board was asked what it has."""
        self._backoff *= 2

    def answered(self, seconds: float) -> None:
        """A request that was sent once took so long."""
        self._rtt += (seconds - self._rtt) / 8

    def wait(self, now: float) -> float:
        """Seconds until the board is to be asked, unless bytes arrive before."""
        first, limit = FIRST_WAIT, FIRST_WAIT
        if self.watchdog is not None:
            first, limit = max(FLOOR, USUAL * self._rtt), self.watchdog / 3
        return max(0.0, self._quiet_since + min(first * self._backoff, limit) - now)

    def expired(self, now: float) -> bool:
        """Whether there was no progress for `timeout` seconds."""
        return now - self._progress > self.timeout
