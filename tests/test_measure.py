"""Recorded sweeps end with the array grounded and the file readable, whatever ends them."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cimlab import records
from cimlab.core.errors import LimitError, LinkTimeout, RecordError
from cimlab.core.events import Event, Grounded
from cimlab.measure import measure, outlook
from cimlab.protocols.characterisation import CellPlan
from cimlab.protocols.sweeps import SWEEPS
from cimlab.rig import open_array

STATION = "model:?tiles=1&rows=4&cols=4"
CELLS = np.array([1, 2, 7])


class Watch:
    """A sink that remembers the kinds of events, and fails at the one it is told to."""

    def __init__(self, fail_at: int = -1, error: type[BaseException] = LinkTimeout) -> None:
        self.events: list[Event] = []
        self._fail_at, self._error = fail_at, error

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) == self._fail_at:
            raise self._error("as if the link had died")

    @property
    def idle(self) -> bool:
        return isinstance(self.events[-1], Grounded)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_is_closed_is_stopped_grounded_and_says_how_far(
    name: str, tmp_path: Path
) -> None:
    watch = Watch()
    with open_array(STATION, watch) as array:
        steps = measure(array, name, _long(name), CELLS, tmp_path / "run.h5")
        with closing(steps):
            first = next(steps)
        assert watch.idle
    with records.load(tmp_path / "run.h5") as run:
        assert (run.status, run.summary) == ("stopped", None)
        assert run.done == first.done < 1
        np.testing.assert_array_equal(run.series().current, first.current)
        assert run.rows("maps") == 1


@pytest.mark.parametrize(
    ("error", "status"), [(LinkTimeout, "failed"), (KeyboardInterrupt, "stopped")]
)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_fails_in_mid_verb_is_grounded_and_readable(
    name: str, error: type[BaseException], status: str, tmp_path: Path
) -> None:
    watch = Watch(fail_at=5, error=error)
    with open_array(STATION, watch) as array:
        seen = []
        with pytest.raises(error):
            seen.extend(
                event.current
                for event in measure(array, name, _long(name), CELLS, tmp_path / "run.h5")
            )
        assert watch.idle
    with records.load(tmp_path / "run.h5") as run:
        assert run.status == status
        assert run.rows("points") == CELLS.size * sum(len(current) for current in seen)
        assert run.done is not None
        assert 0 < run.done < 1


def _long(name: str) -> CellPlan:
    """A plan of more than five verbs, after the map that is read first."""
    changes = {"endurance": {"window_min": 1e-6}, "forming": {"i_target": 1.0}}
    return SWEEPS[name].plan(**changes.get(name, {}))


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_ends_leaves_the_array_idle(name: str, tmp_path: Path) -> None:
    watch = Watch()
    with open_array(STATION, watch) as array:
        for _ in measure(array, name, SWEEPS[name].plan(), CELLS, tmp_path / "run.h5"):
            pass
        assert watch.idle


def test_nothing_is_touched_where_the_plan_or_the_file_is_wrong(tmp_path: Path) -> None:
    watch = Watch()
    plan = SWEEPS["iv"].plan
    with open_array(STATION, watch) as array:
        before = len(watch.events)
        with pytest.raises(LimitError):
            next(measure(array, "iv", plan(v_stop=9.0), CELLS, tmp_path / "run.h5"))
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(LimitError):
            outlook(array, "iv", plan(v_stop=9.0), CELLS)
        (tmp_path / "run.h5").write_text("something else")
        with pytest.raises(RecordError, match="exists"):
            next(measure(array, "iv", plan(), CELLS, tmp_path / "run.h5"))
        assert len(watch.events) == before


@pytest.mark.parametrize("name", SWEEPS)
def test_an_outlook_touches_no_cell_and_takes_no_time(name: str) -> None:
    watch = Watch()
    with open_array(STATION, watch) as array:
        before = len(watch.events)
        found = outlook(array, name, SWEEPS[name].plan(), CELLS)
        assert len(watch.events) == before
        one = outlook(array, name, SWEEPS[name].plan(), CELLS[:1])
    # all cells at once: as long, and three times the points
    assert (found.points, found.seconds) == (3 * one.points, one.seconds)
    assert found.stress == one.stress


def test_where_cells_are_visited_one_by_one_so_is_the_outlook() -> None:
    plan = SWEEPS["pulses"].plan(width=1e-3)
    with open_array(STATION) as array:
        together = outlook(array, "pulses", plan, CELLS)
        array._spec = dataclasses.replace(array.spec, vmm="emulated")
        apart = outlook(array, "pulses", plan, CELLS)
    assert apart.points == together.points
    assert apart.seconds == pytest.approx(3 * together.seconds)
