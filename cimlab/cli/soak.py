"""`cimlab soak`: hours of work with records, faults and a window, and what they cost."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cimlab.core.errors import ConfigError

from . import vitals
from .console import console, log
from .options import Json, Seed, Station

if TYPE_CHECKING:
    from cimlab.core.station import Station as StationData

KEPT = 3
"""Finished run files that stay."""
LINK = ("requests", "retries", "broken", "reconnects")


class Work(StrEnum):
    """What is done over and over."""

    TRAIN = "train"
    EXERCISE = "exercise"


def soak(
    hours: Annotated[float, typer.Option(help="How long; the round that runs then ends.", min=0)],
    station: Station = "mock:",
    work: Annotated[
        Work,
        typer.Option(help="train: LeNet on MNIST; exercise: pulse and read every cell."),
    ] = Work.TRAIN,
    faults: Annotated[
        float | None,
        typer.Option(help="Share of frames dropped, damaged, doubled [default: the station's]."),
    ] = None,
    batches: Annotated[int, typer.Option(help="Of a round: of a training, or laps.", min=1)] = 100,
    v: Annotated[float, typer.Option(help="Amplitude of the exercise's pulses, V.", min=0)] = 1.0,
    gui: Annotated[
        bool, typer.Option("--gui", help="A window without a screen follows the runs.")
    ] = False,
    period: Annotated[float, typer.Option(help="Between two samples, s.", min=0.1)] = 5.0,
    out: Annotated[Path, typer.Option(help="Folder of run files, samples and figure.")] = Path(
        "soak"
    ),
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Work an array for hours and watch for leaks, lost pulses and doubled ones."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "soak.h5"
    file.unlink(missing_ok=True)
    with ExitStack() as stack:
        where, processes = stack.enter_context(_hardware(station, faults))
        if gui:
            window = stack.enter_context(_window(file))
            processes["gui"] = lambda: vitals.descendants(window.pid)
        watch = vitals.Watch(
            lambda: {name: pids() for name, pids in processes.items()}, out / "soak.csv", period
        )
        one = _training if work is Work.TRAIN else _exercise
        start = time.monotonic()
        with watch:
            done = _rounds(
                lambda n: one(_struck_anew(where, n), file, seed + n, batches, v),
                file,
                start + 3600 * hours,
            )
        seconds = time.monotonic() - start
        done["record_differs"] = _record_differs(where, out)
        if gui:
            done["gui_alive"] = window.poll() is None
    data = _verdict(done, watch, seconds, out)
    console.result(data, _text(data))
    if not data["passed"]:
        raise typer.Exit(3)


@contextmanager
def _hardware(
    text: str, faults: float | None
) -> Iterator[tuple[StationData, dict[str, Callable[[], list[int]]]]]:
    """The station to work on, its emulated hardware running, and whom to watch.

    The hardware outlives the rounds, as a real one does: each round is a session of its own.
    """
    from cimlab.core.bench import MockBench
    from cimlab.core.station import MockBoard, load_station
    from cimlab.emulated import EmulatedHardware

    station = load_station(text)
    connection = station.connection
    host = os.getpid()
    processes: dict[str, Callable[[], list[int]]] = {"host": lambda: [host]}
    if faults is not None:
        if not hasattr(connection, "faults"):
            raise ConfigError(f"{text} has no board link that could have faults")
        # validated anew, as the share has its bounds
        connection = type(connection).model_validate(connection.model_dump() | {"faults": faults})
    with ExitStack() as stack:
        if isinstance(connection, MockBoard | MockBench):
            mock = EmulatedHardware(connection)
            stack.callback(mock.stop)
            processes["hardware"] = lambda: [mock.pid]
            spoilt = {
                k: getattr(connection, k)
                for k in ("faults", "fault_seed")
                if hasattr(connection, k)
            }
            connection = mock.connection.model_copy(update=spoilt)
        yield station.model_copy(update={"connection": connection}), processes


@contextmanager
def _window(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cimlab gui` on a file, without a screen and with settings of its own."""
    environment = {
        "QT_QPA_PLATFORM": "offscreen",
        **os.environ,
        "XDG_CONFIG_HOME": str(file.parent / "gui-settings"),
    }
    command = [sys.executable, "-m", "cimlab", "gui", str(file)]
    with subprocess.Popen(command, env=environment) as window:
        try:
            yield window
        finally:
            window.terminate()
            with suppress(subprocess.TimeoutExpired):
                window.wait(20)
            window.kill()


def _struck_anew(station: StationData, number: int) -> StationData:
    """The station with other frames struck than in the round before."""
    connection = station.connection
    seed = getattr(connection, "fault_seed", None)
    if seed is None:
        return station
    other = connection.model_copy(update={"fault_seed": seed + 1000 * number})
    return station.model_copy(update={"connection": other})


def _rounds(one: Callable[[int], dict[str, Any]], file: Path, end: float) -> dict[str, Any]:
    """Rounds until the time is over, at least one; finished files are put aside, the last kept."""
    total = dict.fromkeys(("rounds", "pulses_differ", *LINK), 0)
    for number in itertools.count(1):
        try:
            found = one(number)
        except KeyboardInterrupt:
            log.warning("interrupted; here is what was found so far")
            break
        total["rounds"] += 1
        total["pulses_differ"] += found["pulses_differ"]
        for name in LINK:
            total[name] += (found["link"] or {}).get(name, 0)
        file.rename(file.with_name(f"{file.stem}-{number:04}.h5"))
        file.with_name(f"{file.stem}-{number - KEPT:04}.h5").unlink(missing_ok=True)
        log.info("round %d: %d cells differ so far", number, total["pulses_differ"])
        if time.monotonic() >= end:
            break
    return total


def _training(
    station: StationData, file: Path, seed: int, batches: int, v: float
) -> dict[str, Any]:
    """A short training with its own records and checkpoints."""
    from . import training

    plan = training.recipe({"seed": seed, "epochs": 1, "batches": batches}, "paper")
    return training.start_run(plan, station, file)


def _exercise(
    station: StationData, file: Path, seed: int, batches: int, v: float
) -> dict[str, Any]:
    """Every cell pulsed up and down and read, a map a lap."""
    from cimlab.records import Header, RunWriter
    from cimlab.rig import open_array

    from . import files

    with open_array(station) as array:
        header = Header("soak", array.spec, files.station_facts(station), {"v": v})
        with RunWriter.create(file, header) as run:
            run.watch_link(lambda: array.link)
            width = min(max(1e-6, array.spec.limits.width_min), array.spec.limits.width_max)
            for lap in range(batches):
                array.pulse(v if lap % 2 else -v, width)
                reading = array.read(array.converters.v_read)
                run.append(
                    "maps",
                    step=lap,
                    v_read=reading.v,
                    current=reading.current,
                    pulses=array.ledger.pulses,
                    reads=array.ledger.reads,
                )
            counts = "counters" in array.spec.capabilities
            differ = array.ledger.differs(array.counters()) if counts else ()
            return {
                "pulses_differ": len(differ),
                "link": asdict(array.link) if array.link else None,
            }


def _record_differs(station: StationData, folder: Path) -> int | None:
    """Cells that the hardware, asked by a new session, counted otherwise than the last record."""
    from cimlab import records
    from cimlab.rig import open_array

    last = max(folder.glob("soak-*.h5"), default=None)
    if last is None or getattr(station.connection, "kind", "") == "model":
        return None
    with records.load(last) as run:
        recorded = run.column("maps", "pulses", slice(-1, None))[0]
    with open_array(station, patience=60) as array:
        if "counters" not in array.spec.capabilities:
            return None
        return int((array.counters() != recorded).sum())


def _verdict(
    done: dict[str, Any], watch: vitals.Watch, seconds: float, out: Path
) -> dict[str, Any]:
    names = dict.fromkeys(sample.process for sample in watch.samples)
    trends = {name: vitals.trend(watch.samples, name) for name in names}
    figure = out / "soak.png"
    if watch.samples:
        vitals.draw(watch.samples, f"{seconds / 3600:.2f} h, {done['rounds']} rounds").savefig(
            figure
        )
    leaks = [f"{name}: {leak}" for name, t in trends.items() if t for leak in t.leaks]
    judged = bool(trends) and all(t is not None for t in trends.values())
    counted = not done["pulses_differ"] and not done["record_differs"]
    return {
        "passed": counted and judged and not leaks and done.get("gui_alive", True),
        "hours": seconds / 3600,
        **done,
        "leaks": leaks,
        "processes": {name: asdict(t) if t else None for name, t in trends.items()},
        "samples": str(out / "soak.csv"),
        "figure": str(figure),
    }


def _text(data: dict[str, Any]) -> str:
    lines = [
        f"time       {data['hours']:.2f} h, {data['rounds']} rounds",
        f"pulses     {data['pulses_differ']} cells counted otherwise by host and hardware",
        "link       " + ", ".join(f"{data[name]:,} {name}" for name in LINK),
    ]
    for name, t in data["processes"].items():
        said = (
            "too few samples to tell"
            if t is None
            else (
                f"{t['rss_MB']:.0f} MB, {t['slope_MB_per_hour']:+.1f} MB/h, "
                f"{t['files'][1]:g} files, {t['threads'][1]:g} threads"
            )
        )
        lines.append(f"{name:10} {said}")
    lines += [f"LEAK       {leak}" for leak in data["leaks"]]
    return "\n".join(
        [
            *lines,
            f"samples    {data['samples']}, {data['figure']}",
            "passed" if data["passed"] else "NOT passed",
        ]
    )
