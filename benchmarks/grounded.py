"""How long lines stay driven after a host, its link or its window has died.

    python benchmarks/grounded.py --times 10

Board: an emulated board in a process of its own, with its log. A host that pulses, or a window that
cycles all cells, is killed (SIGKILL); or a host is stopped (SIGSTOP), which to the board is a dead
link: the connection stands, nothing comes. Counted is the time until the board says that it grounds
its lines. Bench: emulated instruments in this process; a host is killed in the middle of sweeps and
reads, and the time is taken until no output drives anything and no crosspoint is closed. Prints one
JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cimlab.mock_hw.instruments import dut, serve
from cimlab.mock_hw.instruments.station import bench_table

GROUNDING = "grounding"
WATCHDOG = 2.0
"""Of the emulated board, s."""
PATIENCE = 30.0
HOST = """
import sys, cimlab
import numpy as np
with cimlab.open(sys.argv[1]) as array:
    cells = np.arange(min(array.spec.size, 16))
    print("open", flush=True)
    while True:
        array.pulse_and_read(1.0, 1e-3, 0.1, cells)
"""
WINDOW = """
import sys
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication
from cimlab.gui.window import Window

application = QApplication([])
window = Window(QSettings(sys.argv[2], QSettings.Format.IniFormat))
window.show()
window.bench._confirm = lambda text: True
window.open_station(sys.argv[1])

def look():
    if window.map.frame is None or not window.bench.start.isEnabled():
        return
    choice = window.bench.procedure
    choice.setCurrentIndex(choice.findText("Endurance"))
    window.bench.start.click()

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
QTimer.singleShot(4000, lambda: print("open", flush=True))
application.exec()
"""
BENCH = """
import sys, cimlab
import numpy as np
with cimlab.open(sys.argv[1]) as array:
    cells = np.arange(array.spec.size)
    print("open", flush=True)
    while True:
        array.sweep(np.linspace(-1.5, 1.5, 200), 1e-4, 0.0, cells)
        array.read(0.1, averages=20)
"""


def _lines(stream: IO[str], found: queue.Queue[tuple[float, str]]) -> None:
    with contextlib.suppress(ValueError):  # closed with its process
        for line in stream:
            found.put((time.monotonic(), line))


@contextlib.contextmanager
def board() -> Iterator[tuple[str, queue.Queue[tuple[float, str]]]]:
    """Its address, and the lines of its log as they come."""
    command = [sys.executable, "-m", "cimlab", "mock", "board", "--json"]
    command += ["--tiles", "1", "--rows", "16", "--cols", "16"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = json.loads(process.stdout.readline())["address"]
            log: queue.Queue[tuple[float, str]] = queue.Queue()
            threading.Thread(target=_lines, args=(process.stderr, log), daemon=True).start()
            yield address, log
        finally:
            process.kill()


def _host(address: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOST, address], stdout=subprocess.PIPE, text=True
    )
    child.stdout.readline()
    return child


def _window(address: str, folder: str) -> subprocess.Popen[str]:
    """A window that cycles every cell, again and again."""
    child = subprocess.Popen(
        [sys.executable, "-c", WINDOW, address, str(Path(folder) / "settings.ini")],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        cwd=folder,  # where it makes runs/
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child.stdout.readline()
    return child


def _until_grounding(log: queue.Queue[tuple[float, str]], since: float) -> float:
    while True:
        moment, line = log.get(timeout=PATIENCE)
        if moment > since and GROUNDING in line:
            return moment - since


def on_board(scene: str) -> float:
    """Seconds from the death to the board's grounding."""
    with board() as (address, log), tempfile.TemporaryDirectory() as folder:
        child = _window(address, folder) if scene == "gui" else _host(address)
        try:
            time.sleep(0.5)
            while not log.empty():
                if GROUNDING in log.get()[1]:
                    raise RuntimeError("it was idle before it died: nothing is shown")
            since = time.monotonic()
            child.send_signal(signal.SIGSTOP if scene == "link" else signal.SIGKILL)
            return _until_grounding(log, since)
        finally:
            child.kill()
            child.communicate()


def on_bench() -> float:
    """Seconds from the host's death until nothing is driven any more."""
    with (
        serve(["keithley2400", "keysightb2200"], dut("crossbar:3x4:brram", seed=3)) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        station = Path(folder) / "bench.toml"
        station.write_text(bench_table(server).toml(), encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, "-c", BENCH, str(station)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        child.stdout.readline()
        time.sleep(4.0)  # the minder is ready, too
        while server.bench.held == {"ground"}:
            time.sleep(0.001)
        since = time.monotonic()
        child.kill()
        while server.bench.held != {"ground"} or server.bench.closed:
            if time.monotonic() - since > PATIENCE:
                raise TimeoutError("the bench is still driven")
            time.sleep(0.001)
        seconds = time.monotonic() - since
        child.communicate()
        return seconds


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    result: dict[str, object] = {"times": given.times, "watchdog": WATCHDOG}
    for scene in ("host", "link", "gui", "bench"):
        seconds = []
        for _ in range(given.times):
            seconds.append(on_bench() if scene == "bench" else on_board(scene))
            print(f"{scene}: {seconds[-1]:.2f} s", file=sys.stderr, flush=True)
        result[scene] = {"least": min(seconds), "most": max(seconds), "all": seconds}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
