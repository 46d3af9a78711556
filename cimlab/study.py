"""Monte-Carlo studies: many cases of one computation, side by side, each done once.

A case is plain data that says all of what is computed, and so is its result. Whatever has finished
is in the study file at once, under its case; a study that is started again does what is missing,
whoever stopped it. Workers are processes (joblib) or a Dask cluster; one that is killed is
replaced, and its case is done again.

    with Kept(Path("study.jsonl"), "squares") as kept:
        found = run_study(square, [{"x": x} for x in range(100)], kept, Workers(jobs=2))
"""

from __future__ import annotations

import ctypes
import json
import logging
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeAlias

from threadpoolctl import threadpool_limits

from cimlab.core.errors import CimError, ConfigError, RecordError, StudyError
from cimlab.records import provenance

if sys.platform != "win32":
    import fcntl

Case: TypeAlias = Mapping[str, Any]
Result: TypeAlias = Any
Work: TypeAlias = Callable[[Case], Result]
Done: TypeAlias = Generator[tuple[str, Result], None, None]
"""Keys of cases and their results, in the order in which they are finished."""

FRUITLESS = 3
"""Times that workers may die without a single case finished in between."""
ANSWER = 20.0
"""How long a cluster may take to answer, and to have a worker, s."""
_KEPT_BYTES = 1 << 25
"""Memory that malloc keeps of what was freed; the largest threshold that glibc takes."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Settings of mallopt (malloc.h of glibc)."""
_INSTALL = "pip install cimlab[scale]"

_log = logging.getLogger(__name__)


def key_of(case: Case) -> str:
    """A case as text, the same for the same data: what it is kept under."""
    return json.dumps(case, sort_keys=True)


class Kept:
    """Results by case, and the file they are kept in: JSON lines, one a finished case.

    Only one process may have the file open. A line that was cut short by a crash is removed; its
    case is missing.

    Args:
        file: The study file, made where there is none; None keeps results in memory alone.
        kind: What is studied; a file is of one kind.

    Attributes:
        results: By `key_of` their case.

    Raises:
        RecordError: The file is damaged, of another kind, or cannot be written.
        ConfigError: Another process has it open.
    """

    def __init__(self, file: Path | None, kind: str) -> None:
        self.results: dict[str, Result] = {}
        self._file: IO[bytes] | None = None
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = file.open("a+b", buffering=0)
        except OSError as error:
            raise RecordError(f"cannot write the study {file}: {error}") from error
        try:
            self._lock(file)
            self._load(file, kind)
        except BaseException:
            self._file.close()
            raise

    def add(self, case: Case, result: Result) -> bool:
        """Keep a result; False where the case has one already, which stays."""
        key = key_of(case)
        if key in self.results:
            return False
        self._write({"case": case, "result": result, "utc": provenance.utc_now()})
        self.results[key] = result
        return True

    def count(self, cases: Sequence[Case]) -> int:
        """How many of the cases are finished."""
        return sum(key_of(case) in self.results for case in cases)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _lock(self, file: Path) -> None:
        """Until the file is closed or the process ends; not on Windows."""
        if sys.platform != "win32" and self._file is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(f"{file} is being written by another study") from error

    def _load(self, file: Path, kind: str) -> None:
        assert self._file is not None  # noqa: S101 - opened just now
        whole, _, cut = file.read_bytes().rpartition(b"\n")
        if cut:
            self._file.truncate(len(whole) + 1 if whole else 0)
        lines = whole.splitlines()
        try:
            entries = [json.loads(line) for line in lines]
            if entries and entries[0]["study"] != kind:
                raise RecordError(f"{file} is a study of {entries[0]['study']}, not of {kind}")
            for entry in entries[1:]:
                self.results.setdefault(key_of(entry["case"]), entry["result"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{file} is no study file, or is damaged: {error!r}") from error
        if not entries:
            self._write({"study": kind, "versions": provenance.versions()})

    def _write(self, entry: Mapping[str, Any]) -> None:
        """One line in one write: a crash leaves it whole, or without its end."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            raise RecordError(f"cannot write the study {self._file.name}: {error}") from error


class _WorkersDied(Exception):
    """Workers were killed, or the cluster is gone."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the cases.

    Attributes:
        jobs: Processes on this machine; 1 is this process itself, 0 is one a core.
        cluster: Address of a Dask scheduler, tcp://host:port, whose workers are used instead.
    """

    jobs: int = 1
    cluster: str | None = None

    def done(self, work: Work, cases: Mapping[str, Case]) -> Done:
        """Do cases, by their keys."""
        if self.cluster is not None:
            return _on_cluster(work, cases, self.cluster)
        if self.jobs == 1:
            return (_one(work, key, case) for key, case in cases.items())
        return _in_processes(work, cases, self.jobs or -1)


def run_study(
    work: Work,
    cases: Sequence[Case],
    kept: Kept,
    workers: Workers,
    finished: Callable[[], object] = lambda: None,
) -> list[Result]:
    """Do the cases that have no result yet.

    Args:
        work: Computes a case from its data alone; importable by the workers.
        cases: What is wanted; a case that comes twice is done once.
        kept: What is finished, and where to keep the rest.
        workers: Who does it, a thread each.
        finished: Called after each case.

    Returns:
        The results of all cases, in their order.

    Raises:
        StudyError: A case failed, or the workers die again and again; what is finished is kept.
    """
    missing = {key: case for case in cases if (key := key_of(case)) not in kept.results}
    died = 0
    while missing:
        before = len(missing)
        try:
            with closing(workers.done(work, dict(missing))) as results:
                for key, result in results:
                    if kept.add(missing.pop(key), result):
                        finished()
        except _WorkersDied as error:
            died = died + 1 if len(missing) == before else 1
            if died > FRUITLESS:
                raise StudyError(
                    f"workers died {died} times with no case finished in between ({error}); "
                    f"{len(missing)} cases are missing, the finished ones are kept"
                ) from error
            _log.warning("a worker died; going on with the %d missing cases", len(missing))
    return [kept.results[key_of(case)] for case in cases]


def _one(work: Work, key: str, case: Case) -> tuple[str, Result]:
    """A case, by a worker; whatever is raised on purpose has to cross to another process."""
    try:
        # the workers are as many as the cores
        with threadpool_limits(1):
            return key, work(case)
    except CimError as error:
        raise StudyError(f"{type(error).__name__}: {error} (in the case {key})") from None


def _by_dask(work: Work, key: str, case: Case) -> tuple[str, Result]:
    """A case, by a worker of Dask.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536: memory goes back to the system at
    once, and every array of more than 128 kB is new pages. A training then takes a quarter longer,
    and workers keep each other waiting in the kernel.
    """
    with suppress(OSError, AttributeError, TypeError):  # no glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES)
    return _one(work, key, case)


def _in_processes(work: Work, cases: Mapping[str, Case], jobs: int) -> Done:
    """By processes of this machine."""
    try:
        from joblib import Parallel, delayed, parallel_config
        from joblib.externals.loky.process_executor import BrokenProcessPool
    except ImportError as error:
        raise ConfigError(f"more than one job needs joblib: {_INSTALL}, or --jobs 1") from error
    # a thread each, from the start of the process on
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(batch_size=1, return_as="generator_unordered")
        try:
            yield from parallel(delayed(_one)(work, key, case) for key, case in cases.items())
        except BrokenProcessPool as error:
            raise _WorkersDied(str(error).partition("\n")[0]) from error


def _on_cluster(work: Work, cases: Mapping[str, Case], address: str) -> Done:
    """By the workers of a Dask cluster; its scheduler does a killed worker's case again."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise ConfigError(f"--cluster needs Dask: {_INSTALL}") from error
    try:
        client = Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise StudyError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER)
        except TimeoutError as error:
            raise StudyError(
                f"the cluster has no workers; start some: dask worker {address} --nthreads 1"
            ) from error
        todo = [client.submit(_by_dask, work, key, cases[key], pure=False) for key in cases]
        for future in as_completed(todo, loop=client.loop):
            try:
                found = future.result()
            except (KilledWorker, CancelledError) as error:
                raise _WorkersDied(str(error) or "the scheduler is gone") from error
            yield found
