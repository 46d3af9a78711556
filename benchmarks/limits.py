"""Random requests beyond the limits: refused before a byte leaves, and by a board when bypassed.

    python benchmarks/limits.py --plans 10000

Each request is legal but for one value beyond a limit of the station (an amplitude, a width, a
count, a read voltage, a setting of an on-board job; now and then NaN or infinity). It is given to
a guarded array on an emulated board, and the bytes on the link are counted; then the same request
goes to the board past the host's guard. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable

import numpy as np

from cimlab.core.array import CimArray, Limits
from cimlab.core.errors import BoardError, CimError, LimitError
from cimlab.core.guard import Guarded
from cimlab.core.station import MockBoard, TcpBoard
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import TcpStream
from cimlab.emulated import EmulatedHardware
from cimlab.protocols import WriteVerify

Request = Callable[[CimArray], object]
LIMITS = Limits()


def beyond(limit: float, rng: random.Random) -> float:
    """A value beyond a limit: a little (a converter's step), a lot, infinite or no number."""
    return rng.choice((limit * (1 + 10 ** rng.uniform(-1.5, 1)), limit * 1e6, math.inf, math.nan))


def volts(rng: random.Random) -> float:
    """An amplitude beyond the limits, of either sign."""
    return rng.choice((beyond(LIMITS.v_set, rng), -beyond(LIMITS.v_reset, rng)))


def request(rng: random.Random, size: int) -> Request:
    """A random request with one value beyond the limits."""
    cells = np.array(sorted(rng.sample(range(size), rng.randrange(1, 30))), np.int64)
    v = np.array([rng.uniform(-3.3, 3.3) for _ in cells])
    count = np.array([rng.randrange(0, 100) for _ in cells])
    width, v_read = 10 ** rng.uniform(-7, -2), rng.uniform(0, 0.3)
    settings = dict(WriteVerify().settings())
    match rng.choice(("v", "width", "count", "v_read", "read", "job")):
        case "v":
            v[rng.randrange(v.size)] = volts(rng)
        case "width":
            width = rng.choice((beyond(LIMITS.width_max, rng), LIMITS.width_min * 0.5, 0.0, -1e-6))
        case "count":
            count[rng.randrange(count.size)] = rng.choice((LIMITS.count_max + 1, 10**6, -1))
        case "v_read":
            v_read = beyond(LIMITS.v_read, rng)
        case "read":
            return lambda array: array.read(beyond(LIMITS.v_read, rng), cells)
        case "job":
            key = rng.choice(("set_start", "set_stop", "reset_start", "reset_stop", "v_read"))
            limit = LIMITS.v_read if key == "v_read" else LIMITS.v_set
            settings[key] = beyond(limit, rng)
            target = np.full(cells.size, 2e-6)
            return lambda array: array.run_job("write_verify", settings, cells, target)
    if rng.random() < 0.5 and not v_read > LIMITS.v_read and v_read == v_read:
        return lambda array: array.pulse(v, width, count, cells)
    return lambda array: array.pulse_and_read(v, width, v_read, cells, count)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)  # noqa: S311 - plans, not secrets
    process = EmulatedHardware(MockBoard(tiles=1))
    try:
        board = process.connection
        if not isinstance(board, TcpBoard):
            raise TypeError(f"expected a board behind TCP, not {board}")
        host, port = board.host, board.port
        refused = leaked = behind = 0
        start = time.perf_counter()
        with SocArray(lambda: TcpStream.connect(host, port)) as array:
            guarded = Guarded(array, LIMITS)
            for _ in range(given.plans):
                ask = request(rng, array.spec.size)
                before = array.statistics.bytes_out
                try:
                    ask(guarded)
                except LimitError:
                    refused += 1
                leaked += array.statistics.bytes_out - before
                try:
                    ask(array)
                except (BoardError, CimError, ValueError, OverflowError):
                    behind += 1
            pulses = int(array.counters().sum())
        seconds = time.perf_counter() - start
    finally:
        process.stop()
    result = {
        "plans": given.plans,
        "refused_by_host": refused,
        "bytes_sent": leaked,
        "refused_past_the_guard": behind,
        "pulses_on_the_board": pulses,
        "seconds": seconds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
