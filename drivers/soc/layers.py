"""Products of layers over the link, in parts: while one is added up the board makes the next.

A cut changes no result: what is random depends on tiles and vectors, not on frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimlab.core import pairs
from cimlab.core.array import (
    ArraySpec,
    Converters,
    Floats,
    PairProduct,
    PairSum,
    Unfold,
)
from cimlab.core.errors import ConfigError
from cimlab.core.pairs import Part
from cimlab.drivers.soc.link import HEAD, BoardLink, Request
from cimlab.wire import products, scaling
from cimlab.wire.frames import Verb

PART = 48_000
"""Bytes of a part's request or answer, about: some hundred microseconds' work at either end."""
LAYOUTS_MAX = 1024
"""Layers that are remembered; a network has fewer."""

Codes8 = NDArray[np.uint8]


def spans(link: BoardLink, spec: ArraySpec, batch: int, size_out: int, size_in: int) -> list[slice]:
    """Cut a batch into parts, about equal, whose requests and answers fit a frame each.

    Args:
        link: What they are for.
        spec: Of the board.
        batch: Vectors or images.
        size_out: Bytes of the whole batch's request.
        size_in: Bytes of its answer.

    Raises:
        ConfigError: One vector is too much for a frame.
    """
    largest = max(size_out, size_in, 1)
    room = link.payload_max - HEAD - 2 * spec.tiles
    most = room * batch // largest
    if batch and most < 1:
        raise ConfigError(
            f"one vector needs {math.ceil(largest / batch)} bytes, the board's frames carry "
            f"{link.payload_max}"
        )
    parts = -(-largest // PART)
    step = max(min(most, -(-batch // parts)), 1)
    return [slice(start, min(start + step, batch)) for start in range(0, batch, step)]


class _Cuts(NamedTuple):
    """A batch in parts.

    Attributes:
        spans: Which of its vectors or images.
        heads: Of each part's request: all but the codes.
        flags: Of the requests.
        shape: Of the numbers that answer the whole batch.
        tiles: Of all windows together.
    """

    spans: list[slice]
    heads: list[bytes]
    flags: int
    shape: tuple[int, int, int]
    tiles: int


@dataclass(slots=True, eq=False)
class _Layout:
    """What of a layer's products does not change from one to the next."""

    parts: list[Part]
    outputs: list[list[pairs.Place]] = field(default_factory=list)
    """See `pairs.places`."""
    weighed: int = -1
    """When its weights were last seen to be in force."""
    cuts: dict[tuple[object, ...], _Cuts] = field(default_factory=dict)
    """By shape of the inputs and how they are cut."""


class Layers:
    """Pairs of columns, multiplied by a board that can subtract them (capability "pairs").

    Args:
        link: To the board.
        spec: What that is.
    """

    def __init__(self, link: BoardLink, spec: ArraySpec) -> None:
        self._link, self._spec = link, spec
        self._weights = products.power_on_weights(spec.tiles, spec.cols)
        self._sent = 0  # times that weights were
        self._layouts: dict[tuple[object, ...], _Layout] = {}

    def multiply(
        self,
        x: Floats,
        volts: float,
        sums: Sequence[PairSum],
        unfold: Unfold | None,
        settings: Converters,
    ) -> PairProduct | None:
        """See `CimArray.vmm_pairs`; None where a column would need two weights at once."""
        layout, spec = self._layout(sums), self._spec
        if not self._in_force(layout):
            return None

        def codes(part: slice) -> Codes8:
            return scaling.drive_codes(x[part], volts, settings.v_read, spec.dac_bits)

        answers = self._answers(layout, x.shape, codes, unfold)
        # the board is at work from here on
        units = scaling.pair_units(sums, settings, spec.adc_bits)
        shape = pairs.outputs(x.shape, sums, unfold)
        out = np.empty((*shape[:2], math.prod(shape[2:])), np.float32)
        clipped = np.zeros(sum(len(part.targets) for part in sums), np.int64)
        for span, found, clips in answers:
            pairs.add(out[span], sums, found, units, layout.outputs)
            clipped += clips
        return PairProduct(out.reshape(shape), clipped)

    def convert(
        self, codes: Codes8, parts: Sequence[Part], unfold: Unfold | None
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """See `board.hal.PairHal`."""
        layout = _Layout(list(parts))
        if not self._in_force(layout):  # one after the other
            each = [self.convert(codes, [part], unfold) for part in parts]
            return np.concatenate([f[0] for f in each], 1), np.concatenate([f[1] for f in each])
        whole = _request(parts, codes.shape, unfold)
        out, clipped = np.empty(whole.answer_shape, np.int16), np.zeros(whole.tiles, np.int64)
        for span, found, clips in self._answers(layout, codes.shape, codes.__getitem__, unfold):
            out[span] = found
            clipped += clips
        return out, clipped

    def _answers(
        self,
        layout: _Layout,
        shape: tuple[int, ...],
        codes: Callable[[slice], Codes8],
        unfold: Unfold | None,
    ) -> Iterator[tuple[slice, NDArray[np.int16], NDArray[np.int64]]]:
        """Numbers and clipped conversions of one part of a batch after the other, asked for now.

        Args:
            layout: What is wanted of the board.
            shape: Of all inputs.
            codes: Input codes of a part.
            unfold: How maps are cut, or None.
        """
        cuts = layout.cuts.get((shape, unfold))
        if cuts is None:
            cuts = self._cut(layout.parts, shape, unfold)
            layout.cuts = {(shape, unfold): cuts}  # it has one shape at a time
        spans, heads, flags, size, tiles = cuts

        def requests() -> Iterator[Request]:
            for span, head in zip(spans, heads, strict=True):
                yield Request(Verb.PAIRS, [head, codes(span)], flags)

        def unpacked(
            part: slice, answer: memoryview
        ) -> tuple[slice, NDArray[np.int16], NDArray[np.int64]]:
            return part, *products.unpack_pairs(answer, (part.stop - part.start, *size[1:]), tiles)

        return map(unpacked, spans, self._link.exchange(requests()))

    def _cut(self, parts: Sequence[Part], shape: tuple[int, ...], unfold: Unfold | None) -> _Cuts:
        whole = _request(parts, shape, unfold)
        size, tiles = whole.answer_shape, whole.tiles
        length = products.pairs_length(math.prod(size), tiles)
        cuts = spans(self._link, self._spec, shape[0], math.prod(shape), length)
        each = [_request(parts, (s.stop - s.start, *shape[1:]), unfold) for s in cuts]
        return _Cuts(cuts, [request.head() for request in each], whole.flags, size, tiles)

    def _layout(self, sums: Sequence[PairSum]) -> _Layout:
        # by content: whoever made these arrays may change them
        key = tuple((p.window, p.weights.tobytes(), p.targets.tobytes()) for p in sums)
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= LAYOUTS_MAX:
                self._layouts.clear()
            parts = pairs.parts_of(sums)
            parts = [replace(p, weights=scaling.sixteen_bits(p.weights)) for p in parts]
            found = self._layouts[key] = _Layout(parts, pairs.places(sums))
        return found

    def _in_force(self, layout: _Layout) -> bool:
        """Tell the board the columns' weights, if it has others; no if a column has two."""
        if layout.weighed == self._sent:
            return True
        new = self._weights.copy()
        places = [(list(p.window.tiles), slice(*p.window.cols)) for p in layout.parts]
        for place, part in zip(places, layout.parts, strict=True):
            new[place] = part.weights
        if len(places) > 1 and any(
            not np.array_equal(new[place], part.weights)
            for place, part in zip(places, layout.parts, strict=True)
        ):
            return False
        if not np.array_equal(new, self._weights):
            self._link.ask(Request(Verb.WEIGHTS, products.pack_weights(new)))
            self._weights = new
            self._sent += 1
        layout.weighed = self._sent
        return True


def _request(
    parts: Sequence[Part], shape: tuple[int, ...], unfold: Unfold | None
) -> products.Pairs:
    """A request for inputs of a shape, without these."""
    windows, wanted = tuple(p.window for p in parts), tuple(p.wanted for p in parts)
    return products.Pairs(windows, wanted, np.broadcast_to(np.uint8(0), shape), unfold)
