"""Whether a run file can be read at all, found out by a process that may hang or die of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, cast

import h5py

from cimlab.core.errors import RecordError

from .reader import open_reading, written_now

PATIENCE = 8.0
"""Seconds in which the process must get from one thing in the file to the next."""
_START = 60.0  # seconds that it may take to start
_GOING, _DONE = b".", b"!"
# a program of its own: `multiprocessing` would run the caller's script again, chip and all
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from cimlab.records.probing import visit; visit(sys.argv[1])"
)


def probe(path: str | os.PathLike[str], patience: float = PATIENCE) -> None:
    """Refuse a file whose structure HDF5 would wait for, or end the program over.

    In a file that is being written, or whose writer was killed, HDF5 takes a wrong checksum for a
    page that the writer has not finished, and looks again and again, for hours. A file that was
    closed needs no probe: there it is an error at once.

    Args:
        path: The run file.
        patience: Seconds; see PATIENCE.

    Raises:
        RecordError: It is damaged; the message says how to save what is left. Or nobody knows,
            because the process did not start.
    """
    if not written_now(path):
        return
    command = [sys.executable, "-c", _PROGRAM, os.fspath(path), json.dumps(sys.path)]
    signs: SimpleQueue[bytes] = SimpleQueue()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        output = cast("IO[bytes]", process.stdout)  # a pipe, as asked for
        follower = Thread(target=_follow, args=(output, signs), daemon=True)
        follower.start()
        try:
            last = _next(signs, _START)
            started = last != b""
            while last == _GOING:
                last = _next(signs, patience)
        finally:
            process.kill()
            follower.join()
    if not started:
        raise RecordError(
            f"{path} was not tried: {sys.executable} could not start a process for it; "
            "is the machine out of memory?"
        )
    if last != _DONE:
        raise RecordError(
            f"{path} is damaged: it cannot be read to its end; save what is left of it with: "
            f"cimlab runs repair {path} -o NEW.h5"
        )


def _follow(output: IO[bytes], signs: SimpleQueue[bytes]) -> None:
    """Hand on what the process says, and nothing once it has ended."""
    while sign := output.read(1):
        signs.put(sign)
    signs.put(b"")


def _next(signs: SimpleQueue[bytes], patience: float) -> bytes:
    """The next sign; nothing if the process has ended, or takes longer than that."""
    try:
        return signs.get(timeout=patience)
    except Empty:
        return b""


def visit(path: str) -> None:
    """In the process: a sign before each thing in the file, and another after the last."""
    _say(_GOING)

    def look(_: str, item: h5py.HLObject) -> None:
        dict(item.attrs)
        if isinstance(item, h5py.Dataset) and item.chunks is not None:
            item.id.get_num_chunks()
        _say(_GOING)

    # what is an error at once is told better by whoever reads the file in earnest
    trouble = (RecordError, OSError, RuntimeError, KeyError, ValueError)
    with suppress(*trouble), open_reading(path) as file:
        file.visititems(look)
    _say(_DONE)


def _say(sign: bytes) -> None:
    sys.stdout.buffer.write(sign)
    sys.stdout.buffer.flush()
