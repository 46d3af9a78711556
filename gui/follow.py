"""Following a run file that another process writes: a thread, and the process that it minds."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.reading import Wish, read_forever
from cimlab.gui.snapshot import Snapshot

PATIENCE = 8.0
"""Seconds without a sign of life after which a reading process is given up."""
_START = 60.0  # seconds that the process may take to start
_AGAIN = 1.0  # seconds between looks whether a damaged file is another
_RETRY = 30.0  # seconds before it is read again even if it is not

_PROCESSES = multiprocessing.get_context("spawn")


class Follower:
    """Posts a snapshot whenever the run file, or what the window wants of it, has changed.

    Args:
        path: The run file; it need not exist yet.
        post: Receives snapshots in the follower's thread; must not block.
        patience: Seconds that reading may take before the file counts as damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        post: Callable[[Snapshot], None],
        patience: float = PATIENCE,
    ) -> None:
        self.path = os.fspath(path)
        self._post = post
        self._patience = patience
        self._wish = Wish()
        self._pipe: Connection | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._last = Snapshot(self.path)
        self._thread = threading.Thread(target=self._run, name="cimlab-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the process; a second call does nothing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def show(self, index: int | None) -> None:
        """Show this map of the run's history; None follows the newest."""
        self._ask(replace(self._wish, index=index))

    def inspect(self, cells: NDArray[np.int64] | None) -> None:
        """Report the history of these cells, (n,) addresses, from now on; None ends it."""
        self._ask(replace(self._wish, cells=cells))

    def _ask(self, wish: Wish) -> None:
        with self._lock:
            self._wish = wish
            if self._pipe is not None:
                try:
                    self._pipe.send(wish)
                except OSError:
                    self._pipe = None  # its successor will be told

    def _run(self) -> None:
        while not self._ended.is_set():
            pipe, far = _PROCESSES.Pipe()
            process = _PROCESSES.Process(
                target=read_forever, args=(far, self.path), name="cimlab-reader", daemon=True
            )
            process.start()
            far.close()
            with self._lock:
                self._pipe = pipe
                pipe.send(self._wish)
            self._forward(pipe)
            with self._lock:
                self._pipe = None
            _end(process, pipe)
            if not self._ended.is_set():
                self._damaged()

    def _forward(self, pipe: Connection) -> None:
        """Hand on what the process says until it falls silent or the window has enough."""
        silent, most = 0.0, _START
        while not self._ended.is_set() and silent < most:
            if not pipe.poll(0.05):
                silent += 0.05
                continue
            silent, most = 0.0, self._patience
            try:
                letter = pipe.recv()
            except (EOFError, OSError):
                return
            if letter is not None:
                self._last = letter
                self._post(letter)

    def _damaged(self) -> None:
        """Say so, and wait until the file is another, or for a while."""
        message = f"{self.path} is damaged: it cannot be read to its end"
        self._last = replace(self._last, status="lost", message=message)
        self._post(self._last)
        stamp, since = _stamp(self.path), time.monotonic()
        while not self._ended.wait(_AGAIN):
            if _stamp(self.path) != stamp or time.monotonic() - since > _RETRY:
                return


def _end(process: SpawnProcess, pipe: Connection) -> None:
    pipe.close()  # the process ends by itself when it next waits
    process.join(0.2)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns
