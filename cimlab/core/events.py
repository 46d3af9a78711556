"""What an array did, as data: one frozen event for every verb that succeeded.

Events carry references to the caller's arrays, never copies: a sink that keeps an event
beyond its call copies what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from numpy.typing import ArrayLike

from .array import Addresses, Converters, Floats, JobResult, Reading, Trace, Window


@dataclass(frozen=True, slots=True)
class Event:
    """Common to all events.

    Attributes:
        time: When the verb was called, s of the tap's clock.
        seconds: How long it took, s.
    """

    time: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Configured(Event):
    """Converter settings came into force."""

    converters: Converters


@dataclass(frozen=True, slots=True)
class CellsRead(Event):
    """Cells were read (verb `read`); `reading` holds currents, voltage and addresses."""

    reading: Reading
    averages: int


@dataclass(frozen=True, slots=True)
class Pulsed(Event):
    """Cells were pulsed (verbs `pulse` and `pulse_and_read`).

    Attributes:
        v: Amplitudes, V; > 0 SET, < 0 RESET, 0 leaves alone. Broadcasts to the cells.
        width: s.
        count: Pulses a cell; broadcasts to the cells.
        cells: Addresses, or None for every cell.
        reading: What the same transaction read afterwards; None from `pulse`.
    """

    v: ArrayLike
    width: float
    count: ArrayLike
    cells: Addresses | None
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Swept(Event):
    """A quasi-static I-V was measured (verb `sweep`); `trace` holds currents and addresses.

    Attributes:
        v: Levels, V, (n,).
        i_comp: Compliance, A.
        dwell: s a level.
    """

    v: Floats
    i_comp: float
    dwell: float
    trace: Trace


@dataclass(frozen=True, slots=True)
class Trained(Event):
    """Cells got a pulse train with a reading after each pulse (verb `train`).

    Attributes:
        v: Amplitudes, V, (n,); 0 only reads.
        width: s; one, or (n,).
        v_read: V.
        averages: Conversions of each reading.
        trace: Readings and addresses.
    """

    v: Floats
    width: ArrayLike
    v_read: float
    averages: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class Multiplied(Event):
    """A VMM; of its data only sizes are kept.

    Attributes:
        verb: Which of the four; one event a window.
        window: The part of the chip, None for all of it.
        vectors: Input vectors of each tile (for an unfolded map: its output positions).
        conversions: Output values, of all tiles.
        saturated: How many of them clipped.
    """

    verb: Literal["vmm", "vmm_unfolded", "vmm_pairs", "vmm_transposed"]
    window: Window | None
    vectors: int
    conversions: int
    saturated: int

    @property
    def saturated_share(self) -> float:
        """Clipped outputs, 0 to 1."""
        return self.saturated / self.conversions if self.conversions else 0.0


@dataclass(frozen=True, slots=True)
class JobRun(Event):
    """An on-board job ended; `result` holds the pulses of each of its cells."""

    name: str
    settings: Mapping[str, float]
    cells: Addresses
    result: JobResult


@dataclass(frozen=True, slots=True)
class Grounded(Event):
    """All lines were put at 0 V."""


Sink: TypeAlias = Callable[[Event], None]
"""Receives events, in the thread of the caller; must be quick and must not raise."""
