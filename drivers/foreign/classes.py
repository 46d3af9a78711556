"""Which class a station file means by the name of a driver.

``pymeasure:pymeasure.instruments.keithley.Keithley2400`` or
``qcodes:qcodes.instrument_drivers.Keithley.Keithley2450``; ``#ChA`` at the end names the channel
that plays the role. To import a module is to run it, and station files are passed around: nothing
outside these two packages is imported.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cimlab.core.errors import ConfigError

LIBRARIES: Mapping[str, tuple[str, str]] = {
    "pymeasure": ("pymeasure.instruments", "pymeasure.instruments.Instrument"),
    "qcodes": ("qcodes.instrument_drivers", "qcodes.instrument.VisaInstrument"),
}
"""Where classes may come from, and what they must be."""

_NAME = re.compile(
    r"(?P<library>\w+):(?P<path>[A-Za-z]\w*(\.[A-Za-z]\w*)+)(#(?P<part>[A-Za-z]\w*))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ForeignClass:
    """A class of another library.

    Attributes:
        package: One of LIBRARIES.
        kind: The class itself.
        part: Its attribute that plays the role; "" for the instrument as a whole.
    """

    package: str
    kind: type[Any]
    part: str


def is_foreign(driver: str) -> bool:
    """Whether the name of a driver is that of somebody else's class."""
    return ":" in driver


def load_class(driver: str) -> ForeignClass:
    """The class that a driver's name means.

    Raises:
        ConfigError: It is not one of these libraries' instruments, or the library is not there.
    """
    match = _NAME.fullmatch(driver)
    if match is None or match["library"] not in LIBRARIES:
        raise ConfigError(
            f"cannot understand the driver {driver!r}: write pymeasure:pymeasure.instruments... or "
            "qcodes:qcodes.instrument_drivers..., the class, and #channel if one plays the role"
        )
    library = match["library"]
    package, parent = LIBRARIES[library]
    module, _, name = match["path"].rpartition(".")
    if not f"{module}.".startswith(f"{package}."):
        raise ConfigError(f"driver {driver!r}: only classes under {package} are used")
    base = _found(library, *parent.rsplit(".", 1))
    kind = _found(library, module, name)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ConfigError(f"driver {driver!r}: {name} is no instrument of {library}")
    return ForeignClass(library, kind, match["part"] or "")


def _found(library: str, module: str, name: str) -> Any:
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise ConfigError(
            f"{library} is not installed ({error}): pip install 'cimlab[{library}]'"
        ) from error
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{library} has no {module}.{name}: {error}") from error
