"""What commands say: one result on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("cimlab")


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
        print(json.dumps(_plain(data), allow_nan=False) if self.json else text, flush=True)
        self._done = True

    def failure(self, kind: str, message: str, code: int) -> None:
        """Say why a command failed; --json gets its object even then, unless it has it already."""
        print(f"cimlab: {message}", file=sys.stderr, flush=True)
        if self.json and not self._done:
            self.result({"error": {"kind": kind, "message": message}, "exit_code": code}, "")


console = Console()


def start_logging(level: int) -> None:
    """Send log records to standard error, as short lines."""
    handler = _TqdmHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False


class _TqdmHandler(logging.Handler):
    """Writes above a progress bar, if there is one, instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def progress(total: int, done: int = 0) -> Iterator[Any]:
    """A progress bar of batches on standard error; silent where that is not a terminal."""
    from tqdm import tqdm

    with tqdm(
        total=total, initial=done, unit="batch", file=sys.stderr, disable=None, leave=False
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
