"""A training over a link that loses, damages and repeats frames, against one on `model:`.

    python benchmarks/faulty_link.py --rate 0.01 --epochs 1 --batches 400

The board is a process of its own behind TCP; the faults strike each direction at that rate each.
Prints one JSON object: whether losses, accuracies and conductances agree bit for bit, whether the
board's pulse counters equal the host's ledger, and what the faults were.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cimlab.core.array import CimArray, Limits
from cimlab.core.guard import Guarded
from cimlab.core.station import MockBoard, TcpBoard
from cimlab.core.tap import Ledger, Tapped
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import TcpStream
from cimlab.emulated import EmulatedHardware
from cimlab.mock_hw.faults import Faults, FaultyStream
from cimlab.rig import open_array
from cimlab.training.data import Images, load_mnist
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe

Result = dict[str, Any]


def train(array: CimArray, recipe: Recipe, data: Images, tell: Callable[[str], None]) -> Result:
    """Losses, accuracies, and what the cells carry afterwards."""
    losses, accuracies = [], []
    for event in Training(recipe, array, data).events():
        if isinstance(event, StepDone):
            losses.append(event.loss)
        elif isinstance(event, EpochDone):
            accuracies.append(event.accuracy)
            tell(f"epoch {event.number}: accuracy {event.accuracy:.4f}, {event.seconds:.1f} s")
    return {
        "losses": losses,
        "accuracies": accuracies,
        "currents": array.read(array.converters.v_read, averages=16).current,
        "pulses": array.counters(),
    }


def faulty(
    recipe: Recipe, data: Images, faults: Faults, tell: Callable[[str], None]
) -> tuple[Result, Result]:
    """The training over TCP with faults; its result, and what happened on the link."""
    process = EmulatedHardware(MockBoard(seed=recipe.seed))
    try:
        board = process.connection
        if not isinstance(board, TcpBoard):
            raise TypeError(f"expected a board behind TCP, not {board}")
        host, port = board.host, board.port
        seen: list[Counter[str]] = []
        numbers = itertools.count(1)

        def connect() -> FaultyStream:
            stream = FaultyStream(TcpStream.connect(host, port), next(numbers), faults, faults)
            seen.append(stream.seen)
            return stream

        soc = SocArray(connect)
        ledger = Ledger(soc.spec)
        with Guarded(Tapped(soc, ledger), Limits()) as array:
            result = train(array, recipe, data, tell)
            facts: Result = {
                "counters_equal_ledger": bool(np.array_equal(result["pulses"], ledger.pulses)),
                "pulses": int(ledger.pulses.sum()),
                "struck": dict(sum(seen, Counter())),
                "streams": len(seen),
                "retries": soc.statistics.retries,
            }
    finally:
        process.stop()
    return result, facts


def compare(faults: Faults, recipe: Recipe, data: Images, tell: Callable[[str], None]) -> Result:
    """Both trainings and their comparison."""
    with open_array(f"model:?seed={recipe.seed}") as model:
        expected = train(model, recipe, data, tell)
    got, facts = faulty(recipe, data, faults, tell)
    same = {name: bool(np.array_equal(expected[name], got[name])) for name in expected}
    return {
        "rate": faults.drop,
        "reset": faults.reset,
        "batches": recipe.steps,
        "accuracy": got["accuracies"][-1],
        "same": same,
        "identical": all(same.values()),
        **facts,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--reset", type=float, default=0.0, help="of a broken connection")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batches", type=int, default=400)
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(epochs=given.epochs, batches=given.batches)
    tell = functools.partial(print, file=sys.stderr)
    faults = Faults(drop=given.rate, corrupt=given.rate, duplicate=given.rate, reset=given.reset)
    print(json.dumps(compare(faults, recipe, load_mnist(), tell)))


if __name__ == "__main__":
    main()
