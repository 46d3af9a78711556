"""Large arrays: programming the cells of a ResNet-18, growth of a step, and start-up."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from harness import Row, interleaved

from cimlab.protocols import Ispp, WriteVerify, program
from cimlab.rig import open_array

CELLS = 22_330_000
CHIP = 33
"""Bytes of a cell's state: conductance, pulses, reads, the board's own count of pulses (four each),
four traits of its device (16), and whether it is stuck (1)."""
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "growth.png"


def programming(quick: bool) -> Iterator[Row]:
    """Write-verify every cell of 1,363 tiles of 256x64; the process's memory."""
    tiles = 64 if quick else CELLS // (256 * 64)
    with open_array(f"model:?tiles={tiles}&rows=256&cols=64") as array:
        cells = np.arange(array.spec.size)
        target = np.random.default_rng(0).uniform(0.82e-6, 3.29e-6, cells.size)
        plan = WriteVerify()
        program(array, plan, cells[:16], target[:16])
        start, cpu = time.perf_counter(), time.process_time()
        done = program(array, plan, cells, target)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    share = CELLS / cells.size
    detail: dict[str, object] = {
        "cells": cells.size,
        "pulses_each": float(done.pulses.mean()),
        "in_band": float(done.converged.mean()),
        "peak_bytes_a_cell": _peak() / cells.size,
    }
    name = f"programming {CELLS / 1e6:.1f} M cells" + (" (scaled up)" if quick else "")
    yield Row(name, wall * share, 20, 5, "s", cpu=cpu * share, detail=detail)
    if not quick:  # on few cells, the interpreter is most of it
        copies = _peak() / (CHIP * cells.size)
        yield Row("programming, peak memory / the chip's state", copies, 3)


def growth(quick: bool) -> Iterator[Row]:
    """Time of a product against tiles and batch, of programming against cells; plotted."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    sizes = [1, 4, 16] if quick else [1, 2, 4, 8, 16, 32, 64]
    rounds = 5 if quick else 20
    for what in ("tiles", "batch", "cells"):
        micros = []
        for n in sizes:
            tiles, batch = (n, 64) if what != "batch" else (1, 64 * n)
            with open_array(f"model:?tiles={tiles}&rows=256&cols=64") as array:
                if what == "cells":
                    cells, goal = np.arange(array.spec.size), 2e-6
                    case = partial(program, array, Ispp(tol=0.4e-6), cells, goal)
                else:
                    v = np.full((tiles, batch, 256), 0.05, np.float32)
                    case = partial(array.vmm, v)
                micros.append(interleaved({"it": case}, rounds)["it"].micros())
        found[what] = (sizes, micros)
        slope = np.polyfit(np.log(sizes), np.log(micros), 1)[0]
        detail: dict[str, object] = {"sizes": sizes, "us": micros}
        yield Row(f"growth with {what}, exponent", float(slope), 1.05, unit="", detail=detail)
    _plot(found)


def start_up(quick: bool) -> Iterator[Row]:
    """`cimlab --help`, a process of its own."""
    walls, cpus = [], []
    for _ in range(5 if quick else 15):
        start, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-m", "cimlab", "--help"], stdout=-3, check=True)
        after = os.times()
        walls.append(time.perf_counter() - start)
        cpus.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    yield Row(
        "cimlab --help", statistics.median(walls), 0.3, 0.15, "s", cpu=statistics.median(cpus)
    )


def _peak() -> float:
    """Largest resident memory of this process so far, bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _plot(found: dict[str, tuple[list[int], list[float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    labels = {"tiles": "tiles of 256x64", "batch": "64 vectors", "cells": "16,384 cells"}
    for ax, (what, (sizes, micros)) in zip(axes, found.items(), strict=True):
        ax.loglog(sizes, micros, "o-", base=2)
        ax.loglog(sizes, [micros[0] * n / sizes[0] for n in sizes], "--", color="0.6", base=2)
        ax.set(
            xlabel=labels[what],
            ylabel="processor time (\N{MICRO SIGN}s)",
            title=f"growth with {what}",
        )
    figure.savefig(FIGURE, dpi=100)
