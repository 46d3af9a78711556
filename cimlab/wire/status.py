"""Status codes of ERROR frames (docs/wire.md 5)."""

from enum import IntEnum


class Status(IntEnum):
    """Why the board refused or failed a request."""

    MALFORMED = 1
    VERSION = 2
    VERB = 3
    BUSY = 4
    DENIED = 5
    NO_SESSION = 6
    RESTARTED = 7
    LIMIT = 9
    ADDRESS = 10
    CAPABILITY = 11
    TOO_LARGE = 12
    ABORTED = 13
    HARDWARE = 14
    JOB = 15
