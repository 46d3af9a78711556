"""Pulses over a link that loses, damages, repeats and breaks, counted on both sides.

    python benchmarks/exactly_once.py --pulses 1000000

The board is a process of its own behind TCP. Each frame of either direction is dropped, damaged and
doubled with that probability each, and now and then the connection breaks in the middle of one.
Requests are small, so that there are many of them; read-backs are mixed in. Prints one JSON object:
pulses asked for, cells whose counters on the board differ from that, and what the faults were.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter

import numpy as np

from cimlab.core.station import MockBoard, TcpBoard
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import TcpStream
from cimlab.emulated import EmulatedHardware
from cimlab.mock_hw.faults import Faults, FaultyStream

CELLS = 40
"""Most cells of a request."""
COUNT = 6
"""Most pulses a cell of a request."""


def hammer(array: SocArray, pulses: int, rng: np.random.Generator) -> np.ndarray:
    """Pulse random cells until so many pulses were asked for; what was asked a cell, (size,)."""
    asked = np.zeros(array.spec.size, np.int64)
    total, told = 0, time.monotonic()
    while total < pulses:
        cells = np.sort(rng.choice(asked.size, rng.integers(1, CELLS + 1), replace=False))
        counts = rng.integers(1, COUNT + 1, cells.size)
        volts = rng.choice([-1.0, 1.0], cells.size)
        if rng.random() < 0.2:
            array.pulse_and_read(volts, 1e-6, 0.1, cells, counts)
        else:
            array.pulse(volts, 1e-6, counts, cells)
        asked[cells] += counts
        total += int(counts.sum())
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{total:,} of {pulses:,} pulses", file=sys.stderr)
    return asked


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulses", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=0.05, help="of each of the three faults")
    parser.add_argument("--reset", type=float, default=0.001, help="of a broken connection")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    faults = Faults(drop=given.rate, corrupt=given.rate, duplicate=given.rate, reset=given.reset)
    process = EmulatedHardware(MockBoard(seed=given.seed))
    try:
        board = process.connection
        if not isinstance(board, TcpBoard):
            raise TypeError(f"expected a board behind TCP, not {board}")
        host, port, numbers = board.host, board.port, itertools.count(given.seed)
        seen: list[Counter[str]] = []

        def connect() -> FaultyStream:
            stream = FaultyStream(TcpStream.connect(host, port), next(numbers), faults, faults)
            seen.append(stream.seen)
            return stream

        start = time.perf_counter()
        with SocArray(connect) as array:
            asked = hammer(array, given.pulses, np.random.default_rng(given.seed))
            counted = array.counters().reshape(-1).astype(np.int64)
            statistics = array.statistics
        result = {
            "pulses": int(asked.sum()),
            "lost": int(np.maximum(asked - counted, 0).sum()),
            "doubled": int(np.maximum(counted - asked, 0).sum()),
            "cells_that_differ": int((asked != counted).sum()),
            "requests": statistics.requests,
            "retries": statistics.retries,
            "reconnects": statistics.reconnects,
            "struck": dict(sum(seen, Counter())),
            "seconds": time.perf_counter() - start,
        }
        print(json.dumps(result))
    finally:
        process.stop()


if __name__ == "__main__":
    main()
