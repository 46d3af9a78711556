"""Numbered requests of a session, done on the hardware (docs/wire.md 3.2 to 3.6, 3.8 to 3.10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cimlab.core.array import Addresses, Limits, Unfold
from cimlab.core.errors import BoardError, LimitError
from cimlab.core.pairs import Part
from cimlab.wire import messages, products, scaling, verbs
from cimlab.wire.fields import Reader
from cimlab.wire.frames import Buffer, Verb
from cimlab.wire.status import Status

from .counting import CountingHal, check_vmm
from .hal_array import HalArray

_FLAGS: dict[int, int] = {
    Verb.CONFIGURE: messages.WITH_LIMITS,
    Verb.VMM: products.UNFOLD | products.TRANSPOSED,
    Verb.PAIRS: products.UNFOLD,
}
BEGINNING = 20
"""Bytes of a request for pairs by which a layout is looked up: before the codes of any of them."""
LAYOUTS_MAX = 1024
"""Layouts that are kept at hand; a network has a few for each layer."""


class _Layout(NamedTuple):
    """A request for pairs without its codes, and with the weights in force."""

    head: bytes
    parts: list[Part]
    unfold: Unfold | None
    shape: tuple[int, ...]
    length: int
    """Of the answer, bytes."""


class Requests:
    """What one session asks of the hardware; made when it opens, with power-on settings.

    Args:
        hal: The hardware.
        reply_max: Tells the longest payload of an answer, bytes.

    Attributes:
        array: The hardware as an array, with the session's converter settings.
        size: Cells.
    """

    def __init__(self, hal: CountingHal, reply_max: Callable[[], int]) -> None:
        info = hal.info
        self._hal, self._reply_max = hal, reply_max
        self.array = HalArray(hal)
        self.size = info.tiles * info.rows * info.cols
        self._all = np.arange(self.size, dtype=np.int64)
        self._weights = products.power_on_weights(info.tiles, info.cols)
        self._layouts: dict[tuple[int, int, bytes], _Layout] = {}  # with these weights

    def execute(self, verb: int, flags: int, payload: memoryview) -> list[Buffer]:
        """Do what is asked; the answer.

        Raises:
            BoardError: It cannot be done; any other error of the hardware passes, too.
        """
        match verb:
            case Verb.CONFIGURE:
                return self._configure(messages.Configure.unpack(payload, flags))
            case Verb.READ:
                read = verbs.Read.unpack(payload, self.size)
                return self._read(read.code, read.averages, read.cells)
            case Verb.PULSE:
                return self._pulse(verbs.Pulse.unpack(payload, self.size))
            case Verb.VMM:
                return self._vmm(products.Vmm.unpack(payload, flags))
            case Verb.PAIRS:
                return self._pairs(payload, flags)
            case Verb.WEIGHTS:
                weights = products.unpack_weights(payload, *self._weights.shape)
                self._weights = scaling.sixteen_bits(weights)
                self._layouts.clear()
                return []
            case Verb.COUNTERS:
                return self._counters(payload)
            case Verb.REST:
                self._hal.relax(verbs.unpack_rest(payload))
                return []
        raise BoardError(Status.VERB, f"unknown verb 0x{verb:02x}")

    def cells(self, selected: Addresses | None) -> Addresses:
        """The addresses that a selection means."""
        return self._all if selected is None else selected

    def fits(self, length: int) -> None:
        """Refuse a request whose answer would have so many bytes, if that is too long."""
        if length > (most := self._reply_max()):
            raise BoardError(
                Status.TOO_LARGE, f"the answer has {length} bytes, frames carry {most}"
            )

    def _configure(self, request: messages.Configure) -> list[Buffer]:
        limits, settings = self._hal.limits, self.array.converters
        if request.limits is not None:
            self._hal.limits = _tightened(limits, request.limits)
        try:
            self.array.configure(request.converters)
        except LimitError:
            self._hal.limits = limits
            self.array.configure(settings)
            raise
        return []

    def _read(self, code: int, averages: int, cells: Addresses | None) -> list[Buffer]:
        self.fits(verbs.Codes.length(verbs.count(cells, self.size), averages))
        sums, clipped = self._hal.read(code, self.cells(cells), averages)
        return verbs.Codes(sums, clipped).pack(averages)

    def _pulse(self, p: verbs.Pulse) -> list[Buffer]:
        if p.averages:  # refuse the read before the pulse is given
            self.fits(verbs.Codes.length(p.codes.size, p.averages))
            self._hal.check_read(p.code, p.averages)
        cells = self.cells(p.cells)
        self._hal.pulse(cells, p.codes, p.ticks, p.counts)
        return self._read(p.code, p.averages, p.cells) if p.averages else []

    def _vmm(self, vmm: products.Vmm) -> list[Buffer]:
        check_vmm(vmm.codes.shape, vmm.window, vmm.unfold, vmm.transposed, self._hal.info)
        tiles, vectors, outputs = vmm.answer_shape
        self.fits(tiles * vectors * outputs)
        # a copy: hardware interfaces, and compiled code, want arrays that may be written
        codes = vmm.codes.copy()
        return [self._hal.convert(codes, vmm.window, vmm.unfold, vmm.transposed)]

    def _pairs(self, payload: memoryview, flags: int) -> list[Buffer]:
        # a network asks for the same again and again: what begins alike is compared, not read
        key = flags, len(payload), bytes(payload[:BEGINNING])
        found = self._layouts.get(key)
        if found is None or payload[: len(found.head)] != found.head:
            found = self._layout(payload, flags)
            if len(self._layouts) >= LAYOUTS_MAX:
                self._layouts.clear()
            self._layouts[key] = found
        self.fits(found.length)
        # a copy: hardware interfaces, and compiled code, want arrays that may be written
        codes = np.array(payload[len(found.head) :], np.uint8).reshape(found.shape)
        return products.pack_pairs(*self._hal.convert_pairs(codes, found.parts, found.unfold))

    def _layout(self, payload: memoryview, flags: int) -> _Layout:
        p, info, parts = products.Pairs.unpack(payload, flags), self._hal.info, []
        for w, wanted in zip(p.windows, p.wanted, strict=True):
            check_vmm(p.codes.shape, w, p.unfold, False, info)
            parts.append(Part(w, self._weights[list(w.tiles), slice(*w.cols)], wanted))
        head = bytes(payload[: len(payload) - p.codes.size])
        length = products.pairs_length(math.prod(p.answer_shape), p.tiles)
        return _Layout(head, parts, p.unfold, p.codes.shape, length)

    def _counters(self, payload: memoryview) -> list[Buffer]:
        reader = Reader(payload)
        cells = reader.cells(self.size)
        reader.end()
        self.fits(4 * verbs.count(cells, self.size))
        counts = self._hal.counts
        return [(counts if cells is None else counts[cells]).astype("<u4")]


def check_flags(verb: int, flags: int) -> None:
    """Refuse flags that a verb does not have."""
    if flags & ~_FLAGS.get(verb, 0):
        raise BoardError(Status.VERB, f"flags 0x{flags:02x} of verb 0x{verb:02x}")


def _tightened(now: Limits, wanted: Limits) -> Limits:
    pairs = [
        (wanted.v_set, now.v_set),
        (wanted.v_reset, now.v_reset),
        (wanted.v_read, now.v_read),
        (now.width_min, wanted.width_min),
        (wanted.width_max, now.width_max),
        (wanted.count_max, now.count_max),
    ]
    if not all(tight <= loose for tight, loose in pairs):
        raise LimitError("limits may only become tighter")
    return wanted
