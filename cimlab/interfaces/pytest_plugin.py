"""Fixtures for laboratories' own tests: an emulated board and an emulated bench, opened.

pytest finds them where cimlab is installed::

    def test_my_protocol(cimlab_board):
        assert cimlab_board.read(0.1).g.shape == (1, 16, 16)

Another station, or the real one, by indirect parameters::

    @pytest.mark.parametrize("cimlab_board", ["tcp://192.168.1.20:5000"], indirect=True)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cimlab.rig import StationArray

BOARD = "mock:?tiles=1&rows=16&cols=16"
BENCH = "bench:?dut=crossbar:4x4:brram"


@pytest.fixture
def cimlab_board(request: pytest.FixtureRequest) -> Iterator[StationArray]:
    """A small board behind a real link, in a process of its own; same seed, same chip."""
    yield from _opened(getattr(request, "param", BOARD))


@pytest.fixture
def cimlab_bench(request: pytest.FixtureRequest) -> Iterator[StationArray]:
    """Emulated SMU, pulse generator and switch matrix on a crossbar of 4 x 4 cells."""
    yield from _opened(getattr(request, "param", BENCH))


def _opened(station: str) -> Iterator[StationArray]:
    # not loaded by every run of pytest
    import cimlab

    with cimlab.open(station) as array:
        yield array
