"""The way of snapshots from the threads that make them into Qt's thread."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from cimlab.gui.mailbox import Mailbox


class Inbox(QObject):
    """Hands the newest letter of another thread to Qt's.

    Signals:
        arrived: The letter, in Qt's thread. Letters that came meanwhile are left out.
    """

    arrived = Signal(object)
    _news = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._box: Mailbox[Any] = Mailbox(self._news.emit)
        self._news.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def post(self, letter: object) -> None:
        """Leave a letter, from any thread."""
        if self._open:
            self._box.post(letter)

    def shut(self) -> None:
        """Take no more letters, and forget the one that is there."""
        self._open = False
        self._box.fetch()

    def _deliver(self) -> None:
        letter = self._box.fetch()
        if letter is not None and self._open:
            self.arrived.emit(letter)
