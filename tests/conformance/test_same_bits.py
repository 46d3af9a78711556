"""The same seed gives the same bits, whatever lies between the script and the chip."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cimlab.core.array import CimArray, Unfold, Window
from cimlab.protocols import Ispp, WriteVerify, program
from cimlab.rig import open_array
from tests.conformance.conftest import SIZE, OneByteStream, lossy, over_memory


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
    v = rng.random((array.spec.tiles, 33, array.spec.rows)).astype(np.float32) * 0.1
    found.append(array.vmm(v).current)
    maps = rng.random((5, 2, 6, 6)).astype(np.float32) * 0.1
    found.append(array.vmm_unfolded(maps, Unfold((3, 3)), Window((0,), (2, 20), (3, 9))).current)
    array.clock.sleep(86400.0)
    found.append(array.vmm_transposed(v[:, :, : array.spec.cols].copy()).current)
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


def test_in_another_process(expected):
    with open_array(f"mock:?{SIZE}") as array:
        for one, other in zip(scenario(array), expected, strict=True):
            np.testing.assert_array_equal(one, other)
