"""A wear budget and bad cells: refused before a pulse, exact to the last one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimlab.core.errors import CapabilityError, LimitError
from cimlab.core.guard import Guarded
from cimlab.core.tap import Ledger, Tapped
from cimlab.core.wear import Wear
from tests.core.recorder import LIMITS, SPEC, Recorder

BUDGET = 40


def worn(usable=None, start=None):
    inner = Recorder()
    ledger = Ledger(SPEC, start)
    wear = Wear(SPEC, lambda: ledger.pulses, BUDGET, usable)
    return Guarded(Tapped(inner, ledger), LIMITS, wear), ledger, inner


cells = st.lists(st.integers(0, SPEC.size - 1), min_size=1, unique=True).map(
    lambda cells: np.array(sorted(cells), np.int64)
)
verbs = st.tuples(
    st.sampled_from(["pulse", "pulse_and_read", "train", "sweep", "all"]), cells, st.integers(0, 15)
)


def do(array, verb, where, count):
    """A verb, and how many pulses it gives to each cell."""
    if verb == "all":
        array.pulse(1.0, 1e-6, count)
        return np.full(SPEC.size, count)
    if verb == "pulse":
        v = np.where(where % 3 == 0, 0.0, 1.0)  # a cell with 0 V gets none
        array.pulse(v, 1e-6, count, where)
        count = np.where(v != 0, count, 0)
    elif verb == "pulse_and_read":
        array.pulse_and_read(-1.0, 1e-6, 0.1, where, count)
    elif verb == "train":
        array.train(np.full(count, 1.0), 1e-6, 0.1, where)
    else:
        array.sweep(np.r_[np.full(count, 1.0), 0.1], 1e-4, 1e-3, where)
    given_ = np.zeros(SPEC.size, np.int64)
    given_[where] = count
    return given_


@settings(max_examples=200, deadline=None)
@given(st.lists(verbs, max_size=30))
def test_no_history_passes_the_budget_and_nothing_within_is_refused(history):
    array, ledger, inner = worn()
    had = np.zeros(SPEC.size, np.int64)
    for verb, where, count in history:
        calls = len(inner.calls)
        given_now = do(Guarded(Recorder(), LIMITS), verb, where, count)
        if ((had + given_now > BUDGET) & (given_now > 0)).any():
            with pytest.raises(LimitError, match="pulses_max"):
                do(array, verb, where, count)
            assert len(inner.calls) == calls
        else:
            had += do(array, verb, where, count)
        assert (ledger.pulses.ravel() == had).all()
    assert had.max() <= BUDGET


def test_the_message_names_cell_count_and_budget():
    start = np.zeros(SPEC.shape, np.uint32)
    start[1, 2, 3] = 38
    array, _, inner = worn(start=start)
    with pytest.raises(LimitError, match=r"cell 27 \(tile 1, row 2, column 3\) has had 38 pulses"):
        array.pulse(1.0, 1e-6, 3)
    assert inner.calls == []
    array.pulse(1.0, 1e-6, 2)


def test_bad_cells_get_no_pulse_and_may_be_read():
    usable = np.ones(SPEC.shape, np.bool_)
    usable[0, 1, 1] = False
    array, _, inner = worn(usable)
    with pytest.raises(LimitError, match="cell 5 .* marked bad"):
        array.pulse(1.0, 1e-6)
    assert inner.calls == []
    v = np.ones(SPEC.shape)
    v[0, 1, 1] = 0.0
    array.pulse(v, 1e-6)
    array.read(0.1)


def test_jobs_run_on_the_host_where_there_is_a_budget():
    """Nobody knows beforehand how many pulses a job takes."""
    array, _, inner = worn()
    assert "job:write_verify" not in array.spec.capabilities
    assert "job:write_verify" in Guarded(inner, LIMITS).spec.capabilities
    with pytest.raises(CapabilityError):
        array.run_job("write_verify", {}, np.array([1]), np.array([1e-6]))
