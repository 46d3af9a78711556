"""Memory, open files and threads of processes over time: what leaks shows here.

Linux only: all of it is read from /proc.
"""

from __future__ import annotations

import contextlib
import csv
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from cimlab.core.errors import CapabilityError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROC = Path("/proc")
_SETTLED = 1 / 3
"""Share of the time that a process may take to reach its size."""
_SHARE, _LEAST = 0.03, 4.0
"""Growth that still counts as flat: of the size, and MB."""


class Vitals(NamedTuple):
    """A process tree at one moment.

    Attributes:
        time: s since the watch began.
        process: Its name.
        rss_MB: Resident memory, 10^6 bytes.
        files: Open descriptors.
        threads: Of all its processes.
    """

    time: float
    process: str
    rss_MB: float  # noqa: N815 - a column with its unit
    files: int
    threads: int


def look(pid: int) -> tuple[float, int, int] | None:
    """Memory (10^6 bytes), open files and threads of a process; None when it has gone."""
    folder = _PROC / str(pid)
    try:
        pages = int((folder / "statm").read_text().split()[1])
        files = len(os.listdir(folder / "fd"))
        threads = len(os.listdir(folder / "task"))
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads


def descendants(pid: int) -> list[int]:
    """The process, its children and theirs."""
    found = [pid]
    for each in found:  # grows meanwhile
        with contextlib.suppress(OSError):
            for task in (_PROC / str(each) / "task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


class Watch:
    """Samples processes in a thread, into a CSV file; a context manager.

    Args:
        processes: Gives the process ids of each name, asked anew for every sample.
        file: The CSV.
        period: s.

    Attributes:
        samples: All so far.
    """

    def __init__(
        self, processes: Callable[[], Mapping[str, list[int]]], file: Path, period: float
    ) -> None:
        if not (_PROC / "self" / "statm").exists():
            raise CapabilityError("watching memory and files needs /proc: Linux only")
        self.samples: list[Vitals] = []
        self._processes, self._file, self._period = processes, file, period
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cimlab-vitals", daemon=True)

    def _run(self) -> None:
        with self._file.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(Vitals._fields)
            while not self._over.wait(self._period):
                now = time.monotonic() - self._start
                for name, pids in self._processes().items():
                    seen = [found for pid in pids if (found := look(pid)) is not None]
                    if seen:
                        rss, files, threads = (sum(part) for part in zip(*seen, strict=True))
                        sample = Vitals(round(now, 1), name, round(rss, 2), files, threads)
                        self.samples.append(sample)
                        table.writerow(sample)
                file.flush()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of a process once it had reached its size: the last two thirds of the time.

    Attributes:
        rss_MB: Median memory, 10^6 bytes.
        slope_MB_per_hour: Of a straight line through it.
        grown_MB: Median of the last quarter less that of the first.
        files, threads: Medians of the first and the last quarter.
        leaks: What grew, in words; empty when nothing did.
    """

    rss_MB: float  # noqa: N815
    slope_MB_per_hour: float  # noqa: N815
    grown_MB: float  # noqa: N815
    files: tuple[float, float]
    threads: tuple[float, float]
    leaks: tuple[str, ...]


def trend(samples: list[Vitals], process: str) -> Trend | None:
    """The trend of one process; None with fewer than eight samples of its settled time."""
    import numpy as np

    table = np.array([(s.time, *s[2:]) for s in samples if s.process == process])
    if len(table):
        begin, end = table[[0, -1], 0]
        table = table[table[:, 0] >= begin + _SETTLED * (end - begin)]
    if len(table) < 8:
        return None
    quarter = len(table) // 4
    parts = (table[:quarter], table[-quarter:])
    first, last = (np.median(part, axis=0) for part in parts)
    # a leak adds to the least and to the most; who only comes and goes moves a median by chance
    (least, most), (least_now, most_now) = ((p.min(axis=0), p.max(axis=0)) for p in parts)
    middle = float(np.median(table[:, 1]))
    slope = 3600 * float(np.polyfit(table[:, 0], table[:, 1], 1)[0])
    grown = last - first
    leaks = []
    if grown[1] > max(_SHARE * middle, _LEAST):
        leaks.append(f"memory grew by {grown[1]:.0f} MB")
    for column, name in ((2, "files"), (3, "threads")):
        if least_now[column] > least[column] or most_now[column] > most[column]:
            leaks.append(
                f"{name} grew from {least[column]:g} - {most[column]:g} to "
                f"{least_now[column]:g} - {most_now[column]:g}"
            )
    files, threads = ((float(first[k]), float(last[k])) for k in (2, 3))
    return Trend(middle, slope, float(grown[1]), files, threads, tuple(leaks))


def draw(samples: list[Vitals], title: str) -> Figure:
    """Memory, files and threads over time, a line a process."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    axes: Any = figure.subplots(3, 1, sharex=True)
    names = dict.fromkeys(sample.process for sample in samples)
    for name in names:
        table = np.array([(s.time / 60, *s[2:]) for s in samples if s.process == name])
        for axis, column in zip(axes, (1, 2, 3), strict=True):
            axis.plot(table[:, 0], table[:, column], label=name)
    for axis, label in zip(axes, ("memory (MB)", "open files", "threads"), strict=True):
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_title(title)
    axes[0].legend()
    axes[-1].set_xlabel("time (min)")
    return figure
