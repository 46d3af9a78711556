"""Values of the seam as JSON, and back: arguments and answers of verbs, and their errors.

JSON has references to arrays, which keep their type, shape and bits. Only the classes of the seam
come back, by name from a closed table.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from cimlab.core import errors
from cimlab.core.array import (
    Converters,
    JobResult,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Trace,
    Unfold,
    Window,
)

_CLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Converters,
        JobResult,
        PairProduct,
        PairSum,
        Product,
        Reading,
        Trace,
        Unfold,
        Window,
    )
}
_WITHOUT_ARRAYS = {kind.__name__: TypeAdapter(kind) for kind in (Converters, Unfold, Window)}
_ARRAY = re.compile(r"NDArray|Mask|Floats|Addresses")
"""In the annotation of a field that holds an array."""
_ERRORS: dict[str, Any] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.CimError)
}
_OF_TWO = {"BoardError": ("code", "reason"), "InstrumentError": ("query", "reply")}


class Codec:
    """Values of the seam to JSON and back.

    Args:
        put: Stores an array, and says where.
        get: Finds it again: type, where, shape.
    """

    TYPES: ClassVar[tuple[str, ...]] = ("b1", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)))
    TYPES += ("f4", "f8")

    def __init__(
        self,
        put: Callable[[str, NDArray[Any]], int],
        get: Callable[[str, int, tuple[int, ...]], NDArray[Any]],
    ) -> None:
        self._put, self._get = put, get

    def encode(self, value: Any) -> Any:
        """As JSON can have it."""
        value = plain(value)
        if isinstance(value, np.ndarray):
            kind = f"{value.dtype.kind}{value.dtype.itemsize}"
            if kind not in self.TYPES:
                raise TypeError(f"a trace holds no arrays of {value.dtype}")
            return {"array": kind, "at": self._put(kind, value), "shape": list(value.shape)}
        if type(value).__name__ in _CLASSES:
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return {"is": type(value).__name__, "with": self._each(fields)}
        if isinstance(value, dict):
            return {"map": self._each(value)}
        if isinstance(value, list):
            return [self.encode(item) for item in value]
        return value

    def _each(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.encode(value) for name, value in values.items()}

    def decode(self, data: Any) -> Any:
        """What `encode` was given, with lists for sequences.

        Raises:
            ValueError, KeyError, TypeError: It is something else.
        """
        if isinstance(data, list):
            return [self.decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        if "array" in data:
            return self._get(str(data["array"]), data["at"], tuple(data["shape"]))
        if "map" in data:
            return {name: self.decode(item) for name, item in data["map"].items()}
        fields = {name: self.decode(item) for name, item in data["with"].items()}
        return _made(data["is"], fields)


def _made(name: str, fields: dict[str, Any]) -> Any:
    """An object of the seam whose fields are of the kinds that they have to be."""
    if name in _WITHOUT_ARRAYS:
        return _WITHOUT_ARRAYS[name].validate_python(fields)
    for field in dataclasses.fields(_CLASSES[name]):
        value, kind = fields[field.name], str(field.type)
        missing = value is None and kind.endswith("| None")
        if isinstance(value, np.ndarray) != bool(_ARRAY.search(kind)) and not missing:
            raise ValueError(f"{field.name} of a {name} is a {type(value).__name__}")
    return _CLASSES[name](**fields)


def plain(value: Any) -> Any:
    """The value without what does not matter: tuples are lists, numpy's scalars are Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal bit for bit, NaN and NaN included."""
    a, b = plain(a), plain(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and (a.dtype, a.shape) == (b.dtype, b.shape)
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a).__name__ in _CLASSES:
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


def error_data(error: errors.CimError) -> dict[str, Any]:
    """An error that a verb ended with, as JSON."""
    name = type(error).__name__
    named = _OF_TWO.get(name)
    given = [getattr(error, each) for each in named] if named else [str(error)]
    return {"is": name if name in _ERRORS else "CimError", "with": given}


def error_again(data: Mapping[str, Any]) -> errors.CimError:
    """The error back; ValueError, KeyError or TypeError if it is none."""
    error: errors.CimError = _ERRORS[data["is"]](*data["with"])
    return error
