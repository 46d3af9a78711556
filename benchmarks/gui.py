"""The window's figures: frames a second, delay from file to screen, memory, cost to a run.

    python benchmarks/gui.py                    # all, some minutes
    python benchmarks/gui.py frames delay       # some

Prints one JSON object. Frames are drawn offscreen, each painted to its last pixel before the
next; "frames_per_cpu_second" leaves out the time that other programs had the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from cimlab.core.array import ArraySpec, Limits
from cimlab.gui.snapshot import Frame, Snapshot
from cimlab.gui.window import Window
from cimlab.records import Header, RunWriter, load
from cimlab.records.control import ask

Result = dict[str, Any]
SETTLED = 400
"""Batches of a training before the first turn: the first ones write most."""
TURN = 4.0
"""Seconds that a training is followed, or not."""


def window(folder: Path) -> Window:
    made = Window(QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat))
    made.resize(1360, 860)
    made.show()
    return made


def letters(shape: tuple[int, int, int], number: int) -> list[Snapshot]:
    """Snapshots whose maps and curves all differ: the curves grow by a batch each."""
    rng = np.random.default_rng(0)
    steps = np.arange(2000 + number)
    loss = 2.3 * np.exp(-steps / 500) + 0.1 * rng.random(steps.size)
    curves = {
        "step": steps,
        "time": 0.02 * steps,
        "loss": loss,
        "device_updates": 90 * loss,
        "saturated": 0.01 * loss,
        "clipped": 0.01 * loss[:, None] * rng.random(shape[0]),
    }
    count = np.arange(20 + number)
    traffic = {"time": 2.0 * count, "bytes_out": 1e6 * count, "bytes_in": 3e6 * count}
    traffic["retries"] = 0 * count
    found = []
    for k in range(number):
        current = rng.uniform(0.8e-6, 3.3e-6, shape).astype(np.float32)
        frame = Frame(k, float(k), k, 0.1, current, np.full(shape, k, np.uint32))
        found.append(
            Snapshot(
                "run",
                "running",
                kind="train",
                shape=shape,
                frames=k,
                frame=frame,
                steps={name: values[k : 2000 + k] for name, values in curves.items()},
                link={name: values[: 20 + k] for name, values in traffic.items()},
            )
        )
    return found


def draw(target: Window, snapshot: Snapshot) -> None:
    target._show(snapshot)  # noqa: SLF001 - what the inbox calls
    QApplication.processEvents()


def frames(folder: Path, seconds: float = 5.0) -> Result:
    """Maps and curves, both new in every frame."""
    result: Result = {}
    for name, shape in {"1x256x256": (1, 256, 256), "8x64x64": (8, 64, 64)}.items():
        target = window(folder)
        snapshots = letters(shape, 40)
        counts = [_count_paints(view) for view in (target.map.grid, target.training.plots)]
        for snapshot in snapshots:
            draw(target, snapshot)
        before = [count() for count in counts]
        start, cpu, n = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - start < seconds:
            draw(target, snapshots[n % len(snapshots)])
            n += 1
        # a frame counts if both were painted, the map and the curves
        n = min(n, *(count() - old for count, old in zip(counts, before, strict=True)))
        result[name] = {
            "frames_per_second": round(n / (time.perf_counter() - start), 1),
            "frames_per_cpu_second": round(n / (time.process_time() - cpu), 1),
        }
        target.close()
    return result


def _count_paints(view: Any) -> Callable[[], int]:
    count = 0
    paint = view.paintEvent

    def counted(event: Any) -> None:
        nonlocal count
        count += 1
        paint(event)

    view.paintEvent = counted
    return lambda: count


def memory(folder: Path, updates: int = 10_000) -> Result:
    """Resident memory over map updates, MB, after the first thousand."""
    target = window(folder)
    snapshots = letters((8, 64, 64), 40)
    for k in range(1000):
        draw(target, snapshots[k % 40])
    before = _resident()
    for k in range(updates):
        draw(target, snapshots[k % 40])
    grown = _resident() - before
    target.close()
    return {"updates": updates, "grown_MB": round(grown, 2)}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def delay(folder: Path, maps: int = 60) -> Result:
    """Seconds from the writer's append to the painted map, in another process."""
    path = folder / "delay.h5"
    writer = subprocess.Popen([sys.executable, __file__, "--write", str(path), str(maps)])
    target = window(folder)
    target.open_run(path)
    delays: list[float] = []
    seen = None
    while writer.poll() is None:
        QApplication.processEvents()
        frame = target.map.frame
        if frame is not None and frame is not seen:
            seen = frame
            target.map.grid.viewport().repaint()
            delays.append((time.time() - float(frame.current[0, 0, 0])) % 1000)
        time.sleep(0.0005)
    target.close()
    late = np.array(delays[5:]) * 1e3
    return {
        "maps": len(late),
        "median_ms": round(float(np.median(late)), 1),
        "p95_ms": round(float(np.percentile(late, 95)), 1),
    }


def write_stamps(path: str, maps: int) -> None:
    """Maps of 8 tiles of 64x64 that carry the moment of their writing."""
    array = ArraySpec(8, 64, 64, 8, 8, Limits(), "analog", "emulated", "benchmark")
    rest = {"step": 0}
    counts = np.zeros(array.shape)
    with RunWriter.create(path, Header("train", array)) as run:
        time.sleep(3.0)
        for _ in range(maps):
            current = np.full(array.shape, time.time() % 1000, np.float32)
            given = {"v_read": 1.0, "current": current, "pulses": counts, "reads": counts}
            run.append("maps", **{**rest, **given})
            time.sleep(0.1)


def training(folder: Path, pairs: int = 20) -> Result:
    """One training, followed by a window in another process and not, in turns of some seconds.

    The run is the command's own; its batches are counted by the times in its file. A turn followed
    is compared with the turn before, "slower" by wall time, and by the processor time that the
    training took for a batch. "window_cpu_percent" is what window and reader took of one processor.
    """
    path = folder / "followed.h5"
    plan = ("--station", "model:", "--epochs", "1", "--batches", "1000000")
    command = [sys.executable, "-m", "cimlab", "train", "lenet", *plan, "--out", str(path)]
    run = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    while not _batches(path) >= SETTLED:
        time.sleep(0.5)
    turns, window_cpu = [], []
    for k in range(2 * pairs):
        follower = _window(path) if k % 2 else None
        if follower is not None:
            time.sleep(6.0)
        start, cpu, mine = time.time(), _cpu(run.pid), follower and _cpu(follower.pid)
        time.sleep(TURN)
        turns.append((start, time.time(), _cpu(run.pid) - cpu))
        if follower is not None:
            window_cpu.append((_cpu(follower.pid) - mine) / TURN)
            follower.terminate()
            follower.wait()
    ask(path, "stop")
    run.wait()
    with load(path) as reader:
        times = reader.column("steps", "time") + reader.started
    found = []
    for start, end, cpu in turns:
        batches = np.searchsorted(times, end) - np.searchsorted(times, start)
        found.append(((end - start) / batches, cpu / batches))
    alone, followed = np.array(found).reshape(-1, 2, 2).transpose(1, 0, 2)
    slower = 100 * (np.median(followed / alone, axis=0) - 1)
    return {
        "pairs": pairs,
        "batch_ms": round(1e3 * float(np.median(alone[:, 0])), 2),
        "slower_percent": round(float(slower[0]), 2),
        "slower_cpu_percent": round(float(slower[1]), 2),
        "window_cpu_percent": round(100 * float(np.median(window_cpu)), 2),
    }


def _batches(path: Path) -> int:
    if not path.exists():
        return 0
    with load(path) as reader:
        return reader.rows("steps")


def _window(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cimlab", "gui", str(path)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _cpu(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    tasks = Path(f"/proc/{pid}/task").iterdir()  # a child belongs to the thread that made it
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu(int(child)) for child in children)


def main() -> None:
    parts = {"frames": frames, "memory": memory, "delay": delay, "training": training}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts], default=[])
    parser.add_argument("--write", nargs=2, help="the writing process of delay: FILE MAPS")
    arguments = parser.parse_args()
    if arguments.write:
        write_stamps(arguments.write[0], int(arguments.write[1]))
        return
    chosen = arguments.parts or list(parts)
    application = QApplication.instance() or QApplication([])
    application.setStyle("Fusion")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({name: parts[name](Path(folder)) for name in chosen}))


if __name__ == "__main__":
    main()
