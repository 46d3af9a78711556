"""A foreign class in a role: which words it knows, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cimlab.core.errors import CimError, ConfigError
from cimlab.drivers.foreign.classes import load_class
from cimlab.drivers.foreign.instrument import ForeignInstrument
from cimlab.drivers.foreign.matrices import MATRICES
from cimlab.drivers.foreign.pulser import ForeignPulser
from cimlab.drivers.foreign.smu import ForeignSmu
from cimlab.drivers.foreign.words import PULSERS, SMUS, PulserWords, SmuWords
from cimlab.drivers.instruments.roles import Role

W = TypeVar("W", SmuWords, PulserWords)


def open_foreign(driver: str, resource: str, visa: str, role: str) -> Role:
    """Connect to an instrument by somebody else's class.

    Args:
        driver: See `classes`.
        resource: VISA resource name.
        visa: PyVISA backend.
        role: "smu", "bias", "pulser" or "matrix".

    Raises:
        ConfigError: There is no such class, or it lacks what the role needs.
        LinkError: Nothing answers there.
    """
    instrument = ForeignInstrument(load_class(driver), resource, visa)
    try:
        return _ROLES[role](instrument)
    except CimError:
        instrument.close()
        raise


def _smu(instrument: ForeignInstrument) -> Role:
    return ForeignSmu(instrument, _spoken(instrument, SMUS, "SourceMeter"))


def _pulser(instrument: ForeignInstrument) -> Role:
    return ForeignPulser(instrument, _spoken(instrument, PULSERS, "PulseGenerator"))


def _matrix(instrument: ForeignInstrument) -> Role:
    for kind in MATRICES:
        if all(map(instrument.has, kind.known_by)):
            return kind(instrument)
    raise _lacks(instrument, "SwitchMatrix", (kind.known_by for kind in MATRICES))


def _spoken(instrument: ForeignInstrument, known: tuple[W, ...], role: str) -> W:
    for words in known:
        if all(map(instrument.has, words.known_by)):
            return words
    raise _lacks(instrument, role, (words.known_by for words in known))


def _lacks(
    instrument: ForeignInstrument, role: str, known: Iterable[tuple[str, ...]]
) -> ConfigError:
    """What the nearest vocabulary has that this class has not."""
    missing = [[word for word in words if not instrument.has(word)] for words in known]
    fewest: list[str] = min(missing, key=len)
    return ConfigError(
        f"{instrument.package}'s {instrument.name} is no {role} that cimlab understands: no "
        + ", ".join(fewest)
        + ("" if "#" in instrument.name else " (is it a channel's? write #channel after the class)")
    )


_ROLES: dict[str, Callable[[ForeignInstrument], Role]] = {
    "smu": _smu,
    "bias": _smu,
    "pulser": _pulser,
    "matrix": _matrix,
}
