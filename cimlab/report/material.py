"""What figures are drawn from: run files, and study files of transfers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimlab import records
from cimlab.core.errors import RecordError
from cimlab.records import RunReader

STUDY = ".jsonl"


@dataclass(frozen=True, slots=True)
class Transferred:
    """Writings of one network to other chips.

    Attributes:
        mode: How it was trained: mixed, fp32, ...; "" where no run file given tells.
        network: Its name; "" likewise.
        trained: Its accuracy as trained, 0-1.
        accuracies: Of the writings, by sigma (gaps between levels).
    """

    mode: str
    network: str
    trained: float
    accuracies: dict[float, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that was given, sorted.

    Attributes:
        trainings, programmings, noises: Run files.
        transfers: By the digest of the run that was written to chips.
    """

    trainings: list[RunReader] = field(default_factory=list)
    programmings: list[RunReader] = field(default_factory=list)
    noises: list[RunReader] = field(default_factory=list)
    transfers: list[Transferred] = field(default_factory=list)

    @property
    def runs(self) -> list[RunReader]:
        """All run files."""
        return [*self.trainings, *self.programmings, *self.noises]


def mode(run: RunReader) -> str:
    """How a training went: mixed, naive, fp32, qat."""
    return str(run.plan.get("mode", "mixed"))


def network(run: RunReader) -> str:
    """What was trained; older files know only one."""
    return str(run.plan.get("network", "lenet"))


@contextmanager
def opened(files: Sequence[Path]) -> Iterator[Material]:
    """The material of files, open meanwhile.

    Raises:
        RecordError: A file cannot be read, or is of a kind that no figure shows.
    """
    with ExitStack() as stack:
        found = Material()
        digests: dict[str, RunReader] = {}
        for file in files:
            if file.suffix == STUDY:
                continue
            run = stack.enter_context(records.load(file))
            digests[hashlib.sha256(file.read_bytes()).hexdigest()[:16]] = run
            if run.kind == "train":
                found.trainings.append(run)
            elif run.rows("programming"):
                found.programmings.append(run)
            elif run.kind == "sweep:noise":
                found.noises.append(run)
            else:
                raise RecordError(
                    f"{file} is a {run.kind} run: figures are made of trainings, programming runs, "
                    "`sweep noise` runs and transfer studies; `cimlab report` draws the others"
                )
        for file in files:
            if file.suffix == STUDY:
                found.transfers.extend(_transfers(file, digests))
        yield found


def _transfers(file: Path, digests: dict[str, RunReader]) -> Iterator[Transferred]:
    """The networks of a `cimlab transfer --study` file."""
    try:
        entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if entries[0]["study"] != "transfer":
            raise RecordError(f"{file} is a study of {entries[0]['study']}, not of transfers")
        trained, drawn = _sorted(entries[1:])
    except OSError as error:
        raise RecordError(f"cannot read the study {file}: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordError(f"{file} is no study file, or is damaged: {error!r}") from error
    for digest, accuracy in trained.items():
        run = digests.get(digest)
        yield Transferred(
            mode(run) if run else "",
            network(run) if run else "",
            accuracy,
            {sigma: np.array(part) for sigma, part in sorted(drawn.get(digest, {}).items())},
        )


def _sorted(
    entries: list[dict[str, Any]],
) -> tuple[dict[str, float], dict[str, dict[float, list[float]]]]:
    """Accuracies as trained by digest; those of writings by digest and sigma."""
    trained: dict[str, float] = {}
    drawn: dict[str, dict[float, list[float]]] = {}
    for entry in entries:
        case, result = entry["case"], entry["result"]
        digest = str(case["run"])
        if "plan" not in case:
            trained[digest] = float(result["accuracy"])
            continue
        # the last draw of a writing is the one after all that was done for it
        last = result["draws"][-1]
        sigma = float(case["sigma"])
        drawn.setdefault(digest, {}).setdefault(sigma, []).append(float(last["accuracy"]))
    return trained, drawn
