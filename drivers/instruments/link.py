"""The line to one instrument: text out, text in. VISA errors become cimlab's here, nowhere else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Protocol

import pyvisa
from pyvisa.constants import StatusCode

from cimlab.core.errors import ConfigError, LinkClosed, LinkProtocol, LinkTimeout

TIMEOUT = 10.0
"""Wait for an answer, s; what takes longer by nature says so (`Link.patience`)."""


class Link(Protocol):
    """Whole messages, without their terminators.

    Attributes:
        patience: Seconds that a message may take beyond the usual, either way.
    """

    patience: float

    def write(self, message: str) -> None:
        """Send one message."""
        ...

    def read(self) -> str:
        """Wait for one message."""
        ...

    def clear(self) -> None:
        """Device clear, where the line has such a thing: what goes on is dropped, and answers."""
        ...

    def close(self) -> None:
        """Release the line; a second call does nothing."""
        ...


class VisaLink:
    """A Link through PyVISA.

    Args:
        resource: VISA resource name, such as ``TCPIP::192.168.1.5::5025::SOCKET``.
        visa: PyVISA backend: "@py", or "@ivi" for an installed VISA, or the path of one.
        end: What ends a message, either way.
        timeout: Longest wait for an answer, s.

    Raises:
        ConfigError: The resource or the backend cannot be understood.
        LinkClosed: Nothing answers there.
    """

    def __init__(
        self, resource: str, visa: str = "@py", end: str = "\n", timeout: float = TIMEOUT
    ) -> None:
        self.name = resource
        try:
            manager = pyvisa.ResourceManager(visa)
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot use the VISA backend {visa!r}: {error}") from error
        self._timeout, self._patience = timeout, 0.0
        self._resource = self._opened(manager, end, timeout)

    @property
    def patience(self) -> float:
        """See Link."""
        return self._patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._patience = seconds
        with contextlib.suppress(OSError, pyvisa.Error):  # a line that is gone says so at its use
            self._resource.timeout = 1e3 * (self._timeout + seconds)

    def write(self, message: str) -> None:
        """See Link."""
        with self._translated():
            self._resource.write(message)

    def read(self) -> str:
        """See Link."""
        with self._translated():
            try:
                return str(self._resource.read())
            except UnicodeDecodeError as error:
                raise LinkProtocol(f"{self.name} sent bytes that are no text: {error}") from error

    def clear(self) -> None:
        """See Link; sockets and serial lines have none (PyVISA's would wait for silence)."""
        name = self.name.upper()
        if name.endswith("INSTR") and not name.startswith("ASRL"):
            with contextlib.suppress(OSError, pyvisa.Error):
                self._resource.clear()

    def close(self) -> None:
        """See Link."""
        with contextlib.suppress(OSError, pyvisa.Error):
            self._resource.close()

    def _opened(self, manager: pyvisa.ResourceManager, end: str, timeout: float) -> Any:
        """The open resource; anything VISA opens here carries messages."""
        try:
            resource: Any = manager.open_resource(
                self.name, read_termination=end, write_termination=end, timeout=timeout * 1e3
            )
        except (ValueError, TypeError) as error:
            raise ConfigError(f"cannot use the resource {self.name!r}: {error}") from error
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_invalid_resource_name:
                raise ConfigError(f"{self.name!r} is no VISA resource name") from error
            raise LinkClosed(f"nothing answers at {self.name}: {error.description}") from error
        except Exception as error:  # pyvisa-py raises a bare Exception when nobody accepts
            raise LinkClosed(f"nothing answers at {self.name}: {error}") from error
        # pyvisa-py 0.8 cannot set VI_ATTR_TCPIP_NODELAY; without it, two commands before a query
        # wait 40 ms for a delayed acknowledgement
        session = getattr(resource.visalib, "sessions", {}).get(resource.session)
        interface = getattr(session, "interface", None)
        if isinstance(interface, socket.socket):
            interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return resource

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except pyvisa.errors.InvalidSession as error:
            raise LinkClosed(f"{self.name} was closed on our side; open it again") from error
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise LinkTimeout(f"{self.name} did not answer in time; see its display") from error
            raise LinkClosed(f"{self.name}: {error.description}") from error
        except OSError as error:
            raise LinkClosed(
                f"{self.name}: {error}; is it on, and is the address right?"
            ) from error
