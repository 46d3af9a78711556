"""The SoC board as a CimArray: volts in, codes over the link, amperes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    JobResult,
    Limits,
    PairProduct,
    PairSum,
    Product,
    Reading,
    Unfold,
    Window,
)
from cimlab.core.clock import Clock, RestingClock
from cimlab.core.pairs import Part
from cimlab.core.stream import Stream
from cimlab.drivers.soc.cells import CellRequests
from cimlab.drivers.soc.layers import Layers, spans
from cimlab.drivers.soc.link import BoardLink, Request
from cimlab.wire import products, scaling, verbs
from cimlab.wire.frames import Verb
from cimlab.wire.messages import Configure
from cimlab.wire.statistics import LinkStatistics


class SocArray(ArrayBase):
    """CimArray over the board link (docs/wire.md); for one thread.

    Requests that do not fit a frame are cut, along cells or vectors, and are under way together.
    A cut changes no result: what is random depends on cells and vectors, not on frames.

    Args:
        open_stream: Opens a stream to the board; called again when the stream breaks.
        token: What the board wants to be told.
        timeout: Give up when the board has answered nothing for so long, s; longer than its slowest
            single request takes (a job may take as long as it likes).
        clock: Tells the time; tests bring their own.
        bulk: The streams lose nothing (TCP), so that long payloads need no stuffing.

    Raises:
        LinkError: Nobody answers there.
        BoardError: The board is busy with another host, or wants another token.
    """

    checks_inputs = True

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        token: str = "",
        timeout: float = 10.0,
        clock: Clock | None = None,
        bulk: bool = False,
    ) -> None:
        self._link = BoardLink(open_stream, token, timeout, clock, bulk)
        info = self._link.info
        self._converters = info.converters
        self._spec = ArraySpec(
            tiles=info.tiles,
            rows=info.rows,
            cols=info.cols,
            dac_bits=info.dac_bits,
            adc_bits=info.adc_bits,
            limits=info.limits,
            vmm="analog",
            origin=info.origin,
            identity=info.identity,
            capabilities=info.capabilities - {"bulk"},  # the link's own
        )
        self._cells = CellRequests(self._link)
        self._layers = Layers(self._link, self._spec)
        if "rest" in info.capabilities:
            self._clock = RestingClock(self._rest)

    @property
    def spec(self) -> ArraySpec:
        """What the board said it is."""
        return self._spec

    @property
    def converters(self) -> Converters:
        """The settings in force."""
        return self._converters

    @property
    def statistics(self) -> LinkStatistics:
        """What went over the link so far, as a copy."""
        return self._link.statistics

    def configure(self, converters: Converters, limits: Limits | None = None) -> None:
        """Apply converter settings; with limits the board refuses more until the session ends."""
        request = Configure(converters, limits)
        self._link.ask(Request(Verb.CONFIGURE, request.pack(), request.flags))
        self._converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        """Read single cells; the voltage is rounded to the DAC's code and reported as applied."""
        code = self._read_code(v)
        answers = self._link.exchange(self._cells.reads(code, cells, averages))
        return self._reading(answers, code, cells, averages)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        """Apply pulses; cells whose amplitude or count is zero are left alone."""
        for _ in self._link.exchange(self._cells.pulses(v, width, count, cells)):
            pass

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        """Pulse the cells, then read them all, in one request."""
        code = self._read_code(v_read)
        answers = self._link.exchange(self._cells.pulses(v, width, count, cells, averages, code))
        return self._reading(answers, code, cells, averages)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        """Multiply vectors of voltages by the window's conductances."""
        return self._multiply(v, window or Window.whole(self._spec))

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """Multiply an unfolded feature map; the board does the unfolding."""
        if "unfold" not in self._spec.capabilities:
            return super().vmm_unfolded(v, unfold, window)
        return self._multiply(v, window, unfold)

    def vmm_pairs(
        self, x: Floats, volts: float, sums: Sequence[PairSum], unfold: Unfold | None = None
    ) -> PairProduct:
        """Multiply and subtract on the board, add up the tiles here."""
        settings, spec = self._converters, self._spec
        if spec.capabilities >= ({"pairs"} if unfold is None else {"pairs", "unfold"}):
            product = self._layers.multiply(x, volts, sums, unfold, settings)
            if product is not None:
                return product
        return scaling.pair_product(x, volts, sums, unfold, settings, spec, self._convert_pairs)

    def vmm_transposed(self, v: Floats, window: Window | None = None) -> Product:
        """Drive the window's columns, read its rows."""
        if "transpose" not in self._spec.capabilities:
            return super().vmm_transposed(v, window)
        return self._multiply(v, window or Window.whole(self._spec), transposed=True)

    def counters(self) -> NDArray[np.uint32]:
        """Pulses each cell has received, as the board counted."""
        answers = self._link.exchange(self._cells.counters())
        counts = np.concatenate([np.frombuffer(answer, "<u4") for answer in answers])
        return counts.astype(np.uint32).reshape(self._spec.shape)

    def run_job(
        self, name: str, settings: Mapping[str, float], cells: Addresses, target: Floats
    ) -> JobResult:
        """Run a programming protocol beside the chip."""
        if f"job:{name}" not in self._spec.capabilities:
            return super().run_job(name, settings, cells, target)
        requests = self._cells.jobs(name, settings, cells, target)
        return self._cells.result(self._link.exchange(requests), cells)

    def run_job_and_read(
        self,
        name: str,
        settings: Mapping[str, float],
        cells: Addresses,
        target: Floats,
        v_read: float,
        averages: int = 1,
    ) -> tuple[JobResult, Reading]:
        """Run a programming protocol beside the chip; the reads are under way meanwhile."""
        if f"job:{name}" not in self._spec.capabilities:
            return super().run_job_and_read(name, settings, cells, target, v_read, averages)
        code = self._read_code(v_read)
        jobs = self._cells.jobs(name, settings, cells, target)
        answers = self._link.exchange(chain(jobs, self._cells.reads(code, cells, averages)))
        result = self._cells.result(answers, cells)
        return result, self._reading(answers, code, cells, averages)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Done while the board works on the next request."""
        self._link.meanwhile(work)

    def ground(self) -> None:
        """Put every line at 0 V, now; a job that runs is aborted."""
        self._link.ground()

    def close(self) -> None:
        """Ground, say goodbye and release the stream; a second call does nothing."""
        self._link.close()

    def _rest(self, seconds: float) -> None:
        self._link.ask(Request(Verb.REST, verbs.pack_rest(seconds)))

    def _read_code(self, v: float) -> int:
        return scaling.dac_code(v, self._converters.v_read, self._spec.dac_bits)

    def _reading(
        self,
        answers: Iterator[memoryview],
        code: int,
        cells: Addresses | None,
        averages: int,
    ) -> Reading:
        """From the rest of the answers."""
        settings, spec = self._converters, self._spec
        sums, clipped = self._cells.sums(answers, cells, averages)
        current = scaling.cell_currents(sums, settings.i_read, averages, spec.adc_bits)
        applied = scaling.dac_volts(code, settings.v_read, spec.dac_bits)
        shape = spec.shape if cells is None else sums.shape
        return Reading(current.reshape(shape), applied, clipped.reshape(shape), cells)

    def _multiply(
        self, v: Floats, window: Window, unfold: Unfold | None = None, transposed: bool = False
    ) -> Product:
        settings, spec = self._converters, self._spec
        codes = scaling.dac_codes(v, settings.v_read, spec.dac_bits)
        out = self._convert(codes, window, unfold, transposed)
        return scaling.product(out, settings, window, spec.adc_bits)

    def _convert(
        self,
        codes: NDArray[np.uint8],
        window: Window,
        unfold: Unfold | None,
        transposed: bool = False,
    ) -> NDArray[np.uint8]:
        whole = products.Vmm(window, codes, unfold, transposed)
        axis = 1 if unfold is None else 0
        batch = codes.shape[axis]
        tiles, vectors, outputs = whole.answer_shape
        out = np.empty((tiles, vectors, outputs), np.uint8)
        parts = spans(self._link, self._spec, batch, codes.size, out.size)

        def requests() -> Iterator[Request]:
            for part in parts:
                piece = codes[:, part] if unfold is None else codes[part]
                vmm = products.Vmm(window, piece, unfold, transposed)
                yield Request(Verb.VMM, vmm.pack(), vmm.flags)

        each = vectors // batch if batch else 0
        for part, answer in zip(parts, self._link.exchange(requests()), strict=True):
            piece = np.frombuffer(answer, np.uint8)
            out[:, part.start * each : part.stop * each] = piece.reshape(tiles, -1, outputs)
        return out

    def _convert_pairs(
        self, codes: NDArray[np.uint8], parts: Sequence[Part], unfold: Unfold | None
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """See `board.hal.PairHal`; boards that cannot subtract send every column."""
        if "pairs" in self._spec.capabilities:
            return self._layers.convert(codes, parts, unfold)
        return scaling.pairs_by_columns(codes, parts, unfold, self._spec.adc_bits, self._convert)
