"""The link: bytes of a training step, how busy a slow line is, transactions of programming."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import numpy as np
import torch
from harness import Row

from cimlab.core.array import CimArray
from cimlab.core.guard import Guarded
from cimlab.core.station import MockBoard, TcpBoard, load_station
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import TcpStream
from cimlab.emulated import EmulatedHardware
from cimlab.mock_hw.serial_line import SerialLine
from cimlab.nn.cost import cost
from cimlab.protocols import WriteVerify, program
from cimlab.rig import open_array
from cimlab.training.data import load_mnist
from cimlab.training.events import StepDone
from cimlab.training.lenet import LeNet
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe

BATCH, BAUD = 64, 3_000_000
CELL_BYTES = 3
"""The least a pulse needs: 13 bits of address and 8 bits of amplitude, whole bytes."""


def steps(array: CimArray) -> Generator[StepDone, None, None]:
    """Steps of a training on an array."""
    training = Training(Recipe(batch_size=BATCH, batches=100_000), array, load_mnist())
    return (event for event in training.events() if isinstance(event, StepDone))


def step_bytes(quick: bool) -> Iterator[Row]:
    """Bytes of a LeNet step against each map, each pair's difference and each pulse once."""
    with open_array("mock:") as array:
        spec = array.spec
        run = steps(array)
        for _ in range(20):
            next(run)
        before, pulses, n = array.link, 0, 10 if quick else 100
        for _ in range(n):
            pulses += next(run).update.pulses
        after = array.link
        run.close()
    assert before is not None  # noqa: S101 - a board has a link
    assert after is not None  # noqa: S101
    sent = (after.bytes_out - before.bytes_out) / n
    got = (after.bytes_in - before.bytes_in) / n
    layers = cost(LeNet(torch.Generator()), (1, 28, 28), spec).layers
    least = BATCH * sum(layer.inputs + layer.vectors * layer.columns // 2 for layer in layers)
    least += CELL_BYTES * pulses / n
    detail: dict[str, object] = {"out": sent, "in": got, "least": least, "pulses": pulses / n}
    yield Row("bytes of a LeNet step / the least", (sent + got) / least, 1.2, 1.05, detail=detail)


def busy(quick: bool) -> Iterator[Row]:
    """Share of the time that an emulated serial line carries bytes while LeNet trains over it."""
    mock = load_station("mock:").connection
    assert isinstance(mock, MockBoard)  # noqa: S101
    process = EmulatedHardware(mock)
    lines = []

    def connect() -> SerialLine:
        board = process.connection
        assert isinstance(board, TcpBoard)  # noqa: S101
        lines.append(SerialLine(TcpStream.connect(board.host, board.port), BAUD))
        return lines[-1]

    with ExitStack() as stack:
        stack.callback(process.stop)
        soc = SocArray(connect)
        with Guarded(soc, soc.spec.limits) as array:
            run = steps(array)
            for _ in range(2):
                next(run)
            start, before = time.perf_counter(), lines[-1].busy
            n = 3 if quick else 12
            for _ in range(n):
                next(run)
            seconds = time.perf_counter() - start
            carried = lines[-1].busy - before
            run.close()
            retries = soc.statistics.retries
    detail: dict[str, object] = {
        "seconds_a_step": seconds / n,
        "busy_a_step": carried / n,
        "retries": retries,
        "streams": len(lines),
    }
    yield Row(
        "busy share of a 3 Mbaud line, training",
        carried / seconds,
        0.95,
        0.99,
        least=True,
        detail=detail,
    )


def transactions(quick: bool) -> Iterator[Row]:
    """Write-verify of a whole chip of 4 tiles: requests over the link."""
    for place, must in (("never", 2), ("auto", 2)):
        with open_array("mock:?tiles=4") as array:
            plan = WriteVerify(on_board=place)
            target = np.random.default_rng(0).uniform(0.82e-6, 3.29e-6, array.spec.size)
            assert array.link is not None  # noqa: S101
            before = array.link.requests
            done = program(array, plan, np.arange(array.spec.size), target)
            used = array.link.requests - before
        if place == "never":
            yield Row(
                "write-verify of 4 tiles, requests - rounds", used - done.rounds, must, unit=""
            )
        else:
            yield Row("write-verify of 4 tiles as a job, requests", used, must, unit="")
