"""Trainings into run files: start one, resume one. Imported when a command trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from cimlab import records
from cimlab.core.array import ArraySpec, Limits, Mask
from cimlab.core.errors import ConfigError, RecordError
from cimlab.core.station import Station
from cimlab.nn import choose, cut_layer
from cimlab.records import Header, RunReader, RunWriter, WeightMap
from cimlab.records.health import check
from cimlab.records.probing import probe
from cimlab.rig import StationArray, open_array
from cimlab.training.cifar import load_cifar10
from cimlab.training.data import load_mnist
from cimlab.training.hardware import Hardware
from cimlab.training.loop import Training
from cimlab.training.networks import network
from cimlab.training.policies import POLICIES
from cimlab.training.recipe import DIGITAL, Recipe, large
from cimlab.training.team import ALONE, Team, team

from . import files, teaming
from .console import log
from .following import follow, result

# The network is small: threads only get into each other's way, and the board wants the other
# core. It also makes the bits the same on machines with more cores.
torch.set_num_threads(1)
threadpool_limits(1)

LEASE_OUT = 30.0
"""How long a resumed run waits for a board that still holds on to the host that was killed, s."""
LOADERS = {"mnist": load_mnist, "cifar10": load_cifar10}
_NO_ARRAY = ArraySpec(1, 1, 1, 1, 1, Limits(), "none", "emulated", "FP32 on the host, no array")


def recipe(given: Mapping[str, Any], base: str = "paper") -> Recipe:
    """The plan of a run, "paper" or "tuned" with changes; ConfigError says what is wrong."""
    try:
        own = POLICIES[given["policy"]].settings if given.get("policy") in POLICIES else {}
        given = {**own, **given}
        settings = large(**given) if given.get("network", "lenet") != "lenet" else given
        return Recipe.tuned(**settings) if base == "tuned" else Recipe(**settings)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(wrong) from error


def tiles(plan: Recipe, hardware: Hardware) -> int:
    """Tiles of the hardware's size that a recipe's network needs."""
    spec = replace(_NO_ARRAY, rows=hardware.rows, cols=hardware.cols)
    model = network(plan.network).make(torch.Generator().manual_seed(0))
    chosen = choose(model, plan.on_chip)
    return sum(cut_layer(name, layer, spec).tiles for name, layer in chosen.items())


def start_run(
    plan: Recipe,
    station: Station | str,
    file: Path,
    baseline: Path | None = None,
    health: Path | None = None,
) -> dict[str, Any]:
    """Train from the beginning into a new run file; returns the result as plain data.

    Args:
        plan: How to train.
        station: Where the array is; not opened in mode fp32.
        file: The new run file.
        baseline: A run whose epochs are kept in the file, to compare with.
        health: Health file of the array; its bad cells are avoided.
    """
    epochs = {} if baseline is None else _epochs(baseline)

    def usable(array: StationArray) -> Mask | None:
        return check(health, array.spec).usable if health else array.usable

    with team() as mates:
        where = None if plan.mode in DIGITAL else teaming.own_station(station, mates)
        return _begin(plan, where, file, epochs, usable, mates=mates)


def _begin(
    plan: Recipe,
    where: Station | None,
    file: Path,
    baseline: Mapping[str, NDArray[Any]],
    usable: Callable[[StationArray], Mask | None],
    patience: float = 0.0,
    mates: Team = ALONE,
) -> dict[str, Any]:
    """Train from the beginning; `usable` tells which cells of the array may be used.

    Every process of a team gets the result; the first one writes the file.
    """
    images = LOADERS[plan.data]()
    with ExitStack() as stack:
        array = stack.enter_context(open_array(where, patience=patience)) if where else None
        known = usable(array) if array else None
        if array is not None:
            teaming.check(plan, array.spec, known is not None, mates)
        training = Training(plan, array, images, known, mates)
        start, _ = training.state()
        if mates.rank > 0:
            teaming.accompany(training, mates)
            return dict(mates.told(None))
        header = Header(
            kind="train",
            spec=array.spec if array else _NO_ARRAY,
            station=files.station_facts(where, known) if where else {},
            plan=plan.model_dump(mode="json"),
            seeds={"training": plan.seed},
            weights=_weight_map(training),
            baseline=baseline,
        )
        run = stack.enter_context(RunWriter.create(file, header, start))
        follow(training, array, run, file, mates)
        found = result(training, array, file, images.source) | {"processes": mates.size}
        return dict(mates.told(found))


def resume_run(file: Path, station: str | None) -> dict[str, Any]:
    """Continue the run of a file from its last checkpoint; returns the result as plain data.

    Args:
        file: The run file.
        station: Where the array is now; None for where it was.
    """
    with team() as mates:
        return _resume(file, station, mates)


def _resume(file: Path, station: str | None, mates: Team) -> dict[str, Any]:
    """`resume_run` as one of a team; every process reads the file, the first one writes on."""
    probe(file)
    with records.load(file) as before:
        found = before.checkpoint()
        if before.kind != "train":
            raise RecordError(f"{file} holds no training that could be resumed")
        plan = Recipe.model_validate(before.plan)
        where = None
        if plan.mode not in DIGITAL:
            recorded = files.recorded_station(before.station)
            where = teaming.own_station(station or recorded, mates)
        last, baseline = _last_map(before), before.baseline
    mates.any(np.array(False))  # all have read it
    if found is None:  # killed while its weights were being placed
        if mates.rank == 0:
            begun = file.with_name(file.name + ".begun")
            file.replace(begun)
            log.warning("nothing was trained yet: beginning again; what there was is in %s", begun)
        usable = partial(files.recorded_usable, before.station)
        return _begin(plan, where, file, baseline, lambda a: usable(a.spec), LEASE_OUT, mates)
    images = LOADERS[plan.data]()
    with ExitStack() as stack:
        array = stack.enter_context(open_array(where, patience=LEASE_OUT)) if where else None
        known = files.recorded_usable(before.station, array.spec) if array else None
        if array is not None:
            teaming.check(plan, array.spec, known is not None, mates)
        if array is not None and mates.rank == 0:
            _count_on(array, last)
        training = Training(plan, array, images, known, mates)
        if training.updater is not None and last:
            training.updater.target[:] = last["target"].ravel()[training.updater.cells]
        moved = training.restore(*found).moved
        if mates.rank > 0:
            teaming.accompany(training, mates)
            return dict(mates.told(None))
        spec = array.spec if array else _NO_ARRAY
        run = stack.enter_context(RunWriter.resume(file, spec, len(moved)))
        follow(training, array, run, file, mates)
        told = {"processes": mates.size, "moved_cells": len(moved)}
        return dict(mates.told(result(training, array, file, images.source) | told))


def _epochs(file: Path) -> dict[str, NDArray[Any]]:
    """Accuracy and loss of a run's epochs."""
    with records.load(file) as run:
        if not run.rows("epochs"):
            raise RecordError(f"{file} holds no finished epoch to compare with")
        return run.columns("epochs", ("step", "number", "accuracy", "accuracy_2560", "loss"))


def _weight_map(training: Training) -> WeightMap | None:
    """Which weights are on which cells."""
    if training.updater is None:
        return None
    layers = training.layers.values()
    sizes = [layer.weight.numel() for layer in layers]
    return WeightMap(
        names=tuple(training.layers),
        shapes=tuple(tuple(layer.weight.shape) for layer in layers),
        cells=training.updater.cells,
        layer=np.repeat(np.arange(len(sizes)), sizes),
        scale=np.repeat([layer.scale for layer in layers], sizes),
    )


def _last_map(run: RunReader) -> dict[str, Any]:
    """Pulses, reads and targets of the last map, (tiles, rows, cols); empty without a map."""
    if not run.rows("maps"):
        return {}
    last = run.columns("maps", ("pulses", "reads", "target"), slice(-1, None))
    return {name: values[0] for name, values in last.items()}


def _count_on(array: StationArray, last: Mapping[str, Any]) -> None:
    """Let the ledger go on where the run stopped; a board that counts knows its pulses itself."""
    if last:
        array.ledger.reads += last["reads"]
        # a health file has counted them on, too
        if "counters" not in array.spec.capabilities and array.station.health is None:
            array.ledger.pulses += last["pulses"]
