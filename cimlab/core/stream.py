"""A byte stream to a board: the least that serial lines, sockets and memory have in common.

`drivers.streams` implements it, `drivers.soc` and the fault injector use it. It lives in core
so that neither has to import the other.
"""

from __future__ import annotations

from typing import Protocol


class Stream(Protocol):
    """Bytes both ways, in order, without message boundaries.

    One thread may read while another writes; `close` may be called from any thread.
    Implementations translate every OSError to LinkClosed, with a message that says what to do.
    """

    def read(self, timeout: float) -> bytes:
        """Whatever has arrived, as one chunk; waits at most timeout seconds for a first byte.

        Args:
            timeout: s; 0 only looks.

        Returns:
            At least one byte, or b"" when none arrived in time.

        Raises:
            LinkClosed: The stream ended, or was closed here. Bytes that arrived before the end are
                delivered first, except on a serial line, where the system drops them.
        """
        ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand over all of data.

        Raises:
            LinkTimeout: The other side takes no bytes; how many it took is unknown, so a frame
                may be cut short there.
            LinkClosed: The stream ended, or was closed here.
        """
        ...

    def close(self) -> None:
        """Release the line; a second call does nothing."""
        ...
