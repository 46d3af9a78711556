"""An instrument at its worst: silent, garbling, complaining, switched off and on again.

What happens to the k-th message is a pure function of (seed, k), so it can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.emulator import Emulator

_FATES = ("silence", "garbage", "storm", "power_cycle")
_STORM = 30
"""Replies that a storm of errors lasts; more than a driver reads at once."""
_ERROR = b'-310,"System error; hostile"'


class Hostile:
    """An Emulator around another one.

    Args:
        make: Makes the emulator; called again after a power cycle.
        bench: Where it is plugged in.
        rate: How often each of the four strikes, a message.
        seed: Same seed, same strikes.

    Attributes:
        seen: How often what has struck.
    """

    def __init__(
        self, make: Callable[[Bench], Emulator], bench: Bench, rate: float, seed: int
    ) -> None:
        self._make, self._bench, self._rate = make, bench, rate
        self._rng = np.random.default_rng(seed)
        self._emulator = make(bench)
        self._storm = 0
        self._ports: set[str] = set()
        self.seen: Counter[str] = Counter()

    @property
    def end(self) -> bytes:
        """See Emulator."""
        return self._emulator.end

    def handle(self, message: bytes) -> bytes:
        """See Emulator; one of the fates at most befalls a message."""
        chances = self._rng.random(len(_FATES)).tolist()
        noise = bytes(self._rng.integers(33, 127, 12).tolist())
        struck = [fate for fate, luck in zip(_FATES, chances, strict=True) if luck < self._rate]
        fate = struck[0] if struck else ""
        if fate == "power_cycle":  # everything is forgotten, outputs are off, nothing is answered
            self.seen[fate] += 1
            for port in self._ports:
                self._bench.hold(port, None)
            self._emulator = self._make(self._bench)
            return b""
        before = self._bench.held
        reply = self._emulator.handle(message)
        self._ports |= self._bench.held - before
        if not reply:
            return reply
        if fate == "storm":
            self._storm = _STORM
        if self._storm:
            self._storm -= 1
            self.seen["storm"] += 1
            return _ERROR + self.end
        if fate:
            self.seen[fate] += 1
        return {"silence": b"", "garbage": noise + self.end}.get(fate, reply)
