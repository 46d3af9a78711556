"""Rows of the window."""

from __future__ import annotations

from rows.row import Figures, Row, said


def _frames(f: Figures) -> str:
    return "; ".join(
        f"{shape}: **{found['frames_per_second']:.0f}** frames/s "
        f"({found['frames_per_cpu_second']:.0f} a second of processor time)"
        for shape, found in f["frames"].items()
    )


def _delay(f: Figures) -> str:
    found = f["delay"]
    return f"median **{found['median_ms']:.0f} ms**, 95 % within {found['p95_ms']:.0f} ms"


def _training(f: Figures) -> str:
    found = f["training"]
    return (
        f"**{found['slower_percent']:+.1f} %** by wall time, "
        f"{found['slower_cpu_percent']:+.1f} % by the training's processor time; "
        f"median of {found['pairs']} pairs; the window took "
        f"{found['window_cpu_percent']:.0f} % of a core"
    )


ROWS: dict[str, Row] = {
    "gui-frames": Row(
        "a new map and new curves in every frame, each painted to its last pixel, offscreen",
        ">= 60 frames/s (256 x 256)",
        "200",
        "python benchmarks/gui.py frames",
        _frames,
    ),
    "gui-delay": Row(
        "from the writer's append of a map to its last pixel in a window that follows the file",
        "<= 100 ms median",
        "20 ms",
        "python benchmarks/gui.py delay",
        _delay,
    ),
    "gui-training": Row(
        "LeNet on `model:` with the window following, against without, in turns within one run",
        "<= 3 % slower",
        "1 %",
        "python benchmarks/gui.py training",
        _training,
    ),
    "gui-memory": Row(
        "resident memory over 10,000 updates of the map, after the first 1,000",
        "flat (+- 5 MB)",
        "-",
        "python benchmarks/gui.py memory",
        lambda f: f"{f['memory']['grown_MB']:+.1f} MB over {f['memory']['updates']:,} updates",
    ),
    "gui-tests": Row(
        "the window's tests: real clicks offscreen, and a run in a real window under Xvfb",
        "all pass",
        "-",
        "pytest -q -m 'slow or not slow' tests/gui",
        said,
    ),
    "gui-broken": Row(
        "broken file, file deleted while open, station that does not answer, abort in mid-protocol",
        "a message, never a crash or a hang",
        "-",
        "pytest -q tests/gui -k 'broken or deleted or killed or answer or abort or refused'",
        said,
    ),
}
