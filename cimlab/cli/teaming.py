"""What is particular to a training by several processes (`cimlab.training.team`)."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from cimlab.core.array import ArraySpec
from cimlab.core.errors import ConfigError
from cimlab.core.station import MockBoard, ModelArray, Station, load_station
from cimlab.training.events import EpochDone, Event, Prepared, StepDone
from cimlab.training.loop import Training
from cimlab.training.recipe import DIGITAL, Recipe
from cimlab.training.team import Team

RANK = "{rank}"


def own_station(station: Station | str, team: Team) -> Station:
    """This process's station: RANK in its text stands for the process's number.

    Without it, emulated chips get seeds of their own, each by one more.
    """
    if isinstance(station, Station):
        found, named = station, False
    else:
        found, named = load_station(station.replace(RANK, str(team.rank))), RANK in station
    if team.size == 1 or named:
        return found
    if not isinstance(found.connection, ModelArray | MockBoard):
        raise ConfigError(f"each process needs an array of its own: write {RANK} in --station")
    if found.trace or found.health:
        raise ConfigError(f"each process needs files of its own: write {RANK} in --station")
    seed = found.connection.seed + team.rank
    return found.model_copy(
        update={"connection": found.connection.model_copy(update={"seed": seed})}
    )


def check(plan: Recipe, spec: ArraySpec, avoids: bool, team: Team) -> None:
    """ConfigError unless a team can train so on such arrays; nothing to check for one process.

    Args:
        plan: How to train.
        spec: This process's array.
        avoids: Whether it has cells that must not be used.
        team: The processes.
    """
    if team.size == 1 or plan.mode in DIGITAL:
        return
    # all are asked before any complains: who left would be waited for
    alike = team.mean(np.array(spec.shape)) == spec.shape
    differ, avoid = team.any(np.array([not alike.all(), avoids]))
    if plan.policy == "late":
        # pairs that happen to be near their weights on the mean need not be so on any chip
        raise ConfigError("policy late takes the cells of one chip as they are: use one process")
    if differ:
        raise ConfigError("the processes' arrays are not of one shape")
    if avoid:
        raise ConfigError("several processes cannot avoid cells: leave out health files")


def accompany(training: Training, team: Team) -> None:
    """What the other processes do while the first one records: train, and read when it reads."""
    with closing(training.events()) as events:
        for event in events:
            if isinstance(event, Prepared | EpochDone):
                training.state()
            if may_rest(event, training.recipe) and team.any(np.array(False)):
                if isinstance(event, StepDone):
                    training.state()
                raise KeyboardInterrupt("stopped on request")


def may_rest(event: Event, plan: Recipe) -> bool:
    """Whether a run may stop here: not between an epoch's last batch and its test, nor at the end.

    A checkpoint there would be resumed without the test.
    """
    match event:
        case StepDone(step=step):
            return step % plan.batches > 0
        case EpochDone(step=step):
            return step < plan.steps
    return False
