"""Whether a run file can be read at all, found out by a process that may hang or die of it."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from multiprocessing.connection import Connection

import h5py

from cimlab.core.errors import RecordError

from .reader import open_reading, written_now

PATIENCE = 8.0
"""Seconds in which the process must get from one thing in the file to the next."""
_START = 60.0  # seconds that it may take to start

_PROCESSES = multiprocessing.get_context("spawn")


def probe(path: str | os.PathLike[str], patience: float = PATIENCE) -> None:
    """Refuse a file whose structure HDF5 would wait for, or end the program over.

    In a file that is being written, or whose writer was killed, HDF5 takes a wrong checksum for a
    page that the writer has not finished, and looks again and again, for hours. A file that was
    closed needs no probe: there it is an error at once.

    Args:
        path: The run file.
        patience: Seconds; see PATIENCE.

    Raises:
        RecordError: It is damaged; the message says how to save what is left.
    """
    if not written_now(path):
        return
    pipe, far = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_visit, args=(far, os.fspath(path)), daemon=True)
    process.start()
    far.close()
    try:
        whole, wait = False, _START
        while not whole:
            if not pipe.poll(wait):
                break
            whole, wait = pipe.recv(), patience
    except EOFError:  # it died
        pass
    finally:
        process.kill()
        process.join()
        pipe.close()
    if not whole:
        raise RecordError(
            f"{path} is damaged: it cannot be read to its end; save what is left of it with: "
            f"cimlab runs repair {path} -o NEW.h5"
        )


def _visit(pipe: Connection, path: str) -> None:
    """Send False after each thing in the file, True after the last."""
    pipe.send(False)

    def visit(_: str, item: h5py.HLObject) -> None:
        dict(item.attrs)
        if isinstance(item, h5py.Dataset) and item.chunks is not None:
            item.id.get_num_chunks()
        pipe.send(False)

    # what is an error at once is told better by whoever reads the file in earnest
    trouble = (RecordError, OSError, RuntimeError, KeyError, ValueError)
    with suppress(*trouble), open_reading(path) as file:
        file.visititems(visit)
    pipe.send(True)
