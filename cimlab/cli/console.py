"""What commands say: one result on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cimlab.core.errors import ConfigError
from cimlab.core.run_id import RUN_ID

log = logging.getLogger("cimlab")
SPEAKS = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK") == "0"
"""Of the processes that torchrun started, the first one tells what happens."""


class Console:
    """The result of a command, as text or, after --json, as exactly one JSON object.

    Attributes:
        json: Whether --json was given.
    """

    def __init__(self) -> None:
        self.json = False
        self._done = False

    def result(self, data: Mapping[str, Any], text: str) -> None:
        """Print the command's one result: data as JSON, or text for people."""
        if SPEAKS:
            print(json.dumps(_plain(data), allow_nan=False) if self.json else text, flush=True)
        self._done = True

    def failure(self, kind: str, message: str, code: int) -> None:
        """Say why a command failed; --json gets its object even then, unless it has it already."""
        print(f"cimlab: {message}", file=sys.stderr, flush=True)
        note(logging.ERROR, message)
        if self.json and not self._done:
            self.result({"error": {"kind": kind, "message": message}, "exit_code": code}, "")


console = Console()


def start_logging(level: int, file: Path | None = None) -> None:
    """Send log records to standard error, as short lines, and to a file, as JSON lines.

    Raises:
        ConfigError: The file cannot be written.
    """
    handler = _TqdmHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = logging.FileHandler(file, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write the log {file}: {error}") from error
        lines.setFormatter(_JsonLines())
        log.addHandler(lines)
    log.setLevel(level if SPEAKS else logging.WARNING)
    log.propagate = False


def note(level: int, message: str) -> None:
    """Write a line to the log file alone, if there is one."""
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(log.makeRecord(log.name, level, "", 0, message, (), None))


class _JsonLines(logging.Formatter):
    """A record as one JSON object; `run` is the run_id of run files that this process writes."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "utc": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "run": RUN_ID,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _TqdmHandler(logging.Handler):
    """Writes above a progress bar, if there is one, instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def progress(total: int, done: int = 0, unit: str = "batch") -> Iterator[Any]:
    """A progress bar of units on standard error; silent where that is not a terminal."""
    from tqdm import tqdm

    with tqdm(
        total=total, initial=done, unit=unit, file=sys.stderr, disable=None, leave=False
    ) as bar:
        yield bar


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar for shares of a whole, 0 to 1, and a few words; silent like `progress`."""
    from tqdm import tqdm

    form = "{desc} {percentage:3.0f} %|{bar}| {elapsed}<{remaining} {postfix}"
    with tqdm(
        total=1.0, desc=what, file=sys.stderr, disable=None, leave=False, bar_format=form
    ) as bar:

        def show(done: float, words: str) -> None:
            bar.set_postfix_str(words, refresh=False)
            bar.update(done - bar.n)

        yield show


def _plain(value: Any) -> Any:
    """JSON data: numpy scalars become numbers, numbers that JSON lacks become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
