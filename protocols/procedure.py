"""What every protocol shares: a procedure is a generator of frozen events with a result.

Whoever runs a procedure stores the events, draws them, or stops it by closing the generator::

    for event in (steps := write_verify(array, plan, cells, target)):
        ...

`finish` runs one to its end for its result. `idle_on_error` grounds the array whenever a
procedure ends in any other way than by reaching its end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from cimlab.core.array import Addresses, CimArray, Floats, Mask
from cimlab.core.errors import CimError

R = TypeVar("R")


class Plan(BaseModel):
    """Frozen, validated settings of a procedure; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Round:
    """One transaction of a programming run.

    Attributes:
        index: Rounds before this one.
        cells: Addresses of the cells still being programmed, (n,).
        v: Pulse each of them got, V; None when the round only read.
        current: Reading after the pulse, A.
        hit: True where that reading ended the cell's programming inside the band.
    """

    index: int
    cells: Addresses
    v: Floats | None
    current: Floats
    hit: Mask


Steps: TypeAlias = Generator[Round, None, R]


def finish(steps: Generator[object, None, R]) -> R:
    """Run a procedure to its end, unwatched, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: R = stop.value
            return result


@contextmanager
def idle_on_error(array: CimArray) -> Iterator[None]:
    """Ground the array if the block ends by an exception, or by the generator being closed."""
    try:
        yield
    except BaseException:
        # a dead link cannot ground; the first error is the one to report
        with suppress(CimError):
            array.ground()
        raise
