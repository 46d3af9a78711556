"""Replaying a link trace: an array that answers what was measured, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from cimlab.core.array import ArraySpec, Converters
from cimlab.core.errors import RecordError

from .reader import open_reading
from .recording import FORMAT, FORMAT_VERSION
from .traced import ANSWERS, Arguments, Verbs, told
from .values import Codec, error_again, same

_CELLS_MOST = 1 << 26
_SPEC: TypeAdapter[ArraySpec] = TypeAdapter(ArraySpec)
_CONVERTERS: TypeAdapter[Converters] = TypeAdapter(Converters)


class Replay(Verbs):
    """The session of a trace file, call by call; see the module.

    Args:
        path: The file. What its writer has not flushed yet is not there.

    Attributes:
        calls: How many calls it holds.
        position: How many of them have been made.

    Raises:
        RecordError: It is no trace, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._path = os.fspath(path)
        self._file = open_reading(path, FORMAT, FORMAT_VERSION)
        self._codec = Codec(_unwritten, self._get)
        self.position, self._refusal = 0, ""
        try:
            with self._damage_told():
                self._spec, self._converters = self._head()
                self._calls = np.asarray(self._file["calls"][()], np.int64).reshape(-1, 2)
        except BaseException:
            self._file.close()
            raise
        self.calls = len(self._calls)

    @property
    def spec(self) -> ArraySpec:
        """What was recorded, and that this is not it."""
        return self._spec

    def call(self, verb: str, arguments: Arguments) -> Any:
        """What the array answered to just this; RecordError to anything else.

        After a refusal all is refused, but grounding does nothing, as there is nothing to ground.
        """
        if self._refusal:
            if verb == "ground":
                return None
            raise RecordError(self._refusal)
        asked = told(verb, arguments)
        if self.position >= self.calls:
            self._refuse(f"{asked} was asked, but all {self.calls} recorded calls have been made")
        name, given, entry = self._next()
        if name != verb:
            self._refuse(f"{asked} was asked, but the trace holds {told(name, given)} next")
        differ = [key for key in arguments if not same(arguments[key], given.get(key))]
        if differ or given.keys() != arguments.keys():
            self._refuse(
                f"{asked} was asked, but the trace holds {told(name, given)} next: "
                f"other {', '.join(differ) or 'arguments'}"
            )
        answer = self._answer(verb, entry)
        self.position += 1
        return answer

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._file.close()

    def _refuse(self, why: str) -> None:
        self._refusal = f"replay of {self._path}, call {self.position + 1}: {why}"
        raise RecordError(self._refusal)

    def _head(self) -> tuple[ArraySpec, Converters]:
        attributes = self._file.attrs
        spec = _SPEC.validate_json(attributes["spec"])
        if not (min(spec.shape) > 0 and spec.size <= _CELLS_MOST):
            raise ValueError(f"an array of {spec.shape} cells")
        if (spec.origin, spec.vmm) != (attributes["origin"], attributes["vmm"]):
            raise ValueError("it contradicts itself about its origin")
        spec = dataclasses.replace(spec, identity=f"replay of {spec.identity}")
        return spec, _CONVERTERS.validate_json(attributes["converters"])

    def _next(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Verb and arguments of the next call, and the rest of it."""
        with self._damage_told():
            start, end = self._calls[self.position]
            if not 0 <= start <= end <= len(self._file["text"]):
                raise ValueError("a call lies outside the text")
            entry = json.loads(self._file["text"][start:end].tobytes())
            given = entry["arguments"]
            return entry["verb"], {k: self._codec.decode(given[k]) for k in given}, entry

    def _answer(self, verb: str, entry: dict[str, Any]) -> Any:
        with self._damage_told():
            error = error_again(entry["error"]) if "error" in entry else None
            answer = None if error else self._codec.decode(entry["answer"])
            if error is None and type(answer) is not ANSWERS[verb]:
                raise ValueError(f"the answer of {verb} is a {type(answer).__name__}")
        if error is not None:
            self.position += 1
            raise error
        return answer

    def _get(self, kind: str, at: int, shape: tuple[int, ...]) -> NDArray[Any]:
        if kind not in Codec.TYPES or not all(type(n) is int and n >= 0 for n in (at, *shape)):
            raise ValueError(f"{kind} {at} {shape} is no array")
        dataset, size = self._file[f"arrays/{kind}"], math.prod(shape)
        if dataset.dtype != np.dtype(kind) or at + size > len(dataset):
            raise ValueError(f"an array of {size} numbers lies outside arrays/{kind}")
        return np.asarray(dataset[at : at + size]).reshape(shape)

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        """Whatever a damaged file raises becomes a RecordError."""
        try:
            yield
        except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            where = f"call {self.position + 1}: " if self.position else ""
            self._refusal = f"cannot read {self._path}: {where}{error}"
            raise RecordError(self._refusal) from error


def _unwritten(kind: str, array: NDArray[Any]) -> int:
    raise NotImplementedError  # a replay writes nothing
