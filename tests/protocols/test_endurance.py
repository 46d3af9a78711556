"""Endurance: cycles counted exactly, cells given up when the rule says so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.protocols import finish
from cimlab.protocols.endurance import EndurancePlan, endurance
from cimlab.rig import open_array
from tests.protocols.benchlike import BenchLike


class Wears(BenchLike):
    """Cells that switch exactly so many times, then stay where they are."""

    def __init__(self, life, capabilities=(), vmm="emulated"):
        super().__init__((1, 1, len(life)), capabilities=capabilities, sigma_read=0.0)
        self.spec = type(self.spec)(
            **{f: getattr(self.spec, f) for f in self.spec.__dataclass_fields__} | {"vmm": vmm}
        )
        self.life = np.array(life)
        self.cycles = np.zeros(len(life), int)
        self.signs = [[] for _ in life]
        self.state[:] = 5e-6

    def _pulse(self, v, width, count, cells):
        volts = np.broadcast_to(v, cells.shape)
        for cell, volt in zip(cells.tolist(), volts.tolist(), strict=True):
            self.signs[cell] += [volt > 0] * int(np.max(count))
        self.cycles[cells[volts > 0]] += 1
        works = self.cycles[cells] <= self.life[cells]
        self.state[cells[works]] = np.where(volts[works] > 0, 40e-6, 5e-6)


KINDS = [("analog", ()), ("emulated", ()), ("emulated", ("train",))]


@pytest.mark.parametrize(("vmm", "capabilities"), KINDS)
def test_cells_are_cycled_until_they_fail(vmm, capabilities):
    array = Wears([1000, 10, 50], capabilities, vmm)
    plan = EndurancePlan(cycles_max=100, per_decade=3, patience=2)
    assert plan.reads() == [1, 2, 5, 10, 22, 46, 100]
    result = finish(endurance(array, plan, np.arange(3)))
    # the second fails at reads 22 and 46, the third only at 100: once is not twice
    assert array.cycles.tolist() == [100, 46, 100]
    assert result.survived.tolist() == [100, 10, 46]
    assert result.failed.tolist() == [False, True, False]
    assert np.isnan(result.g_on[:, 1]).tolist() == [False] * 6 + [True]
    assert result.g_on[:, 0] == pytest.approx(np.full(7, 40e-6))
    assert result.g_off[:, 0] == pytest.approx(np.full(7, 5e-6))
    # a SET first, then strictly in turn
    for signs in array.signs:
        assert signs == [True, False] * (len(signs) // 2)
    summary = result.summary()
    assert (summary["failed"], summary["survived_least"], summary["cycles"]) == (1, 10, 100)


def test_it_ends_when_every_cell_has_failed():
    array = Wears([3, 3], vmm="analog")
    events = list(endurance(array, EndurancePlan(cycles_max=10_000, patience=3), np.arange(2)))
    assert events[-1].done == 1.0 and events[-2].done < 0.01
    assert array.cycles.tolist() == [events[-1].cycle[0]] * 2
    assert array.cycles[0] < 20


def test_a_failed_run_still_sums_up():
    array = Wears([0, 0])
    result = finish(endurance(array, EndurancePlan(cycles_max=50, patience=1), np.arange(2)))
    summary = result.summary()
    assert (summary["cycles"], summary["survived_least"], summary["failed"]) == (1, 0, 2)
    assert "g_on_last_median_S" not in summary


@pytest.mark.parametrize("capabilities", [(), ("train",)])
def test_pulses_of_half_a_cycle(capabilities):
    array = Wears([1000], capabilities)
    plan = EndurancePlan(cycles_max=20, pulses=3, per_decade=2)
    events = list(endurance(array, plan, np.array([0])))
    assert array.signs[0] == ([True] * 3 + [False] * 3) * 20
    assert sum(int(e.count[0, 0]) for e in events) == 120 == plan.stress(array.spec).pulses


def test_unread_cycles_are_few_calls_where_there_is_a_buffer():
    array = Wears([10**6], ("train",))
    finish(endurance(array, EndurancePlan(cycles_max=1000, per_decade=1), np.array([0])))
    # 8, 89 and 899 cycles; a call takes 1000 pulses
    assert array.calls.count("train") == 4 and array.calls.count("pulse_and_read") == 8
    assert array.calls.count("pulse") == 0


@given(st.integers(1, 50_000), st.integers(1, 6), st.integers(1, 1000))
def test_reads_end_at_the_last_cycle_and_are_never_far_apart(last, per_decade, most):
    plan = EndurancePlan(cycles_max=last, per_decade=per_decade, unread_max=most)
    reads = plan.reads()
    assert reads[0] == 1 and reads[-1] == last
    steps = np.diff(reads)
    assert (steps > 0).all() and steps.max(initial=0) <= most


def test_the_model_survives_and_is_pulsed_as_often_as_it_says():
    with open_array("model:?tiles=1&rows=4&cols=4") as array:
        result = finish(endurance(array, EndurancePlan(cycles_max=100), np.arange(16)))
        # one cell is stuck, and is given up at its third read
        assert array.counters().ravel().tolist() == np.where(result.failed, 6, 200).tolist()
        assert result.failed.sum() == 1
        assert np.nanmedian(result.g_on[-1] / result.g_off[-1]) > 5
