"""Run files for the window's tests, and processes that write them."""

import sys
import time
from pathlib import Path

import numpy as np

from cimlab.core.array import ArraySpec, Limits
from cimlab.records import TABLES, Header, RunWriter, WeightMap


def spec(tiles: int = 2, rows: int = 8, cols: int = 6) -> ArraySpec:
    return ArraySpec(
        tiles=tiles,
        rows=rows,
        cols=cols,
        dac_bits=8,
        adc_bits=8,
        limits=Limits(),
        vmm="analog",
        origin="emulated",
        identity="test array",
    )


WEIGHTS = WeightMap(
    names=("conv", "fc"),
    shapes=((1, 2), (2, 1)),
    cells=np.array([[0, 2, 48, 50], [1, 3, 49, 51]]),
    layer=np.array([0, 0, 1, 1]),
    scale=np.array([2e5, 2e5, 3e5, 3e5]),
)


def create(
    path: Path, kind: str = "train", array: ArraySpec | None = None, **rest: object
) -> RunWriter:
    plan = {"epochs": 5, "batches": 10}
    return RunWriter.create(path, Header(kind, array or spec(), {"text": "model:"}, plan, **rest))


def append(run: RunWriter, table: str, **values: object) -> None:
    """A row; columns of no interest here are zero."""
    rest = {
        name: np.zeros((2, 8, 6)) if column.per_cell else 0
        for name, column in TABLES[table].items()
        if name != "time" and column.default is None
    }
    run.append(table, **{**rest, **values})


def currents(number: int, shape: tuple[int, int, int] = (2, 8, 6)) -> np.ndarray:
    """A map whose cells all differ, and differ from map to map."""
    return (1 + number + np.arange(np.prod(shape)).reshape(shape) / 100) * 1e-6


def add_map(run: RunWriter, number: int, shape: tuple[int, int, int] = (2, 8, 6)) -> None:
    append(
        run,
        "maps",
        step=10 * number,
        v_read=0.1,
        current=currents(number, shape),
        pulses=np.full(shape, number),
        reads=np.full(shape, number),
    )


def add_epoch(run: RunWriter, number: int) -> None:
    for step in range(10 * number - 9, 10 * number + 1):
        append(
            run, "steps", step=step, loss=1 / step, device_updates=step, pulses=9, saturated=0.01
        )
    append(
        run,
        "epochs",
        step=10 * number,
        number=number,
        accuracy=1 - 0.5**number,
        accuracy_2560=1 - 0.6**number,
        loss=1 / number,
        device_updates=30,
        pulses=90,
        seconds=2.0,
    )
    add_map(run, number)


def add_programming(run: RunWriter) -> None:
    target = np.full((2, 8, 6), np.nan)
    target[0] = 2e-6
    converged = np.isfinite(target)
    converged[0, 3, 4] = False
    append(
        run,
        "programming",
        v_read=0.1,
        rounds=7,
        target=target,
        current=np.where(np.isfinite(target), 2.1e-6, np.nan),
        pulses=np.where(np.isfinite(target), 5, 0),
        converged=converged,
    )


def _write_forever(path: Path, seconds: float) -> None:
    """Maps with the moment of their writing as every cell's current, until killed."""
    with create(path) as run:
        while True:
            stamp = time.time()
            append(
                run,
                "maps",
                step=0,
                v_read=1.0,
                current=np.full((2, 8, 6), stamp % 1000, np.float32),
            )
            print("map", flush=True)
            time.sleep(seconds)


if __name__ == "__main__":
    _write_forever(Path(sys.argv[1]), float(sys.argv[2]))
