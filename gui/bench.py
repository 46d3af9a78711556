"""The bench: a station in a thread of its own, which measures while the window draws.

The window leaves commands and gets immutable states; it never waits for the hardware. Ground
and abort overtake everything that is still to be done.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec
from cimlab.core.errors import CimError
from cimlab.core.events import Event
from cimlab.gui import keep
from cimlab.gui.catalogue import Procedure
from cimlab.gui.livemap import LiveMap
from cimlab.gui.progress import figures
from cimlab.gui.snapshot import Snapshot
from cimlab.measure import measure
from cimlab.protocols import Plan
from cimlab.protocols.characterisation import CellPlan

if TYPE_CHECKING:
    from cimlab.rig import StationArray

Phase = Literal["connecting", "idle", "running", "closed", "failed"]
_LOG_LINES = 200
_PAUSE = 0.02  # seconds between two states while events pour in


@dataclass(frozen=True, slots=True)
class BenchState:
    """What the bench panel shows.

    Attributes:
        phase: What the bench is doing.
        view: For the map and the inspector.
        activity: The procedure that runs, or ran last.
        events: Its events so far.
        log: The last lines of the log, oldest first.
        done: Share of it that is done, where it says so.
        spec: Of the array; None before it is connected.
        link: What went over the board link so far, in words; empty where there is none.
    """

    phase: Phase
    view: Snapshot
    activity: str = ""
    events: int = 0
    log: tuple[str, ...] = ()
    done: float | None = None
    spec: ArraySpec | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A procedure with all it needs.

    Attributes:
        procedure, plan: What to do.
        cells: Addresses (n,), None for every cell.
        target: Wanted current of every cell, A, where the procedure has a target.
        folder: Where its run file goes; None leaves no record. Harmless ones leave none either.
    """

    procedure: Procedure
    plan: Plan
    cells: NDArray[np.int64] | None = None
    target: float | None = None
    folder: Path | None = None


class Bench:
    """A connected station.

    Args:
        station: File or short form.
        post: Receives states in the bench's thread; must not block.

    Attributes:
        heard: time.monotonic() of the last sign of life from the station.
    """

    def __init__(self, station: str, post: Callable[[BenchState], None]) -> None:
        self.station = station
        self.heard = time.monotonic()
        self._post = post
        self._jobs: deque[Job] = deque()
        self._ground = False
        self._abort = threading.Event()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._live: LiveMap | None = None
        self._cells: NDArray[np.int64] | None = None
        self._phase: Phase = "connecting"
        self._message = ""
        self._activity = ""
        self._events = 0
        self._done: float | None = None
        self._posted = -np.inf
        self._array: StationArray | None = None
        self._thread = threading.Thread(target=self._run, name="cimlab-bench", daemon=True)

    def start(self) -> None:
        """Connect, and wait for jobs."""
        self._thread.start()

    def run(self, job: Job) -> None:
        """Do this when everything before is done."""
        self._jobs.append(job)
        self._wake.set()

    def abort(self) -> None:
        """Stop what runs, forget what waits; the array is left idle."""
        self._jobs.clear()
        self._abort.set()
        self._wake.set()

    def ground(self) -> None:
        """Abort, then put every line at 0 V."""
        self._ground = True
        self.abort()

    def inspect(self, cells: NDArray[np.int64] | None) -> None:
        """Keep the history of these cells from now on, (n,) addresses."""
        self._cells = cells
        self._wake.set()

    def close(self, seconds: float = 3.0) -> bool:
        """Abort, ground, disconnect; False if the station did not answer in time.

        The thread then goes on waiting by itself, and still grounds when it gets through.
        """
        self._ended.set()
        self.abort()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._tell(f"connecting to {self.station}")
        try:
            from cimlab.rig import open_array  # loads all hardware: not before it is wanted

            with open_array(self.station, self._sink) as array:
                self._connected(array)
                while not self._ended.is_set():
                    self._next(array)
            self._phase = "closed"
            self._tell("disconnected, all lines grounded")
        except Exception as error:
            # the thread's last words: whatever it was, the person must hear of it
            self._phase, self._message = "failed", _say(error)
            self._tell(self._message)

    def _connected(self, array: StationArray) -> None:
        self._array = array
        self._live = LiveMap(array.spec, array.ledger.pulses)
        self._phase = "idle"
        self._tell(f"connected: {array.spec.identity} ({array.spec.origin})")
        self._attempt("first read", lambda: array.read(array.converters.v_read))

    def _next(self, array: StationArray) -> None:
        self._wake.wait(0.25)
        self._wake.clear()
        if self._live is not None and self._live.inspect(self._cells):
            self._send()
        if self._ground:
            self._ground = False
            if self._attempt("ground", array.ground):
                self._tell("all lines grounded")
        self._abort.clear()
        while self._jobs and not self._ended.is_set():
            with suppress(IndexError):  # an abort may empty the queue first
                self._do(array, self._jobs.popleft())

    def _do(self, array: StationArray, job: Job) -> None:
        self._phase, self._activity = "running", job.procedure.title
        self._events, self._done, self._message = 0, None, ""
        cells = np.arange(array.spec.size, dtype=np.int64) if job.cells is None else job.cells
        given: dict[str, Any] = {"cells": cells, "target": job.target}
        needs = {name: given[name] for name in job.procedure.needs}
        self._tell(f"{job.procedure.title} on {cells.size} cells")
        self._attempt(job.procedure.title, lambda: self._record(array, job, needs))
        self._phase = "idle"
        self._send()

    def _record(self, array: StationArray, job: Job, needs: dict[str, Any]) -> None:
        steps = job.procedure.start(array, job.plan, **needs)
        sweep = job.procedure.sweep
        if job.folder is None or (job.procedure.harmless and not sweep):
            self._steps(steps)
            return
        path = job.folder / keep.name_now(f"sweep-{sweep}" if sweep else "bench")
        if isinstance(job.plan, CellPlan) and sweep:
            self._tell(f"recording to {path}")
            cells = needs["cells"]
            self._steps(measure(array, sweep, job.plan, cells, path, keep.station(array)))
            return
        with keep.create(path, array, job.procedure.title, job.plan) as run:
            self._tell(f"recording to {path}")
            done, result = self._steps(steps)
            if self._live is not None:
                keep.store(run, array, self._live.frame(), result)
            run.close("finished" if done else "stopped")

    def _steps(self, steps: Generator[Any, None, Any]) -> tuple[bool, object]:
        """Run to the end, or to an abort; returns whether it was the end, and the result."""
        start = time.monotonic()
        try:
            while not self._abort.is_set():
                event = next(steps)
                self._events += 1
                self._done = getattr(event, "done", None)
                self._send_soon()
        except StopIteration as stop:
            self._tell(f"done in {time.monotonic() - start:.2f} s: {summary(stop.value)}")
            return True, stop.value
        steps.close()  # the procedure's own finally leaves the array idle
        self._tell(f"{self._activity} aborted after {self._events} events")
        return False, None

    def _attempt(self, what: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except (Exception, KeyboardInterrupt) as error:  # a sweep may be asked to stop, too
            self._message = f"{what}: {_say(error)}"
            self._tell(self._message)
            return False
        self._send()
        return True

    def _sink(self, event: Event) -> None:
        self.heard = time.monotonic()
        if self._live is not None and self._array is not None:
            self._live.take(event, self._array.ledger.pulses)
            self._send_soon()

    def _tell(self, line: str) -> None:
        self.heard = time.monotonic()
        self._log.append(f"{time.strftime('%H:%M:%S')}  {line}")
        self._send()

    def _send_soon(self) -> None:
        if time.monotonic() - self._posted > _PAUSE:
            self._send()

    def _send(self) -> None:
        self._posted = time.monotonic()
        array, live = self._array, self._live
        view = Snapshot(self.station, self._phase, self._message)
        if array is not None and live is not None:
            view = live.snapshot(self.station, self._phase, self._message)
        self._post(
            BenchState(
                phase=self._phase,
                view=view,
                activity=self._activity,
                events=self._events,
                log=tuple(self._log),
                done=self._done,
                spec=None if array is None else array.spec,
                link="" if array is None else _link(array),
            )
        )


def _say(error: BaseException) -> str:
    return str(error) if isinstance(error, CimError) else f"{type(error).__name__}: {error}"


def _link(array: StationArray) -> str:
    counts = array.link
    if counts is None:
        return ""
    return (
        f"link: {counts.frames} frames, {counts.bytes_out / 1e6:.2f} MB out, "
        f"{counts.bytes_in / 1e6:.2f} MB in, {counts.retries} retries"
    )


def summary(result: object) -> str:
    """A procedure's result in one line: its figures, or its numbers and shares of its masks."""
    if hasattr(result, "summary"):
        return figures(result.summary()) or "ok"
    parts = []
    for name in getattr(result, "__dataclass_fields__", {}):
        value = getattr(result, name)
        if isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.size:
            parts.append(f"{name} {100 * value.mean():.1f} %")
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts) or "ok"
