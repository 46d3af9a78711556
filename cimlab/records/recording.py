"""Recording a link trace: every verb of a session at the seam, with its arguments and its answer.

A trace is an HDF5 file in SWMR mode (single writer, multiple readers), as run files are, and only
ever grows. `calls` (n, 2) says where in `text` (UTF-8) the JSON of each call stands; the arrays it
speaks of stand in `arrays/<type>`, one after another, in full. All of it is written before the
next call begins: who is killed loses nothing that was answered.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import ArraySpec, CimArray, Converters
from cimlab.core.errors import CimError, RecordError

from . import provenance
from .making import build, publish
from .traced import Arguments, Verbs
from .values import Codec, error_data

FORMAT = "cimlab-trace"
FORMAT_VERSION = 1


class Recording(Verbs):
    """An array whose verbs are written to a trace file; closing it closes both.

    Args:
        array: What does the work.
        path: The file; there must be none yet.
        spec: What the session's user sees: the array's, with the station's limits.
        converters: Settings that the session begins with.
        station: The station's text, without secrets.

    Raises:
        RecordError: The file is there, or cannot be written.
    """

    def __init__(
        self,
        array: CimArray,
        path: str | os.PathLike[str],
        spec: ArraySpec,
        converters: Converters,
        station: str,
    ) -> None:
        super().__init__()
        target = Path(path)
        if target.exists():
            raise RecordError(f"{target} exists; a trace holds one session: choose another name")
        with build(target) as file:
            _describe(file, spec, station)
            file.attrs["converters"] = json.dumps(asdict(converters))
        self._file = publish(target)
        self._array, self._path = array, target
        self._lock = threading.Lock()
        self._codec = Codec(self._put, _unread)

    @property
    def spec(self) -> ArraySpec:
        """What the wrapped array is."""
        return self._array.spec

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._array.converters

    def call(self, verb: str, arguments: Arguments) -> Any:
        """Have the array do it, then write down what happened."""
        try:
            answer = self._done(verb, arguments)
        except CimError as error:
            self._write(verb, arguments, "error", error_data(error))
            raise
        self._write(verb, arguments, "answer", answer)
        return answer

    def close(self) -> None:
        """Close the array, then the file; a second call does nothing."""
        try:
            self._array.close()
        finally:
            with self._lock:
                self._file.close()

    def _done(self, verb: str, arguments: Arguments) -> Any:
        owner = self._array.clock if verb in ("now", "sleep") else self._array
        answer = getattr(owner, verb)(**arguments)
        return self._array.converters if verb == "configure" else answer

    def _write(self, verb: str, arguments: Arguments, kind: str, what: Any) -> None:
        """Append one call."""
        with self._lock:
            if not self._file:
                return  # an idle array is grounded once more after its closing
            try:
                given = {name: self._codec.encode(value) for name, value in arguments.items()}
                seen = what if kind == "error" else self._codec.encode(what)
                entry = {"verb": verb, "arguments": given, kind: seen}
                text = np.frombuffer(json.dumps(entry).encode(), np.uint8)
                start = _append(self._file["text"], text)
                self._file.flush()  # a call that is there is complete
                _append(self._file["calls"], np.array([[start, start + text.size]]))
                self._file.flush()
            except OSError as error:
                raise RecordError(f"cannot write {self._path}: {error}") from error

    def _put(self, kind: str, array: NDArray[Any]) -> int:
        return _append(self._file[f"arrays/{kind}"], array.ravel())


def _append(dataset: h5py.Dataset, values: NDArray[Any]) -> int:
    """Write at the end; returns where that is."""
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values
    return int(start)


def _describe(file: h5py.File, spec: ArraySpec, station: str) -> None:
    known = asdict(spec)
    known["capabilities"] = sorted(spec.capabilities)
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "utc_start": provenance.utc_now(),
            "versions": json.dumps(provenance.versions()),
            "origin": spec.origin,
            "vmm": spec.vmm,
            "identity": spec.identity,
            "spec": json.dumps(known),
            "station": station,
        }
    )
    datasets = {"text": ("u1", ()), "calls": ("i8", (2,))}
    datasets |= {f"arrays/{kind}": (kind, ()) for kind in Codec.TYPES}
    for name, (kind, row) in datasets.items():
        file.create_dataset(
            name, shape=(0, *row), maxshape=(None, *row), chunks=(1 << 14, *row), dtype=kind
        )


def _unread(kind: str, at: int, shape: tuple[int, ...]) -> NDArray[Any]:
    raise NotImplementedError  # a recording reads nothing back
