"""Messages and time of an emulated bench: a 1,000-pulse train on one cell, maps of a crossbar.

    python benchmarks/bench_messages.py

Prints one JSON object. A round trip is a message from the instrument; instruments are emulated in
a process of their own, so the times are those of messages and emulation, not of integration.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

import cimlab
from cimlab.drivers.instruments.link import VisaLink

V_READ = 0.1
PULSES = 1000
SMUS = ("keithley2400", "keithley2450", "keithley2636b", "keithley4200")


class Counter:
    """Messages through every VISA link of this process."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        write, read = VisaLink.write, VisaLink.read

        def counted_write(link: VisaLink, message: str) -> None:
            self.sent += 1
            write(link, message)

        def counted_read(link: VisaLink) -> str:
            self.received += 1
            return read(link)

        # instruments open their links themselves; there is no other place to listen
        mock.patch.multiple(VisaLink, write=counted_write, read=counted_read).start()

    def during(self, work: Callable[[], object]) -> dict[str, Any]:
        """Messages and seconds of some work."""
        self.sent = self.received = 0
        start, cpu = time.perf_counter(), time.process_time()
        work()
        return {
            "sent": self.sent,
            "round_trips": self.received,
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu,
        }


def main() -> None:
    """Measure and print."""
    counter = Counter()
    found: dict[str, Any] = {"pulses": PULSES, "train": {}}
    v = np.repeat([1.3, -1.5], PULSES // 2)
    cell = np.array([0])
    for smu in SMUS:
        with cimlab.open(f"bench:?dut=brram&instruments={smu}") as array:
            found["train"][smu] = counter.during(partial(array.train, v, 1e-3, V_READ, cell))
    with cimlab.open("bench:?dut=crossbar:8x8:brram") as array:
        found["cells"] = array.spec.size
        found["read"] = counter.during(lambda: array.read(V_READ))
        found["read_16"] = counter.during(lambda: array.read(V_READ, averages=16))
        found["pulse"] = counter.during(lambda: array.pulse(1.0, 1e-6, 10))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
