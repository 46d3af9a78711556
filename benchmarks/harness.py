"""Side-by-side timing: cases take turns, so that a machine whose speed drifts slows them all.

A figure is a ratio of two cases measured in the same rounds; its value is the median over the
rounds. Wall time and processor time of this process are two views: on a busy machine they differ.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

SHORTEST = 2e-3
"""A case shorter than this is repeated within a round, s."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds a call, one entry a round."""

    wall: list[float]
    cpu: list[float]

    def micros(self) -> float:
        """Median processor time of a call, us."""
        return statistics.median(self.cpu) * 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table.

    Attributes:
        name: What was measured.
        value: The figure, from wall time where time is involved.
        cpu: The same from processor time; None where that says nothing.
        must: What it has to be.
        aim: What it should be.
        unit: Of all four; "x" is a ratio.
        least: Whether larger is better.
        detail: Anything else worth keeping.
    """

    name: str
    value: float
    must: float | None = None
    aim: float | None = None
    unit: str = "x"
    least: bool = False
    cpu: float | None = None
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether wall time meets the must; said apart where only processor time does."""
        if self.must is None:
            return ""
        if self._meets(self.value):
            return "ok"
        return "by cpu only" if self.cpu is not None and self._meets(self.cpu) else "MISSED"

    def _meets(self, value: float) -> bool:
        assert self.must is not None  # noqa: S101 - asked for with a must only
        return bool(value >= self.must if self.least else value <= self.must)


def interleaved(
    cases: Mapping[str, Callable[[], object]], rounds: int = 40, warm: int = 3
) -> dict[str, Times]:
    """Time cases in turns; the order is reversed every other round."""
    inner = {}
    for name, case in cases.items():
        for _ in range(warm):
            case()
        start = time.perf_counter()
        case()
        inner[name] = max(1, int(SHORTEST / max(time.perf_counter() - start, 1e-9)))
    times: dict[str, Times] = {name: Times([], []) for name in cases}
    for number in range(rounds):
        for name in list(cases)[:: 1 if number % 2 else -1]:
            case, n = cases[name], inner[name]
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(n):
                case()
            times[name].cpu.append((time.process_time() - cpu) / n)
            times[name].wall.append((time.perf_counter() - wall) / n)
    return times


def ratio(a: Times, b: Times) -> tuple[float, float]:
    """Medians of a over b, by wall and by processor time."""
    return (
        statistics.median(x / y for x, y in zip(a.wall, b.wall, strict=True)),
        statistics.median(x / max(y, 1e-9) for x, y in zip(a.cpu, b.cpu, strict=True)),
    )


def table(rows: Iterable[Row]) -> str:
    """Rows as text, each with its verdict."""
    lines = [f"{'':62}{'measured':>10}{'by cpu':>10}{'must':>10}{'aim':>10}"]
    for row in rows:
        sign = ">=" if row.least else "<="
        bounds = ["" if bound is None else f"{sign} {bound:.4g}" for bound in (row.must, row.aim)]
        cpu = "" if row.cpu is None else f"{row.cpu:.4g}"
        mark = f"  {row.verdict}"
        lines.append(
            f"{row.name:{NAME}}{row.unit:>6}{row.value:10.4g}{cpu:>10}{bounds[0]:>10}{bounds[1]:>10}{mark}"
        )
    return "\n".join(lines)


NAME = 56
"""Characters of a line of the table that name its figure."""


def into_page(page: Path, rows: Iterable[Row]) -> None:
    """Put the rows into a page's table, its first block of text; other lines stay."""
    before, text = page.read_text().split("```text\n", 1)
    block, after = text.split("```", 1)
    lines = {line[:NAME].strip(): line for line in block.splitlines()}
    for line in table(rows).splitlines():
        lines[line[:NAME].strip()] = line.rstrip()
    page.write_text(before + "```text\n" + "\n".join(lines.values()) + "\n```" + after)


def main(topics: Mapping[str, Callable[[bool], Iterator[Row]]]) -> None:
    """Run the topics named on the command line, or all; print the table, keep the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("topics", nargs="*", help=f"of {', '.join(topics)}; all if none")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--threads", type=int, default=1, help="of the libraries' products")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--page", type=Path, help="page whose table the figures go into")
    given = parser.parse_args()
    if unknown := set(given.topics) - set(topics):
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    torch.set_num_threads(given.threads)
    threadpool_limits(given.threads)
    rows = []
    for name in given.topics or topics:
        for row in topics[name](given.quick):
            rows.append(row)
            print(table([row]).splitlines()[1], file=sys.stderr, flush=True)
    print(table(rows))
    if given.page:
        into_page(given.page, rows)
    if given.json:
        found = [asdict(row) | {"verdict": row.verdict} for row in rows]
        given.json.write_text(json.dumps(found, indent=1) + "\n")
