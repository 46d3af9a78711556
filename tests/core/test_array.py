"""The seam's data: windows, unfolding, readings, and what an array without a verb says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core import errors
from cimlab.core.array import ArrayBase, Reading, Unfold, Window
from cimlab.core.errors import BoardError, CapabilityError, CimError, InstrumentError
from tests.core.recorder import SPEC


def test_sizes():
    assert SPEC.shape == (2, 4, 4)
    assert SPEC.size == 32
    whole = Window.whole(SPEC)
    assert (whole.tiles, whole.n_rows, whole.n_cols) == ((0, 1), 4, 4)
    part = Window((1,), (1, 4), (2, 4))
    assert (part.n_rows, part.n_cols) == (3, 2)


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_an_unfolded_map_has_a_vector_for_every_place_the_kernel_fits(
    size, kernel, stride, padding, dilation
):
    unfold = Unfold(kernel, stride, padding, dilation)
    counted = []
    for i in (0, 1):
        last = size[i] + 2 * padding[i] - (1 + dilation[i] * (kernel[i] - 1))
        counted.append(len(range(0, last + 1, stride[i])))
    if min(counted) > 0:  # else the kernel does not fit at all
        assert unfold.output(*size) == tuple(counted)


def test_a_reading_keeps_what_was_measured_and_gives_conductance():
    current = np.array([1e-6, 3e-6])
    reading = Reading(current, 0.1, np.zeros(2, bool), cells=np.array([3, 31]))
    np.testing.assert_allclose(reading.g, [10e-6, 30e-6])
    full = reading.as_map(SPEC)
    assert full.shape == SPEC.shape
    assert (full[0, 0, 3], full[1, 3, 3]) == (1e-6, 3e-6)
    assert np.isnan(full).sum() == SPEC.size - 2


def test_a_reading_of_all_cells_is_its_own_map():
    current = np.ones(SPEC.shape)
    assert Reading(current, 0.1, np.zeros(SPEC.shape, bool)).as_map(SPEC) is current


@pytest.mark.parametrize(
    ("verb", "arguments", "capability"),
    [
        ("vmm_unfolded", (np.zeros((1, 1, 4, 4)), Unfold((2, 2)), Window.whole(SPEC)), "unfold"),
        ("vmm_transposed", (np.zeros((2, 1, 4)),), "transpose"),
        ("counters", (), "counters"),
        ("run_job", ("anneal", {}, np.array([0]), np.array([1e-6])), "job:anneal"),
    ],
)
def test_a_verb_an_array_lacks_is_refused_by_the_name_of_its_capability(
    verb, arguments, capability
):
    with ArrayBase() as array, pytest.raises(CapabilityError, match=f"'{capability}'"):
        getattr(array, verb)(*arguments)


def test_every_error_raised_on_purpose_has_one_base():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) > 8
    assert all(issubclass(kind, CimError) for kind in kinds)


def test_errors_of_the_board_and_of_instruments_carry_what_was_said():
    board = BoardError(4, "beyond the limits")
    assert (board.code, str(board)) == (4, "board refused (status 4): beyond the limits")
    instrument = InstrumentError(":SOUR:VOLT 9", "-222, data out of range")
    assert (instrument.query, instrument.reply) == (":SOUR:VOLT 9", "-222, data out of range")
