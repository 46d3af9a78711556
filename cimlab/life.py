"""What an array's cells have been through, over the sessions: the health file at work."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec, Mask
from cimlab.core.events import Event
from cimlab.core.health import Health, HealthMap
from cimlab.core.tap import Ledger
from cimlab.core.wear import Wear

KEEP = 60.0
"""Between two writings of a health file while cells are pulsed, s."""

_log = logging.getLogger(__name__)


class Life:
    """The pulses of each cell's life, counted on from a health file and kept there.

    A sink: called for each event, so that a session that is killed loses a minute at most.

    Args:
        spec: The array's.
        counted: What the board has counted, (tiles, rows, cols); None where nobody counts.
        file: Health file; made at the end where there is none. None: nothing is kept.

    Attributes:
        ledger: The session's.
        usable: False for cells that are marked bad, (tiles, rows, cols); None without a file.
    """

    def __init__(
        self, spec: ArraySpec, counted: NDArray[np.uint32] | None, file: str | None
    ) -> None:
        self._spec, self._file = spec, file
        self._known: HealthMap | None = None
        self.usable: Mask | None = None
        before: NDArray[np.uint32] | None = None
        if file is not None:
            self._known = _load(file, spec)
            self.usable = self._known.usable
            before = self._known.pulses
        self.ledger = Ledger(spec, before if counted is None else counted)
        self._more: NDArray[np.int64] | int = 0
        if before is not None:
            # a board may have forgotten its counts, or been used without the file
            self._more = np.maximum(before.astype(np.int64) - self.ledger.pulses, 0)
        self._due = time.monotonic() + KEEP

    def __call__(self, event: Event) -> None:
        """Count the event; bring the file up to date now and then."""
        self.ledger(event)
        if self._file is not None and time.monotonic() > self._due:
            self.keep()

    def spent(self) -> NDArray[np.integer]:
        """Pulses of each cell's life so far, (tiles, rows, cols)."""
        spent: NDArray[np.integer] = self._more + self.ledger.pulses
        return spent

    def wear(self, pulses_max: int | None) -> Wear | None:
        """What refuses pulses; None where nothing would."""
        if pulses_max is None and self.usable is None:
            return None
        return Wear(self._spec, self.spent, pulses_max, self.usable)

    def keep(self) -> None:
        """Write the pulses to the health file; what it says of the cells' states stays.

        Raises:
            RecordError: It cannot be written.
        """
        if self._file is None or self._known is None:
            return
        from cimlab.records import health

        self._due = time.monotonic() + KEEP
        # screening may have written it meanwhile
        now = health.check(self._file, self._spec) if Path(self._file).exists() else self._known
        pulses = np.minimum(self.spent(), np.iinfo(np.uint32).max).astype(np.uint32)
        health.save(self._file, HealthMap(now.states, now.identity, now.utc, pulses))


def _load(file: str, spec: ArraySpec) -> HealthMap:
    # HDF5: not loaded where no file is named
    from cimlab.records import health, provenance

    if Path(file).exists():
        return health.check(file, spec)
    _log.warning("there is no health file %s yet: every cell counts as untested", file)
    states = np.full(spec.shape, Health.UNTESTED, np.uint8)
    return HealthMap(states, spec.identity, provenance.utc_now())
