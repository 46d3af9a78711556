"""Without a wire, over the link, or beside the chip: the same protocol, the same bits."""

import contextlib
import itertools

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.clock import VirtualClock
from cimlab.core.errors import BoardError
from cimlab.drivers.soc import SocArray
from cimlab.mock_hw.board import Chip, emulated_board
from cimlab.mock_hw.devices import device
from cimlab.protocols import JOBS, Ispp, WriteVerify, program
from tests.board.hostile import BoardStream, Faults

CHIP = Chip(device("brram"), tiles=2, rows=24, cols=20, seed=7)
CELLS = np.arange(0, 960, 3)
TARGET = np.random.default_rng(0).uniform(0.9e-6, 3.2e-6, CELLS.size)
PLANS = (WriteVerify(), WriteVerify.characterisation(), Ispp(), Ispp.precise())


@contextlib.contextmanager
def board(faults=None):
    """The host's array over an emulated board, in virtual time."""
    clock, seeds = VirtualClock(), itertools.count()
    with (
        emulated_board(CHIP, JOBS) as service,
        SocArray(
            lambda: BoardStream(service, clock, faults, next(seeds)), timeout=1e6, clock=clock
        ) as array,
    ):
        yield array


@pytest.mark.parametrize("faults", [None, Faults(drop=0.03, corrupt=0.03, duplicate=0.03)])
@pytest.mark.parametrize("place", ["auto", "never"])
@pytest.mark.parametrize("plan", PLANS)
def test_the_wire_and_the_place_change_nothing(plan, place, faults):
    model = HalArray(CHIP.hal())
    here = program(model, plan, CELLS, TARGET)
    with board(faults) as array:
        there = program(array, plan.model_copy(update={"on_board": place}), CELLS, TARGET)
        assert there.place == ("board" if place == "auto" else "host")
        assert np.array_equal(array.read(0.1).current, model.read(0.1).current)
        counted = array.counters().ravel()[CELLS]
    assert np.array_equal(counted, here.pulses)
    assert np.array_equal(there.pulses, here.pulses)
    assert np.array_equal(there.converged, here.converged)
    assert there.rounds == here.rounds
    # results travel in single precision
    assert there.current == pytest.approx(here.current, rel=1e-6)


@pytest.mark.parametrize("plan", PLANS)
def test_requests_are_rounds_and_a_constant_or_a_constant(plan):
    with board() as array:
        before = array.statistics.requests
        rounds = program(array, plan, CELLS, TARGET).rounds
        job = array.statistics.requests - before
        host = plan.model_copy(update={"on_board": "never"})
        again = program(array, host, CELLS, TARGET).rounds
        loop = array.statistics.requests - before - job
    assert rounds > 5
    assert job == 1
    assert loop == again + plan.reset_first


def test_the_board_refuses_settings_that_are_no_plan():
    with board() as array:
        wrong = WriteVerify().settings() | {"tol": -1.0}
        with pytest.raises(BoardError, match="tol"):
            array.run_job("write_verify", wrong, CELLS, TARGET)
        with pytest.raises(BoardError):
            array.run_job("ispp", Ispp(set_stop=3.4).settings(), CELLS, TARGET)
        assert not array.counters().any()
