"""The same seed gives the same bits, whatever lies between the script and the chip."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from cimlab.board.hal_array import HalArray
from cimlab.board.service import BoardService
from cimlab.core.array import CimArray, PairSum, Unfold, Window
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.protocols import Ispp, WriteVerify, program, program_and_read
from cimlab.rig import open_array
from cimlab.wire.frames import Buffer
from cimlab.wire.messages import Info
from tests.conformance.conftest import CHIP, SIZE, OneByteStream, lossy, over_memory


def pair_sums(
    rng: np.random.Generator,
) -> list[tuple[PairSum, tuple[int, ...], Unfold | None]]:
    """Windows of vectors and of maps, with outputs in another order and a pair left out."""
    targets = np.array([[2, -1, 0, 1]])
    numbers = [rng.normal(size=n).astype(np.float32) for n in (8, 1, 3)]
    rest = (numbers[0][None], 1e6 * numbers[1], targets, numbers[2])
    plain = PairSum(Window((0,), (2, 20), (2, 10)), *rest)
    unfold = Unfold((3, 3), (2, 1), (1, 0))
    return [(plain, (9, 18), None), (plain, (3, 18), None), (plain, (4, 2, 6, 7), unfold)]


def scenario(array: CimArray) -> list[NDArray[np.generic]]:
    """A bit of everything; all results."""
    rng = np.random.default_rng(0)
    cells = np.flatnonzero(rng.random(array.spec.size) < 0.2)
    target = rng.uniform(1e-6, 3e-6, cells.size)
    found: list[NDArray[np.generic]] = [array.read(0.1).current]
    v, count = rng.uniform(-2.5, 2.5, array.spec.shape), rng.integers(0, 3, array.spec.shape)
    array.pulse(v, 1e-6, count)
    for plan in (WriteVerify(), Ispp()):
        result = program(array, plan, cells, target)
        found += [result.current, result.pulses, result.converged]
    result, reading = program_and_read(array, Ispp(), cells, target[::-1].copy(), 0.1, 3)
    found += [result.current, result.pulses, reading.current]
    v = rng.random((array.spec.tiles, 33, array.spec.rows)).astype(np.float32) * 0.1
    found.append(array.vmm(v).current)
    maps = rng.random((5, 2, 6, 6)).astype(np.float32) * 0.1
    found.append(array.vmm_unfolded(maps, Unfold((3, 3)), Window((0,), (2, 20), (3, 9))).current)
    array.clock.sleep(86400.0)
    found.append(array.vmm_transposed(v[:, :, : array.spec.cols].copy()).current)
    for part, inputs, unfold in pair_sums(rng):
        signed = rng.normal(size=inputs).astype(np.float32)
        other = dataclasses.replace(part, weights=-part.weights)
        for volts, second in ((0.05, part), (-0.02, part), (0.05, other)):
            sums = array.vmm_pairs(signed, volts, [part, second], unfold)
            found += [sums.values, sums.clipped]
    found += [array.read(0.1, cells, averages=7).current, array.counters()]
    return found


@pytest.fixture(scope="module")
def expected() -> list[NDArray[np.generic]]:
    with open_array(f"model:?{SIZE}") as array:
        return scenario(array)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, OneByteStream, lossy()], ids=["plain", "bytes", "lossy"]
)
def test_over_the_link(wrap, expected):
    """Host loops there, on-board jobs here: both are the same protocol code."""
    with over_memory(wrap) as array:
        assert "job:write_verify" in array.spec.capabilities
        for one, other in zip(scenario(array), expected, strict=True):
            np.testing.assert_array_equal(one, other)


class OldBoard(BoardService):
    """A board whose firmware cannot subtract."""

    def info(self, next_seq: int) -> list[Buffer]:
        info = Info.unpack(memoryview(b"".join(bytes(part) for part in super().info(next_seq))))
        return dataclasses.replace(info, capabilities=info.capabilities - {"pairs"}).pack()


def test_boards_that_cannot_subtract(expected, monkeypatch):
    monkeypatch.setattr("cimlab.mock_hw.board.BoardService", OldBoard)
    with over_memory(lambda s: s) as array:
        assert "pairs" not in array.spec.capabilities
        for one, other in zip(scenario(array), expected, strict=True):
            np.testing.assert_array_equal(one, other)


class PlainHal:
    """The six verbs of the simulated chip, and no more."""

    def __init__(self, hal: SimulatedHal) -> None:
        self.info = dataclasses.replace(hal.info, capabilities=frozenset({"unfold"}))
        for verb in ("configure", "gate", "convert", "read", "pulse", "ground"):
            setattr(self, verb, getattr(hal, verb))


@pytest.mark.parametrize("unfolds", [True, False])
def test_hardware_with_six_verbs_gives_the_same_pairs(unfolds):
    one, other = (
        SimulatedHal(CHIP.device, CHIP.tiles, CHIP.rows, CHIP.cols, CHIP.seed) for _ in range(2)
    )
    plain = PlainHal(other)
    if not unfolds:
        plain.info = dataclasses.replace(plain.info, capabilities=frozenset())
    arrays = HalArray(one), HalArray(plain)
    rng = np.random.default_rng(0)
    for part, inputs, unfold in pair_sums(rng):
        x = rng.normal(size=inputs).astype(np.float32)
        a, b = (array.vmm_pairs(x, 0.05, [part, part], unfold) for array in arrays)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.clipped, b.clipped)


def test_in_another_process(expected):
    with open_array(f"mock:?{SIZE}") as array:
        for one, other in zip(scenario(array), expected, strict=True):
            np.testing.assert_array_equal(one, other)
