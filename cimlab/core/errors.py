"""Every error cimlab raises on purpose.

    CimError
      ConfigError          a station file, plan or option is wrong; nothing was touched
      CapabilityError      this array cannot do what was asked; nothing was touched
      LimitError           a voltage, width or count beyond the limits; refused before the wire
      LinkError            the link to the board failed
        LinkTimeout          no answer after all retries
        LinkClosed           the stream ended, or the board's session was lost
        LinkProtocol         bytes arrived that docs/wire.md does not allow
      BoardError(code)     the board received the request and refused or failed it
      InstrumentError      an instrument reported an error (query, reply)
      DataError            a data set is missing or its checksum is wrong
      RecordError          a run file cannot be read or does not fit the run
      StudyError           a study's workers fail; what they have finished is kept

"Did not converge" is data (a mask in the result), never an exception. OSError and
library errors are translated only at the border, where the bytes are.
"""


class CimError(Exception):
    """Base of every error that cimlab raises on purpose."""


class ConfigError(CimError):
    """A station file, plan or option is wrong; nothing was touched."""


class CapabilityError(CimError):
    """The array lacks a capability that the caller needs (see ArraySpec.capabilities)."""


class LimitError(CimError):
    """A request beyond the limits, refused before a byte left."""


class LinkError(CimError):
    """The link to the board failed."""


class LinkTimeout(LinkError):
    """The board did not answer within all retries."""


class LinkClosed(LinkError):
    """The stream ended and could not be reopened, or the board lost the session."""


class LinkProtocol(LinkError):
    """Bytes that docs/wire.md does not allow."""


class BoardError(CimError):
    """The board received the request and refused or failed it.

    Attributes:
        code: The status code of docs/wire.md, "Status codes".
        reason: The message without the code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"board refused (status {code}): {message}")
        self.code = code
        self.reason = message


class InstrumentError(CimError):
    """An instrument reported an error.

    Attributes:
        query: What was sent.
        reply: What the instrument said.
    """

    def __init__(self, query: str, reply: str) -> None:
        super().__init__(f"instrument error after {query!r}: {reply}")
        self.query = query
        self.reply = reply


class DataError(CimError):
    """A data set is missing or its checksum is wrong."""


class RecordError(CimError):
    """A run file cannot be read, or does not fit the run that wants it."""


class StudyError(CimError):
    """A case of a study failed, or its workers die again and again; finished cases are kept."""
