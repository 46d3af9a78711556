"""Requests to a run in another process: pause, go on, stop, left in a small file beside the run.

`RUN.h5.control` holds one JSON object, ``{"request": "run" | "pause" | "stop", "utc": ...}``. It
is replaced atomically, so whoever polls it reads either the old request or the new one. Nobody
waits for anybody: no file means "run", and what became of a request is seen in the run file.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, get_args

from .writer import RunWriter

Request: TypeAlias = Literal["run", "pause", "stop"]

PERIOD = 0.2
"""Seconds between two looks at the file, at least."""
_MOST = 4096  # a request is some fifty characters long

log = logging.getLogger("cimlab.records")


def control_file(run_file: str | os.PathLike[str]) -> Path:
    """Where requests to the run that writes run_file are left."""
    path = Path(run_file)
    return path.with_name(path.name + ".control")


def ask(run_file: str | os.PathLike[str], request: Request) -> None:
    """Leave a request, in place of an earlier one; OSError where the folder cannot be written."""
    target = control_file(run_file)
    new = target.with_name(target.name + ".new")
    text = json.dumps({"request": request, "utc": datetime.now(UTC).isoformat()})
    new.write_text(text + "\n", encoding="utf-8")
    os.replace(new, target)


class Requests:
    """The run's side: a context manager that forgets old requests when it starts and ends.

    Args:
        run_file: The file that the run writes.
    """

    def __init__(self, run_file: str | os.PathLike[str]) -> None:
        self._path = control_file(run_file)
        self._due = 0.0
        self._stamp: tuple[int, int] | None = None
        self._request: Request = "run"
        self._told = ""

    def look(self) -> Request:
        """What is asked of the run now; touches the disk once in `PERIOD` at most.

        A file that holds no request is mentioned in the log once and changes nothing.
        """
        now = time.monotonic()
        if now < self._due:
            return self._request
        self._due = now + PERIOD
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if stamp != self._stamp:
                self._stamp = stamp
                self._request = self._read()
        except FileNotFoundError:
            self._request, self._stamp = "run", None
        except (OSError, ValueError, RecursionError) as error:
            if str(error) != self._told:  # however often it is written or cannot be read
                self._told = str(error)
                log.warning("%s holds no request and is ignored: %s", self._path, error)
        return self._request

    def stop(self, run: RunWriter, ground: Callable[[], None]) -> bool:
        """Whether the run shall stop; does not return while it shall pause.

        Args:
            run: Says "paused" meanwhile, with everything so far in the file.
            ground: Leaves the array idle; called when a pause begins.
        """
        if self.look() == "pause":
            ground()
            run.mark("paused")
            log.info("paused on request")
            while self.look() == "pause":
                time.sleep(PERIOD)
            run.mark("running")
            log.info("going on")
        return self._request == "stop"

    def _read(self) -> Request:
        with self._path.open(encoding="utf-8") as file:
            found = json.loads(file.read(_MOST))
        request: Any = found.get("request") if isinstance(found, dict) else None
        if request not in get_args(Request):
            raise ValueError(f"the request must be one of {', '.join(get_args(Request))}")
        known: Request = request
        return known

    def _forget(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._path, error)

    def __enter__(self) -> Self:
        self._forget()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget()
