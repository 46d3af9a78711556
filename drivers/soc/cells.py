"""Requests that act on single cells, in parts that fit a frame each, and what answers them.

The parts of one selection are the same whenever they are asked for, so answers are put together
without a note of what was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import Addresses, Floats, JobResult, Mask
from cimlab.drivers.soc.link import HEAD, BoardLink, Request
from cimlab.wire import scaling, verbs
from cimlab.wire.fields import selection
from cimlab.wire.frames import Verb

# the most bytes a cell takes in a request or an answer
_PULSE_BYTES, _JOB_BYTES, _COUNTER_BYTES = 8, 13, 4


class CellRequests:
    """Requests to one board; cells are rising addresses, or None for all of them.

    Args:
        link: To the board.
    """

    def __init__(self, link: BoardLink) -> None:
        info = link.info
        self._link = link
        self._shape = (info.tiles, info.rows, info.cols)
        self._size = info.tiles * info.rows * info.cols
        self._v_pulse, self._tick = info.v_pulse, info.tick
        self._top = (1 << info.adc_bits) - 1

    def reads(self, code: int, cells: Addresses | None, averages: int) -> Iterator[Request]:
        """Read with a DAC code; answered by `sums`."""
        for part, _ in self._parts(cells, _PULSE_BYTES):
            yield Request(Verb.READ, verbs.Read(code, averages, part).pack(self._size))

    def pulses(
        self,
        v: ArrayLike,
        width: float,
        count: ArrayLike,
        cells: Addresses | None,
        averages: int = 0,
        code: int = 0,
    ) -> Iterator[Request]:
        """Pulse, then with averages read with a DAC code; that is answered by `sums`."""
        shape = self._shape if cells is None else cells.shape
        codes = np.broadcast_to(scaling.pulse_codes(v, self._v_pulse), shape).reshape(-1)
        counts = np.broadcast_to(scaling.pulse_counts(count), shape).reshape(-1)
        ticks = scaling.ticks(width, self._tick)
        for part, span in self._parts(cells, _PULSE_BYTES):
            pulse = verbs.Pulse(ticks, codes[span], counts[span], part, averages, code)
            yield Request(Verb.PULSE, pulse.pack(self._size))

    def jobs(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> Iterator[Request]:
        """Run a job, target (n,) A; answered by `result`."""
        targets = np.asarray(target, np.float32)
        for part, span in self._parts(cells, _JOB_BYTES):
            yield Request(Verb.JOB, verbs.Job(name, settings, part, targets[span]).pack(self._size))

    def counters(self) -> Iterator[Request]:
        """Ask for the pulses of every cell."""
        for part, _ in self._parts(None, _COUNTER_BYTES):
            yield Request(Verb.COUNTERS, selection(part, self._size))

    def sums(
        self, answers: Iterator[memoryview], cells: Addresses | None, averages: int
    ) -> tuple[NDArray[np.uint16], Mask]:
        """Sums of ADC codes (n,), and which cells clipped, from all answers that are left."""
        n = verbs.count(cells, self._size)
        sums, clipped = np.empty(n, np.uint16), np.empty(n, np.bool_)
        for (_, span), answer in zip(self._parts(cells, _PULSE_BYTES), answers, strict=True):
            part = verbs.Codes.unpack(answer, span.stop - span.start, averages, self._top)
            sums[span], clipped[span] = part.sums, part.clipped
        return sums, clipped

    def result(self, answers: Iterator[memoryview], cells: Addresses) -> JobResult:
        """What jobs did, from as many answers as they have parts."""
        spans = [span for _, span in self._parts(cells, _JOB_BYTES)]
        return JobResult.joined(
            [verbs.unpack_result(next(answers), span.stop - span.start) for span in spans]
        )

    def _parts(
        self, cells: Addresses | None, cell_bytes: int
    ) -> Iterator[tuple[Addresses | None, slice]]:
        """Pieces of a selection that fit a frame each: the cells, and where they stand in it."""
        n = verbs.count(cells, self._size)
        most = max(1, (self._link.payload_max - HEAD) // cell_bytes)
        if n <= most:
            yield cells, slice(0, n)
            return
        every = np.arange(n) if cells is None else cells
        for start in range(0, n, most):
            span = slice(start, min(start + most, n))
            yield every[span], span
