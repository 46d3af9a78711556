"""Health files: what is known of an array's cells, and how often they were pulsed, over the runs.

An HDF5 file with a dataset or two; replaced atomically, so readers find the old one or the new one.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from cimlab.core.array import ArraySpec
from cimlab.core.errors import RecordError
from cimlab.core.health import Health, HealthMap

FORMAT = "cimlab-health"
FORMAT_VERSION = 1
_STATES = ", ".join(f"{state.value} {state.name.lower()}" for state in Health)


def load(path: str | os.PathLike[str]) -> HealthMap:
    """Read a health file; RecordError when it is missing or something else."""
    try:
        with h5py.File(path, "r") as file:
            if (file.attrs.get("format"), file.attrs.get("format_version")) == (
                FORMAT,
                FORMAT_VERSION,
            ):
                pulses = file["pulses"][()] if "pulses" in file else None
                attributes = file.attrs
                return HealthMap(
                    file["states"][()], attributes["identity"], attributes["utc"], pulses
                )
    except (OSError, KeyError) as error:
        raise RecordError(f"cannot read the health file {path}: {error}") from error
    raise RecordError(f"{path} is not a {FORMAT} file of version {FORMAT_VERSION}")


def check(path: str | os.PathLike[str], spec: ArraySpec) -> HealthMap:
    """Read the health file of an array; RecordError when it is another array's."""
    health = load(path)
    if health.states.shape != spec.shape or health.identity != spec.identity:
        raise RecordError(
            f"{path} tells the health of {health.identity}, {health.states.shape} cells; "
            f"this is {spec.identity}, {spec.shape}"
        )
    return health


def save(path: str | os.PathLike[str], health: HealthMap) -> None:
    """Write a health file in place of an earlier one; RecordError where that cannot be."""
    target = Path(path)
    new = target.with_name(target.name + ".new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(new, "w") as file:
            file.attrs.update(
                {
                    "format": FORMAT,
                    "format_version": FORMAT_VERSION,
                    "identity": health.identity,
                    "utc": health.utc,
                }
            )
            states = file.create_dataset("states", data=health.states)
            states.attrs.update({"unit": "1", "description": f"tiles, rows, cols: {_STATES}"})
            if health.pulses is not None:
                pulses = file.create_dataset("pulses", data=health.pulses)
                told = "tiles, rows, cols: pulses each cell has had in its life"
                pulses.attrs.update({"unit": "1", "description": told})
        os.replace(new, target)
    except OSError as error:
        raise RecordError(f"cannot write the health file {target}: {error}") from error


def update(path: str | os.PathLike[str], found: HealthMap) -> HealthMap:
    """Bring a health file up to date with a screening, or make it; returns what it now holds.

    Cells that were not screened keep what was known of them.

    Raises:
        RecordError: The file is another array's.
    """
    states, pulses = found.states, found.pulses
    if Path(path).exists():
        before = load(path)
        if before.states.shape != states.shape or before.identity != found.identity:
            raise RecordError(f"{path} tells the health of {before.identity}, not {found.identity}")
        states = np.where(states == Health.UNTESTED, before.states, states)
        pulses = before.pulses if pulses is None else pulses
    health = HealthMap(states, found.identity, found.utc, pulses)
    save(path, health)
    return health
