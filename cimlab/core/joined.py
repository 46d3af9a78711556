"""An array made of arrays: tiles spread over several boards, their links working at once.

The members' tiles are numbered one after another. A verb goes to the members that it concerns, at
the same time, each in a thread of its own; if one of them fails, all are grounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    CimArray,
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
from .clock import RestingClock
from .errors import CimError
from .pieces import Piece, inputs_of, joined_spec, pair_sum, pieces_of, same_inputs, share

Answer = TypeVar("Answer")


class JoinedArray(ArrayBase):
    """Arrays of equal tiles as one; they are closed with it.

    Limits are the tightest of all; optional verbs are those that all can do.

    Args:
        members: The arrays, in the order of their tiles.

    Raises:
        ConfigError: They differ in what a tile is, or measured ones would mix with emulated ones.
    """

    def __init__(self, members: Sequence[CimArray]) -> None:
        self.members = tuple(members)
        self.checks_inputs = all(member.checks_inputs for member in members)
        self._spec = joined_spec([member.spec for member in members])
        self._ends = np.cumsum([member.spec.tiles for member in members])
        ranges = tuple(x for member in members for x in member.converters.i_vmm)
        self._converters = replace(members[0].converters, i_vmm=ranges)
        if "rest" in self._spec.capabilities:
            self._clock = RestingClock(self._rest)
        self._pool = ThreadPoolExecutor(len(members), "board")

    @property
    def spec(self) -> ArraySpec:
        """What all members are together."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """Every tile's range, and the first member's settings: the others' too, once configured."""
        return self._converters

    def settings(self, converters: Converters) -> list[Converters]:
        """Each member's part of converter settings."""
        ranges = np.split(np.array(converters.i_vmm), self._ends[:-1])
        return [replace(converters, i_vmm=tuple(own.tolist())) for own in ranges]

    def configure(self, converters: Converters) -> None:
        """See CimArray."""
        parts = zip(self.members, self.settings(converters), strict=True)
        self._at_once([partial(member.configure, part) for member, part in parts])
        self._converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """See CimArray."""
        if cells is not None:
            return _reading(
                self._of_cells(cells, lambda m, own, _: m.read(v, own, averages)), cells
            )
        return _reading(self._at_once([partial(m.read, v, None, averages) for m in self.members]))

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """See CimArray."""
        shape = self._spec.shape if cells is None else cells.shape

        def act(member: CimArray, own: Addresses | None, part: slice) -> None:
            member.pulse(share(v, shape, part), width, share(count, shape, part), own)

        if cells is not None:
            self._of_cells(cells, act)
            return
        parts = [
            slice(end - m.spec.tiles, end) for m, end in zip(self.members, self._ends, strict=True)
        ]
        self._at_once([partial(act, m, None, p) for m, p in zip(self.members, parts, strict=True)])

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

        def act(member: CimArray, own: Addresses, part: slice) -> Reading:
            volts, counts = (share(values, cells.shape, part) for values in (v, count))
            return member.pulse_and_read(volts, width, v_read, own, counts, averages)

        return _reading(self._of_cells(cells, act), cells)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        return self._product(window, lambda m, own: m.vmm(v[own.positions], own.window))

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """See CimArray; each member gets the channels of its tiles."""

        def act(member: CimArray, own: Piece) -> Product:
            return member.vmm_unfolded(inputs_of(v, own, unfold), unfold, own.window)

        return self._product(window, act)

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """See CimArray."""
        return self._product(window, lambda m, own: m.vmm_transposed(v[own.positions], own.window))

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """See CimArray; what the members give is added up here."""
        pieces = [pieces_of(part.window, self._ends) for part in sums]

        def ask(k: int) -> dict[int, tuple[NDArray[np.float32], NDArray[np.int64]]]:
            """Values and clipped conversions of each sum that member k has tiles of."""
            found: dict[int, tuple[NDArray[np.float32], NDArray[np.int64]]] = {}
            for numbers in same_inputs(sums, pieces, k):
                own = [pair_sum(sums[n], pieces[n][k], k == min(pieces[n])) for n in numbers]
                inputs = inputs_of(x, pieces[numbers[0]][k], unfold)
                product = self.members[k].vmm_pairs(inputs, volts, own, unfold)
                outputs = np.cumsum([part.constant.size for part in own])[:-1]
                tiles = np.cumsum([len(part.window.tiles) for part in own])[:-1]
                parts = (np.split(product.values, outputs, 1), np.split(product.clipped, tiles))
                found |= dict(zip(numbers, zip(*parts, strict=True), strict=True))
            return found

        asked = sorted({k for own in pieces for k in own})
        found = dict(zip(asked, self._at_once([partial(ask, k) for k in asked]), strict=True))
        values, clipped = [], []
        for n, own in enumerate(pieces):
            values.append(sum((found[k][n][0] for k in own), np.float32(0)))
            marks = np.zeros(len(sums[n].window.tiles), np.int64)
            for k, piece in own.items():
                marks[piece.positions] = found[k][n][1]
            clipped.append(marks)
        return PairProduct(np.concatenate(values, 1), np.concatenate(clipped))

    def sweep(self, v: Floats, i_comp: float, dwell: float, cells: Addresses) -> Trace:
        """See CimArray."""
        return _trace(
            self._of_cells(cells, lambda m, own, _: m.sweep(v, i_comp, dwell, own)), cells
        )

    def train(
        self, v: Floats, width: ArrayLike, v_read: float, cells: Addresses, averages: int = 1
    ) -> Trace:
        """See CimArray."""

        def act(member: CimArray, own: Addresses, _: slice) -> Trace:
            return member.train(v, width, v_read, own, averages)

        return _trace(self._of_cells(cells, act), cells)

    def counters(self) -> NDArray[np.uint32]:
        """See CimArray."""
        return np.concatenate(self._at_once([member.counters for member in self.members]))

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """See CimArray; a job on each member."""
        return JobResult.joined(
            self._of_cells(cells, lambda m, own, part: m.run_job(name, settings, own, target[part]))
        )

    def ground(self) -> None:
        """See CimArray; every member is told, whatever happens to the others."""
        _all([member.ground for member in self.members])

    def close(self) -> None:
        """Close every member, whatever happens to the others."""
        self._pool.shutdown()
        _all([member.close for member in self.members])

    def _rest(self, seconds: float) -> None:
        for member in self.members:
            member.clock.sleep(seconds)

    def _of_cells(
        self, cells: Addresses, act: Callable[[CimArray, Addresses, slice], Answer]
    ) -> list[Answer]:
        """What the members answer that have some of the cells, in the cells' order."""
        size = self._spec.rows * self._spec.cols
        bounds = np.searchsorted(cells, [0, *(self._ends * size)]).tolist()
        calls = []
        for k, member in enumerate(self.members):
            part = slice(bounds[k], bounds[k + 1])
            # somebody has to answer, even for no cell
            if part.start < part.stop or (k == 0 and not cells.size):
                own = cells[part] - (self._ends[k] - member.spec.tiles) * size
                calls.append(partial(act, member, own, part))
        return self._at_once(calls)

    def _product(self, window: Window | None, act: Callable[[CimArray, Piece], Product]) -> Product:
        """Products of the members that have some of the window's tiles, as one."""
        pieces = pieces_of(window or Window.whole(self._spec), self._ends)
        found = self._at_once([partial(act, self.members[k], own) for k, own in pieces.items()])
        order = np.argsort(np.concatenate([own.positions for own in pieces.values()]))
        return Product(
            np.concatenate([part.current for part in found])[order],
            np.concatenate([part.saturated for part in found])[order],
        )

    def _at_once(self, calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """Do calls to different members in a thread each; a failure of one grounds all."""
        try:
            if len(calls) == 1:
                return [calls[0]()]
            futures = [self._pool.submit(call) for call in calls]
            try:
                return [future.result() for future in futures]
            finally:
                # a link has one user at a time: grounding waits until the others are done, too
                wait(futures)
        except BaseException:
            with contextlib.suppress(CimError):
                self.ground()
            raise


def _reading(found: Sequence[Reading], cells: Addresses | None = None) -> Reading:
    return Reading(
        np.concatenate([part.current for part in found]),
        found[0].v,
        np.concatenate([part.saturated for part in found]),
        cells,
    )


def _trace(found: Sequence[Trace], cells: Addresses) -> Trace:
    return Trace(
        np.concatenate([part.current for part in found], 1),
        np.concatenate([part.saturated for part in found], 1),
        cells,
    )


def _all(calls: Sequence[Callable[[], None]]) -> None:
    """Do every call; then raise what the first of them raised."""
    with contextlib.ExitStack() as stack:
        for call in reversed(calls):
            stack.callback(call)
