"""SIGKILL of the host or of the board at random moments of a training, and resuming it.

    python benchmarks/kill_study.py --victim host --times 50

Each time: a board in a process of its own with a state file, a training in another; one of them is
killed after a random share of the training's usual time, whatever it is doing. A reader that
followed the run file knows what was flushed. Then the run is resumed to its end (the board
restarted from its state first, if it was the victim). Counted: files that open, runs that kept
every record seen before the kill, runs that finish, and runs after which the record's pulse counts
equal the board's counters for every cell. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cimlab import records
from cimlab.core.errors import CimError
from cimlab.rig import open_array

PLAN = ("--epochs", "2", "--batches", "60")
STEPS = 120


@contextlib.contextmanager
def board(state: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address, and its process."""
    command = [sys.executable, "-m", "cimlab", "mock", "board", "--json", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise TypeError("asked for a pipe")
            yield json.loads(process.stdout.readline())["address"], process
        finally:
            process.kill()


def train(*arguments: str) -> subprocess.Popen[str]:
    """A training as a process."""
    command = [sys.executable, "-m", "cimlab", "train", "lenet", "--json", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def seen(file: Path) -> dict[str, int]:
    """Rows that a reader finds now."""
    with contextlib.suppress(CimError, OSError), records.load(file) as run:
        return {table: run.rows(table) for table in ("steps", "epochs", "maps")}
    return {}


def one(victim: str, folder: Path, share: float) -> dict[str, Any]:
    """One kill and what became of it; share says when, of the way from first step to the end."""
    file, state = folder / "run.h5", folder / "chip.state"
    outcome: dict[str, Any] = {"opens": False, "kept": False, "finishes": False, "agrees": False}
    with board(state) as (address, process):
        with train(*PLAN, "--station", address, "--out", str(file)) as child:
            known: dict[str, int] = {}
            due = None
            while child.poll() is None:
                now = seen(file)
                known = now or known
                if due is None and known.get("maps"):
                    # from here on by the clock: steps reach readers only now and then
                    due = time.monotonic() + share * 6.0
                if due is not None and time.monotonic() > due:
                    break
                time.sleep(0.01)
            (child if victim == "host" else process).send_signal(signal.SIGKILL)
            child.communicate(timeout=120)
        after = seen(file)
        outcome["opens"] = bool(after)
        outcome["kept"] = bool(after) and all(after[t] >= n for t, n in known.items())
        outcome["rows"] = after
        if victim == "host":
            outcome |= resume(address, file)
            return outcome
    with board(state) as (address, process):
        return outcome | resume(address, file)


def resume(address: str, file: Path) -> dict[str, Any]:
    """Resume the run on the board; whether it finished, and whether record and board agree."""
    with train("--resume", str(file), "--station", address) as child:
        _, error = child.communicate(timeout=300)
    if child.returncode:
        return {"said": error[-500:]}
    with records.load(file) as run:
        recorded = run.column("maps", "pulses", slice(-1, None))[0]
        steps = run.column("steps", "step")
        finished = run.status == "finished" and np.array_equal(steps, np.arange(1, STEPS + 1))
    with open_array(address) as array:
        differ = int((array.counters() != recorded).sum())
    return {"finishes": bool(finished), "agrees": differ == 0, "differ": differ}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", choices=("host", "board"), default="host")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)  # noqa: S311 - moments, not secrets
    counts = dict.fromkeys(("opens", "kept", "finishes", "agrees"), 0)
    start = time.perf_counter()
    for number in range(given.times):
        with tempfile.TemporaryDirectory() as folder:
            outcome = one(given.victim, Path(folder), rng.random())
        print(f"{number + 1}: {outcome}", file=sys.stderr, flush=True)
        for name in counts:
            counts[name] += outcome[name]
    seconds = time.perf_counter() - start
    print(json.dumps({"victim": given.victim, "times": given.times, **counts, "seconds": seconds}))


if __name__ == "__main__":
    main()
