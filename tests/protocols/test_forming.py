"""Forming: who gets which pulse, and when it ends."""

import dataclasses

import numpy as np
import pytest

from cimlab.protocols import finish
from cimlab.protocols.forming import FormingPlan, forming
from tests.protocols.benchlike import BenchLike

V_FORM = np.array([0.0, 1.7, 2.6, 9.0])
"""At which voltage a cell forms; the first one is born so, the last one never does."""


class Virgins(BenchLike):
    """Cells that conduct nothing until a pulse reaches their forming voltage."""

    def __init__(self, **more):
        super().__init__(sigma_read=0.0, **more)
        self.state[:] = np.where(V_FORM == 0, 30e-6, 1e-9)
        self.largest = np.zeros(4)

    def _pulse(self, v, width, count, cells):
        v = np.broadcast_to(v, cells.shape)
        self.largest[cells] = np.maximum(self.largest[cells], v)
        self.counted[cells] += np.broadcast_to(count, cells.shape).astype(np.uint32)
        self.state[cells[v >= V_FORM[cells] - 1e-9]] = 30e-6


MODES = [("pulses", ()), ("pulses", ("sweep",)), ("sweeps", ("sweep",))]


@pytest.mark.parametrize(("mode", "capabilities"), MODES)
def test_every_cell_leaves_the_ramp_when_it_conducts(mode, capabilities):
    array = Virgins(capabilities=capabilities)
    plan = FormingPlan(mode=mode, v_start=1.5, v_stop=3.0, v_step=0.1)
    result = finish(forming(array, plan, np.arange(4)))
    assert result.formed.tolist() == [True, True, True, False]
    assert result.v_form == pytest.approx([0.0, 1.7, 2.6, np.nan], nan_ok=True)
    assert array.largest == pytest.approx([0.0, 1.7, 2.6, 3.0])
    assert result.current == pytest.approx([3e-6, 3e-6, 3e-6, 1e-10])
    summary = result.summary()
    assert (summary["formed"], summary["born_formed"]) == (3, 1)
    assert summary["v_form_median_V"] == pytest.approx(2.15)


def test_count_is_the_pulses_of_a_level():
    array = Virgins(capabilities=())
    plan = FormingPlan(v_start=1.5, v_stop=2.9, v_step=0.2, count=3)
    finish(forming(array, plan, np.arange(4)))
    assert array.counted.tolist() == [0, 3 * 2, 3 * 7, 3 * 8]
    assert plan.stress(array.spec).pulses == 24


def test_cells_of_a_chip_are_formed_together():
    array = Virgins(capabilities=())
    array.spec = dataclasses.replace(array.spec, vmm="analog")
    events = list(forming(array, FormingPlan(v_step=0.1), np.arange(4)))
    assert [e.cells.size for e in events[:5]] == [4, 3, 3, 3, 2]
    assert [e.index for e in events] == list(range(17))
    assert events[-1].done == 1.0


def test_an_array_that_is_formed_gets_no_pulse():
    array = Virgins()
    events = list(forming(array, FormingPlan(), np.array([0])))
    assert array.calls == ["read"]
    assert [e.done for e in events] == [1.0]


def test_a_sweep_starts_at_the_ramps_start_every_time():
    array = Virgins()
    plan = FormingPlan(mode="sweeps", v_start=1.5, v_stop=3.0, v_step=0.1, i_comp=1e-5)
    events = list(forming(array, plan, np.array([1])))
    swept = [e for e in events if len(e.v) and e.v_read[0] != 0.1]
    assert [e.v[:, 0].round(9).tolist() for e in swept] == [[1.5], [1.5, 1.6], [1.5, 1.6, 1.7]]
    assert [e.index for e in events] == [0, 1, 2, 3, 5, 6, 9]
    # at 1.7 V a formed cell would carry 51 uA
    assert swept[-1].saturated[:, 0].tolist() == [False, False, True]
    assert swept[-1].current[-1, 0] == 1e-5


@pytest.mark.parametrize(
    ("start", "stop", "step", "levels"),
    [(1.0, 2.0, 0.3, [1.0, 1.3, 1.6, 1.9]), (1.0, 1.3, 0.1, [1.0, 1.1, 1.2, 1.3]), (2, 2, 1, [2])],
)
def test_levels_end_at_or_below_v_stop(start, stop, step, levels):
    plan = FormingPlan(v_start=start, v_stop=stop, v_step=step)
    assert plan.levels == pytest.approx(levels)
