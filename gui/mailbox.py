"""A letter box for one letter: who posts never waits, who fetches gets the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Latest-wins queue of length one between a measuring thread and the window.

    Args:
        notify: Called in the poster's thread when a letter falls into the empty box; must not
            block. A letter that replaces an unfetched one notifies nobody: however slow the
            window, there is never more than one notice on its way.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._letter: T | None = None

    def post(self, letter: T) -> None:
        """Leave a letter, in place of one that nobody fetched."""
        with self._lock:
            empty = self._letter is None
            self._letter = letter
        if empty:
            self._notify()

    def fetch(self) -> T | None:
        """Take the letter out, if there is one."""
        with self._lock:
            letter, self._letter = self._letter, None
        return letter
