"""An array made of arrays is the array of all their tiles."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.array import PairSum, Unfold, Window
from cimlab.core.errors import ConfigError, LinkTimeout
from cimlab.core.joined import JoinedArray
from cimlab.core.station import JoinedBoards, load_station
from cimlab.rig import open_array
from tests.nn.ideal import IdealArray

ROWS, COLS = 12, 8


def joined_and_one(tiles: list[int], unfold: bool = True) -> tuple[JoinedArray, IdealArray]:
    """The same cells twice: over several arrays, and in one."""
    members = [IdealArray(n, ROWS, COLS, unfold, seed=k) for k, n in enumerate(tiles)]
    one = IdealArray(sum(tiles), ROWS, COLS, unfold)
    one.current[:] = np.concatenate([member.current for member in members])
    return JoinedArray(members), one


@st.composite
def windows(draw: st.DrawFn, tiles: int) -> Window:
    chosen = draw(st.permutations(range(tiles)))[: draw(st.integers(1, tiles))]
    row, col = draw(st.integers(0, ROWS - 4)), 2 * draw(st.integers(0, COLS // 2 - 1))
    return Window(tuple(chosen), (row, row + 4), (col, draw(st.integers(col // 2 + 1, 4)) * 2))


SPLITS = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(SPLITS, st.data())
def test_products_are_those_of_one_array(tiles: list[int], data: st.DataObject) -> None:
    joined, one = joined_and_one(tiles)
    with joined:
        window = data.draw(windows(one.spec.tiles))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        v = rng.random((len(window.tiles), 3, 4)).astype(np.float32) * 0.1
        np.testing.assert_array_equal(joined.vmm(v, window).current, one.vmm(v, window).current)
        # two channels a tile; the last may have one
        unfold, channels = Unfold((2, 1), padding=(1, 0)), 2 * len(window.tiles)
        maps = rng.random((2, channels - data.draw(st.integers(0, 1)), 4, 5)).astype(np.float32)
        ours, theirs = (a.vmm_unfolded(0.1 * maps, unfold, window) for a in (joined, one))
        np.testing.assert_array_equal(ours.current, theirs.current)


@given(SPLITS, st.booleans(), st.booleans(), st.data())
def test_sums_of_pairs_are_those_of_one_array(
    tiles: list[int], maps: bool, unfolds: bool, data: st.DataObject
) -> None:
    joined, one = joined_and_one(tiles, unfolds)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    sums = []
    with joined:
        first = data.draw(windows(one.spec.tiles))
        parts = len(first.tiles)
        for _ in range(data.draw(st.integers(1, 3))):
            order = data.draw(st.permutations(range(one.spec.tiles)))
            window = replace(first, tiles=tuple(order[:parts]))
            pairs = window.n_cols // 2
            targets = np.array([rng.permutation(pairs + 1)[:pairs] for _ in range(parts)])
            numbers = (rng.normal(size=(parts, 2 * pairs)), rng.normal(size=parts) * 1e6)
            weights, scales = (n.astype(np.float32) for n in numbers)
            constant = rng.normal(size=pairs + 1).astype(np.float32)
            sums.append(PairSum(window, weights, scales, targets, constant))
        inputs = rng.random((2, parts, 4, 5) if maps else (5, 4 * parts)).astype(np.float32)
        unfold = Unfold((2, 2)) if maps else None
        ours, theirs = (a.vmm_pairs(inputs, 0.1, sums, unfold) for a in (joined, one))
        assert ours.values.dtype == np.float32
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(ours.clipped, theirs.clipped)


@given(SPLITS, st.data())
def test_cells_are_those_of_one_array(tiles: list[int], data: st.DataObject) -> None:
    joined, one = joined_and_one(tiles)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    cells = np.flatnonzero(rng.random(one.spec.size) < data.draw(st.sampled_from([0.0, 0.02, 0.5])))
    v, count = rng.uniform(-2, 2, cells.size), rng.integers(0, 3, cells.size)
    dense = rng.uniform(-2, 2, one.spec.shape)
    found: list[list[Any]] = []
    for array in (joined, one):
        array.pulse(v, 1e-6, count, cells)
        array.pulse(dense, 1e-6)
        again = dense[0] if array is joined else np.broadcast_to(dense[0], one.spec.shape)
        array.pulse(again, 1e-6, np.int64(2))
        stepped = array.pulse_and_read(1.5, 1e-6, 0.1, cells)
        some, all_ = array.read(0.1, cells), array.read(0.1)
        found.append([stepped.current, some.current, some.as_map(array.spec), all_.current])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    joined.close()


def test_settings_reach_the_tiles_they_are_for() -> None:
    joined, one = joined_and_one([1, 2])
    ranges = (1e-6, 2e-6, 3e-6)
    joined.configure(replace(one.converters, v_read=0.2, i_vmm=ranges))
    assert joined.converters.i_vmm == ranges
    assert [m.converters.i_vmm for m in joined.members] == [(1e-6,), (2e-6, 3e-6)]
    assert {m.converters.v_read for m in joined.members} == {0.2}
    joined.close()


class Watched(IdealArray):
    """Meets the others in products; fails where it is told to."""

    def __init__(self, meeting: threading.Barrier, fails: bool = False) -> None:
        super().__init__(1, ROWS, COLS)
        self.meeting, self.fails, self.closed = meeting, fails, False

    def vmm(self, v: Any, window: Window | None = None) -> Any:
        self.meeting.wait(10)
        if self.fails:
            raise LinkTimeout("no answer")
        return super().vmm(v, window)

    def ground(self) -> None:
        self.calls.append("ground")
        if self.fails:
            raise LinkTimeout("still no answer")

    def close(self) -> None:
        self.closed = True
        if self.fails:
            raise LinkTimeout("never an answer")


def test_members_work_at_the_same_time() -> None:
    meeting = threading.Barrier(2)
    with JoinedArray([Watched(meeting), Watched(meeting)]) as array:
        array.vmm(np.zeros((2, 1, ROWS), np.float32))  # one after another they would never meet


def test_one_fails_and_all_are_grounded_and_closed() -> None:
    meeting = threading.Barrier(3)
    members = [Watched(meeting), Watched(meeting, fails=True), Watched(meeting)]
    array = JoinedArray(members)
    with pytest.raises(LinkTimeout, match="^no answer"):
        array.vmm(np.zeros((3, 1, ROWS), np.float32))
    assert [member.calls.count("ground") for member in members] == [1, 1, 1]
    with pytest.raises(LinkTimeout, match="never"):
        array.close()
    assert [member.closed for member in members] == [True, True, True]


def test_unlike_arrays_are_not_joined() -> None:
    with pytest.raises(ConfigError, match="same rows, not 12 .* and 13"):
        JoinedArray([IdealArray(1, 12, 8), IdealArray(1, 13, 8)])


def test_a_station_joins_boards_and_hides_their_tokens() -> None:
    text = "tcp://a:1?token=secret + tcp://b:2?token=more&trace=t.h5"
    station = load_station(text)
    assert isinstance(station.connection, JoinedBoards)
    assert [board.kind for board in station.connection.boards] == ["tcp", "tcp"]
    assert station.trace == "t.h5"
    assert "secret" not in station.text and "more" not in station.text
    for wrong in ("model: + replay:t.h5", "model:?trace=a + model:?trace=b", "model: + nothing:"):
        with pytest.raises(ConfigError):
            load_station(wrong)


def test_limits_are_the_tightest_and_identities_are_joined() -> None:
    with open_array("model:?tiles=1 + model:?tiles=2&seed=4") as array:
        assert array.spec.tiles == 3
        assert array.spec.identity.count(" + ") == 1
        assert "job:write_verify" in array.spec.capabilities or "unfold" in array.spec.capabilities
        assert array.link is None
    first, second = IdealArray(1), IdealArray(1)
    second.spec = replace(second.spec, limits=replace(second.spec.limits, v_set=1.25))
    with JoinedArray([first, second]) as joined:
        assert joined.spec.limits.v_set == 1.25
