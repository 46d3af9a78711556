"""A training on its way: its events into the run file, the progress bar and the log."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cimlab import records
from cimlab.records import RunWriter
from cimlab.records.control import Requests
from cimlab.rig import StationArray
from cimlab.training.events import Calibrated, EpochDone, Event, Prepared, Resumed, StepDone
from cimlab.training.loop import Training
from cimlab.training.team import ALONE, Team
from cimlab.training.updater import Update

from . import teaming
from .console import log, progress


def follow(
    training: Training,
    array: StationArray | None,
    run: RunWriter,
    file: Path,
    mates: Team = ALONE,
) -> None:
    """Train to the end; every event goes to the run file, the progress bar or the log."""
    steps = training.recipe.steps

    tiles = array.spec.tiles if array else 1
    if array is not None:
        run.watch_link(lambda: array.link)

    def ground() -> None:
        if array is not None:
            array.ground()

    try:
        with (
            Requests(file) as requests,
            closing(training.events()) as events,
            progress(steps, training.step) as bar,
        ):
            for event in events:
                if isinstance(event, StepDone):
                    bar.update(1)
                record(event, run, tiles)
                _tell(event, training)
                if isinstance(event, Prepared | EpochDone):
                    checkpoint(training, array, run)
                if teaming.may_rest(event, training.recipe) and mates.any(
                    np.array(requests.stop(run, ground))
                ):
                    if isinstance(event, StepDone):
                        checkpoint(training, array, run)
                    raise KeyboardInterrupt("stopped on request")
    except BaseException:
        name = training.recipe.network
        log.warning("stopped; continue with: cimlab train %s --resume %s", name, file)
        raise


def record(event: Event, run: RunWriter, tiles: int) -> None:
    """Store what an event tells; tiles: of the array."""
    match event:
        case StepDone(clipped=clipped):
            shares = np.full(tiles, np.nan, np.float32)
            shares[: len(clipped)] = clipped
            run.append(
                "steps",
                step=event.step,
                loss=event.loss,
                saturated=event.saturated,
                clipped=shares,
                **_updates(event.update),
            )
        case EpochDone():
            run.append(
                "epochs",
                step=event.step,
                number=event.number,
                accuracy=event.accuracy,
                accuracy_2560=event.accuracy_2560,
                loss=event.loss,
                seconds=event.seconds,
                **_updates(event.update),
            )


def _updates(update: Update) -> dict[str, int]:
    return {
        "weight_updates": update.weights,
        "device_updates": update.devices,
        "pulses": update.pulses,
    }


def _tell(event: Event, training: Training) -> None:
    match event:
        case Prepared(weights=weights, written=written):
            log.info("%d weights placed, %.1f pulses each", weights, written.pulses / weights)
        case Resumed(step=step, moved=moved):
            log.info("resumed after %d batches; %d cells have moved since", step, len(moved))
            if training.updater is not None and len(moved) > training.updater.size:
                log.warning("that is another chip: all weights were written to it")
        case Calibrated():
            log.debug("calibrated: residual %.3g uA", 1e6 * event.residual)
        case EpochDone():
            log.info(
                "epoch %d of %d: loss %.3f, accuracy %.2f %%, %d devices written, %.1f s",
                event.number,
                training.recipe.epochs,
                event.loss,
                100 * event.accuracy,
                event.update.devices,
                event.seconds,
            )


def checkpoint(training: Training, array: StationArray | None, run: RunWriter) -> None:
    """Store where the training is, and the map that this had to read anyway."""
    arrays, info = training.state()
    if array is not None and training.updater is not None:
        current, target = np.full((2, array.spec.size), np.nan)
        current[training.updater.cells] = arrays["current"]
        target[training.updater.cells] = training.updater.target
        run.append(
            "maps",
            step=training.step,
            v_read=array.converters.v_read,
            current=current.reshape(array.spec.shape),
            pulses=array.ledger.pulses,
            reads=array.ledger.reads,
            target=target.reshape(array.spec.shape),
        )
    run.checkpoint(arrays, info)


def result(
    training: Training, array: StationArray | None, file: Path, source: str
) -> dict[str, Any]:
    """What `cimlab train --json` prints; the epochs are all of the file's, resumed or not."""
    with records.load(file) as run:
        columns = {
            name: run.column("epochs", name).tolist()
            for name in records.TABLES["epochs"]
            if name not in ("time", "step")
        }
    epochs = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {
        "test_accuracy": columns["accuracy"][-1],
        "test_accuracy_best": max(columns["accuracy"]),
        "test_accuracy_paper_2560": columns["accuracy_2560"][-1],
        "epochs": epochs,
        "updates_per_weight": training.updates_per_weight,
        "pulses_per_weight": training.pulses_per_weight,
        **_wear(training),
        "network": training.recipe.network,
        "data": source,
        "mode": training.recipe.mode,
        "policy": training.recipe.policy,
        "seed": training.recipe.seed,
        "station": array.station.text if array else None,
        "link": asdict(array.link) if array and array.link else None,
        "pulses_differ": _audit(array) if array else 0,
        "run_file": str(file),
    }


def _wear(training: Training) -> dict[str, float]:
    """How often cells were written, the first placement included."""
    if training.updater is None:
        return {"cell_writes_per_weight": 0.0, "worst_cell_writes": 0}
    writes = training.updater.writes
    return {
        "cell_writes_per_weight": float(writes.sum()) / training.updater.size,
        "worst_cell_writes": int(writes.max()),
    }


def _audit(array: StationArray) -> int:
    """Cells whose pulses the board has counted otherwise than the host."""
    if "counters" not in array.spec.capabilities:
        return 0
    differ = len(array.ledger.differs(array.counters()))
    if differ:
        log.warning("%d cells: the board has counted other pulses than the host", differ)
    return differ
