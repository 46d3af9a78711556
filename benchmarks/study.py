"""A Monte-Carlo study of 100 trainings: two workers against one, and workers killed in it.

    python benchmarks/study.py              # processes of this machine
    python benchmarks/study.py --dask       # a Dask cluster on this machine
    python benchmarks/study.py --kill 3     # two workers, one of them killed (SIGKILL) three times

Each training is a LeNet in mixed precision on a chip of its own. The workers are warm, each has
done a training before: imports and compilers are no part of how a study grows with its workers.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from cimlab.cli import study as command
from cimlab.study import Case, Kept, Workers, run_study

OPTIONS = ["--station", "model:", "--epochs", "1", "--batches", "50"]
Cases = list[dict[str, Any]]


def trained(folder: str, case: Case) -> dict[str, Any]:
    """As `cimlab study` does it; leaves the worker's process id in the folder."""
    pids = Path(folder) / "pids"
    pids.mkdir(exist_ok=True)
    (pids / str(os.getpid())).touch()
    return command.trained(str(Path(folder) / "runs"), case)


@contextlib.contextmanager
def workers(count: int, dask: bool) -> Iterator[Workers]:
    """So many workers of a kind, on this machine."""
    if not dask:
        yield Workers(jobs=count)
        return
    from distributed import LocalCluster

    with LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield Workers(cluster=cluster.scheduler_address)


def studied(
    who: Workers, cases: Cases, folder: Path, warm: int, *finished: Callable[[], object]
) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of a study by workers that have done `warm` trainings, and its results.

    finished: As for `run_study`.
    """
    folder.mkdir()
    work = functools.partial(trained, str(folder))
    with Kept(None, "train") as kept:
        run_study(work, [case | {"warm": k} for k, case in enumerate(cases[:warm])], kept, who)
    with Kept(folder / "study.jsonl", "train") as kept:
        start = time.perf_counter()
        found = run_study(work, cases, kept, who, *finished)
        return time.perf_counter() - start, found


class Killer:
    """Kills a worker each time that another share of the cases is finished."""

    def __init__(self, folder: Path, cases: int, kills: int) -> None:
        self._folder, self._rng = folder, random.Random(0)  # noqa: S311 - no secret
        self._at = {cases * (k + 1) // (kills + 1) for k in range(kills)}
        self._finished = 0
        self.kills = 0

    def __call__(self) -> None:
        """A case is finished."""
        self._finished += 1
        if self._finished in self._at:
            own = {child.pid for child in psutil.Process().children(recursive=True)}
            known = {int(file.name) for file in (self._folder / "pids").iterdir()}
            os.kill(self._rng.choice(sorted(own & known)), signal.SIGKILL)
            self.kills += 1


def accuracies(found: list[dict[str, Any]]) -> list[float]:
    """Of the trainings, in the cases' order."""
    return [run["test_accuracy"] for run in found]


def kept_once(file: Path, cases: Cases) -> bool:
    """Whether the study file has each case exactly once."""
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    seen = Counter(json.dumps(line["case"], sort_keys=True) for line in lines)
    return seen == Counter(json.dumps(case, sort_keys=True) for case in cases)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--kill", type=int, default=0)
    given = parser.parse_args()
    cases = command.cases("lenet", OPTIONS, range(given.runs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with workers(2, given.dask) as two:
            seconds, found = studied(two, cases, folder / "two", 2)
            if given.kill:
                killer = Killer(folder / "killed", given.runs, given.kill)
                other, again = studied(two, cases, folder / "killed", 2, killer)
        if not given.kill:
            with workers(1, given.dask) as one:
                other, again = studied(one, cases, folder / "one", 1)
        last = folder / ("killed" if given.kill else "one") / "study.jsonl"
        result = {
            "runs": given.runs,
            "dask": given.dask,
            "kills": killer.kills if given.kill else 0,
            "seconds": seconds,
            "seconds_other": other,
            "ratio": other / seconds,
            "same": accuracies(found) == accuracies(again),
            "kept_once": kept_once(last, cases),
            "mean_accuracy": sum(accuracies(found)) / given.runs,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
