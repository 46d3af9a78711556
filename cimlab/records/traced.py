"""The verbs of the seam as data: what a link trace is made of.

A call is a name and arguments; `Verbs` makes one of every method of a CimArray, so recording and
replaying are one method each. `values` has the arguments and answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

from .values import plain

Arguments = Mapping[str, Any]
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
        # as in the first traces, whose callers rounded to single precision and back
        goal = np.asarray(target, np.float64)
        arguments = {"name": name, "settings": settings, "cells": cells, "target": goal}
        answer: JobResult = self.call("run_job", arguments)
        return answer

    def ground(self) -> None:
        """See CimArray."""
        self.call("ground", {})


def told(verb: str, arguments: Arguments) -> str:
    """A call in a message."""
    return f"{verb}({', '.join(f'{name}={_brief(arguments[name])}' for name in arguments)})"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        some = ", ".join(f"{x:.9g}" for x in value.ravel()[:3])
        return f"{value.dtype}{list(value.shape)}[{some}{', ...' if value.size > 3 else ''}]"
    text = repr(plain(value))
    return text if len(text) <= 80 else text[:77] + "..."
