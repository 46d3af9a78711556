"""The window's figures: frames a second, delay from file to screen, memory, cost to a run.

    python benchmarks/gui.py                    # all, a minute or two
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
from cimlab.records import Header, RunWriter

Result = dict[str, Any]


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
    curves = {"step": steps, "loss": loss, "device_updates": 90 * loss, "saturated": 0.01 * loss}
    found = []
    for k in range(number):
        current = rng.uniform(0.8e-6, 3.3e-6, shape).astype(np.float32)
        frame = Frame(k, float(k), k, 0.1, current, np.full(shape, k, np.uint32))
        columns = {name: values[k : 2000 + k] for name, values in curves.items()}
        found.append(
            Snapshot(
                "run", "running", kind="train", shape=shape, frames=k, frame=frame, steps=columns
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


def training(folder: Path, rounds: int = 3) -> Result:
    """A LeNet training of 200 batches, with the window following in its own process, and without.

    "window_cpu_percent" is what window and reader took of one processor meanwhile.
    """
    times: dict[str, list[float]] = {"alone": [], "followed": []}
    shares = []
    for k in range(rounds):
        for name, spent in times.items():
            path = folder / f"{name}{k}.h5"
            if name == "alone":
                spent.append(_train(path))
                continue
            command = [sys.executable, "-m", "cimlab", "gui", str(path)]
            follower = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            time.sleep(6.0)
            cpu, start = _cpu(follower.pid), time.perf_counter()
            spent.append(_train(path))
            shares.append((_cpu(follower.pid) - cpu) / (time.perf_counter() - start))
            follower.terminate()
            follower.wait()
    slower = np.median(np.divide(times["followed"], times["alone"])) - 1
    return {
        "seconds": times,
        "slower_percent": round(100 * float(slower), 2),
        "window_cpu_percent": round(100 * float(np.median(shares)), 2),
    }


def _cpu(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    tasks = Path(f"/proc/{pid}/task").iterdir()  # a child belongs to the thread that made it
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu(int(child)) for child in children)


def _train(path: Path) -> float:
    command = [
        sys.executable,
        "-m",
        "cimlab",
        "train",
        "lenet",
        "--station",
        "model:",
        "--epochs",
        "1",
        "--batches",
        "200",
        "--json",
        "--out",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(json.loads(done.stdout)["epochs"][0]["seconds"])


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
        print(json.dumps({name: parts[name](Path(folder)) for name in chosen}, indent=2))


if __name__ == "__main__":
    main()
