"""What went over a link."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LinkStatistics:
    """What went over the link.

    Attributes:
        requests: Numbered requests, each counted once.
        frames: Frames sent and received, whole ones.
        bytes_out, bytes_in: Bytes on the stream.
        retries: Requests sent again.
        reconnects: Streams opened after the first.
        broken: Damaged frames that arrived.
    """

    requests: int = 0
    frames: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    retries: int = 0
    reconnects: int = 0
    broken: int = 0
