"""What commands share that do Monte-Carlo studies (`cimlab.study`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .console import log, progress

if TYPE_CHECKING:
    from cimlab.study import Case, Result, Work

Jobs: TypeAlias = Annotated[
    int, typer.Option(help="Processes that share the work; 0: one a core.", min=0)
]
Cluster: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Dask scheduler, tcp://host:port, whose workers share the work instead "
        "[default: none]."
    ),
]


def studied(
    kind: str, work: Work, cases: Sequence[Case], file: Path | None, who: tuple[int, str | None]
) -> list[Result]:
    """The results of all cases, with a progress bar.

    Args:
        kind: What is studied.
        work: Computes a case.
        cases: What is wanted.
        file: Study file, or None.
        who: Jobs and cluster, as the options say.
    """
    from cimlab.study import Kept, Workers, run_study

    jobs, cluster = who
    with Kept(file, kind) as kept:
        done = kept.count(cases)
        if done:
            log.info("%d of %d cases are in %s already", done, len(cases), file)
        try:
            with progress(len(cases), done, "case") as bar:
                return run_study(work, cases, kept, Workers(jobs, cluster), lambda: bar.update(1))
        except BaseException:
            if file is not None:
                log.warning("stopped; the same command goes on with what is missing in %s", file)
            raise
