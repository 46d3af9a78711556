"""A small array's header and rows, shared by the tests and their child processes."""

from pathlib import Path
from typing import Any

import numpy as np

from cimlab.core.array import ArraySpec, Limits
from cimlab.records import Header, RunWriter

SPEC = ArraySpec(
    tiles=2,
    rows=4,
    cols=3,
    dac_bits=8,
    adc_bits=8,
    limits=Limits(),
    vmm="analog",
    origin="emulated",
    identity="test array",
    capabilities=frozenset({"unfold", "counters"}),
)
HEADER = Header("train", SPEC, {"link": "model:"}, {"epochs": 3}, {"train": 7})
TEMPLATE = {"weights": np.zeros((5, 4)), "generator": np.zeros(16, np.uint8), "step": np.int64(0)}


def state(number: int) -> dict[str, np.ndarray[Any, Any]]:
    """A checkpoint whose every element tells its number."""
    return {key: np.full_like(value, number) for key, value in TEMPLATE.items()}


def add_epoch(run: RunWriter, number: int) -> None:
    """Ten steps, an epoch, a map and a checkpoint, all derived from number."""
    for step in range(10 * number - 9, 10 * number + 1):
        run.append(
            "steps",
            step=step,
            loss=1 / step,
            weight_updates=2,
            device_updates=3,
            pulses=9,
            saturated=0.0,
        )
    run.append(
        "epochs",
        step=10 * number,
        number=number,
        accuracy=1 - 0.5**number,
        accuracy_2560=1 - 0.6**number,
        loss=1 / number,
        weight_updates=20,
        device_updates=30,
        pulses=90,
        seconds=1.5,
    )
    run.append(
        "maps",
        step=10 * number,
        v_read=0.1,
        current=np.full(SPEC.shape, number * 1e-6),
        pulses=np.full(SPEC.shape, number),
        reads=np.full(SPEC.shape, 2 * number),
    )
    run.checkpoint(state(number), {"epoch": number})


def write_forever(path: Path) -> None:
    """Write epochs until killed; run in a process of its own."""
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        number = 0
        while True:
            number += 1
            add_epoch(run, number)
            print(number, flush=True)
