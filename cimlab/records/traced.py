"""The verbs of the seam as data: what a link trace is made of.

A call is a name and arguments; `Verbs` makes one of every method of a CimArray, so recording and
replaying are one method each. Values become JSON with references to arrays, which keep their type,
shape and bits. Only the classes of the seam come back, by name from a closed table.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import TypeAdapter

from cimlab.core import errors
from cimlab.core.array import (
    Addresses,
    ArrayBase,
    Converters,
    Floats,
    JobResult,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Trace,
    Unfold,
    Window,
)

Arguments = Mapping[str, Any]
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
ANSWERS: dict[str, type] = {
    "configure": Converters,
    "read": Reading,
    "pulse": type(None),
    "pulse_and_read": Reading,
    "vmm": Product,
    "vmm_unfolded": Product,
    "vmm_pairs": PairProduct,
    "vmm_transposed": Product,
    "sweep": Trace,
    "train": Trace,
    "counters": np.ndarray,
    "run_job": JobResult,
    "ground": type(None),
    "now": float,
    "sleep": type(None),
}
"""What each verb answers; `configure`: the settings in force."""
_ERRORS: dict[str, Any] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.CimError)
}
_OF_TWO = {"BoardError": ("code", "reason"), "InstrumentError": ("query", "reply")}


class CellsClock:
    """A Clock whose two verbs are calls like the array's own."""

    def __init__(self, call: Callable[[str, Arguments], Any]) -> None:
        self._call = call

    def now(self) -> float:
        """See Clock."""
        return float(self._call("now", {}))

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        self._call("sleep", {"seconds": seconds})


class Verbs(ArrayBase):
    """A CimArray whose children do every verb in `call`."""

    _converters: Converters

    def __init__(self) -> None:
        self._clock = CellsClock(self.call)

    def call(self, verb: str, arguments: Arguments) -> Any:
        """Do one verb."""
        raise NotImplementedError

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._converters

    def configure(self, converters: Converters) -> None:
        """See CimArray."""
        self._converters = self.call("configure", {"converters": converters})

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray."""
        answer: Reading = self.call("read", {"v": v, "cells": cells, "averages": averages})
        return answer

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray."""
        self.call("pulse", {"v": v, "width": width, "count": count, "cells": cells})

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """See CimArray."""
        arguments = {"v": v, "width": width, "v_read": v_read, "cells": cells, "count": count}
        answer: Reading = self.call("pulse_and_read", {**arguments, "averages": averages})
        return answer

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        answer: Product = self.call("vmm", {"v": v, "window": window})
        return answer

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """See CimArray."""
        arguments = {"v": v, "unfold": unfold, "window": window}
        answer: Product = self.call("vmm_unfolded", arguments)
        return answer

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """See CimArray."""
        arguments = {"x": x, "volts": volts, "sums": sums, "unfold": unfold}
        answer: PairProduct = self.call("vmm_pairs", arguments)
        return answer

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        answer: Product = self.call("vmm_transposed", {"v": v, "window": window})
        return answer

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """See CimArray."""
        arguments = {"v": v, "i_comp": i_comp, "dwell": dwell, "cells": cells}
        answer: Trace = self.call("sweep", arguments)
        return answer

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """See CimArray."""
        arguments = {"v": v, "width": width, "v_read": v_read, "cells": cells}
        answer: Trace = self.call("train", {**arguments, "averages": averages})
        return answer

    def counters(self) -> NDArray[np.uint32]:
        """See CimArray."""
        answer: NDArray[np.uint32] = self.call("counters", {})
        return answer

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """See CimArray."""
        arguments = {"name": name, "settings": settings, "cells": cells, "target": target}
        answer: JobResult = self.call("run_job", arguments)
        return answer

    def ground(self) -> None:
        """See CimArray."""
        self.call("ground", {})


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


def told(verb: str, arguments: Arguments) -> str:
    """A call in a message."""
    return f"{verb}({', '.join(f'{name}={_brief(arguments[name])}' for name in arguments)})"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        some = ", ".join(f"{x:.9g}" for x in value.ravel()[:3])
        return f"{value.dtype}{list(value.shape)}[{some}{', ...' if value.size > 3 else ''}]"
    text = repr(plain(value))
    return text if len(text) <= 80 else text[:77] + "..."


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
