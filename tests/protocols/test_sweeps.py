"""What every characterisation procedure keeps, on arrays of all kinds."""

import contextlib
import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cimlab.core.array import Limits
from cimlab.core.errors import CapabilityError, ConfigError, LimitError
from cimlab.core.guard import Guarded
from cimlab.core.tap import Ledger, Tapped
from cimlab.protocols.disturb import DisturbPlan
from cimlab.protocols.endurance import EndurancePlan
from cimlab.protocols.forming import FormingPlan
from cimlab.protocols.iv import IvPlan
from cimlab.protocols.noise import ReadNoisePlan
from cimlab.protocols.pulse_trains import PulsesPlan
from cimlab.protocols.retention import RetentionPlan
from cimlab.protocols.sweeps import SWEEPS
from cimlab.rig import open_array
from tests.protocols.benchlike import BenchLike
from tests.protocols.fake import FakeArray

CELLS = np.array([0, 2, 3])
PLANS = {
    "iv": [
        IvPlan(step=1.3, cycles=2),
        IvPlan(shape="double", v_stop=-2.5, step=0.8, step_back=True, i_comp=20e-6),
        IvPlan(shape="list", levels=(0.05, 1.0, 2.5, 1.0, -1.0, -2.0), mode="pulsed"),
    ],
    "pulses": [
        PulsesPlan(n_up=4, n_down=3, cycles=2),
        PulsesPlan(n_up=2, n_down=2, increments="width", reset_pulses=0),
    ],
    "forming": [FormingPlan(v_step=0.4, i_target=4.5e-6, count=2)],
    "retention": [RetentionPlan(t_first=1.0, t_last=100.0, per_decade=2)],
    "endurance": [
        EndurancePlan(cycles_max=7, pulses=2),
        EndurancePlan(cycles_max=5, window_min=1e9, patience=2),
    ],
    "noise": [ReadNoisePlan(reads=5), ReadNoisePlan(reads=3, interval=0.5, averages=2)],
    "disturb": [DisturbPlan(count=20), DisturbPlan(count=8, kind="read")],
    "map": [SWEEPS["map"].plan()],
    "screen": [SWEEPS["screen"].plan()],
}
CASES = [(name, plan) for name, plans in PLANS.items() for plan in plans]
EVERY = pytest.mark.parametrize(("name", "plan"), CASES, ids=lambda x: x if str(x) == x else "")
ARRAYS = {
    "at once": lambda: FakeArray((1, 2, 2)),
    "bench": BenchLike,
    "bench without buffers": lambda: BenchLike(capabilities=()),
    "model": lambda: open_array("model:?tiles=1&rows=2&cols=2"),
}
ON_EVERY = pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
FAKES = pytest.mark.parametrize("make", list(ARRAYS.values())[:3], ids=list(ARRAYS)[:3])


def start(array, name, plan, cells=CELLS):
    return SWEEPS[name].run(array, plan, cells)


def run(array, name, plan, cells=CELLS):
    """Every event, and the result."""
    steps, events = start(array, name, plan, cells), []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            return events, stop.value


def test_every_procedure_is_here():
    names = "iv pulses forming retention endurance noise disturb map screen"
    assert list(SWEEPS) == list(PLANS) == names.split()
    assert [p.name for p in SWEEPS.values()] == list(SWEEPS)
    assert {n for n, p in SWEEPS.items() if p.harmless} == {"retention", "noise"}
    for procedure in SWEEPS.values():
        assert procedure.plan() == procedure.plan.model_validate(procedure.plan().model_dump())
        for field in procedure.plan.model_fields.values():
            assert field.description
            if field.annotation is float and "growth" not in field.description:
                assert re.search(r", (V|A|S|s)$|below|relative", field.description), field


@ON_EVERY
@EVERY
def test_events_are_points_of_one_shape(make, name, plan):
    with make() as array:
        events, _ = run(array, name, plan)
        limits = array.spec.limits
    seen, done, time = set(), 0.0, 0.0
    for e in events:
        n, m = e.current.shape
        assert n >= 1 and m >= 1
        for per_point in (e.cycle, e.time, e.width, e.v_read):
            assert per_point.shape == (n,)
        for per_cell in (e.v, e.count, e.saturated, e.g):
            assert per_cell.shape == (n, m)
        assert e.cells.shape == (m,) and set(e.cells) <= set(CELLS)
        assert e.cycle.dtype == e.count.dtype == np.int64
        assert e.current.dtype == np.float64 and e.saturated.dtype == bool
        if e.index == 0:  # as found
            assert not e.v.any() and not e.count.any() and e.v_read == plan.v_read
        rows = {(e.index + k, cell) for k in range(n) for cell in e.cells.tolist()}
        assert not rows & seen
        seen |= rows
        assert time <= e.time[0] and (np.diff(e.time) >= 0).all()
        assert done <= e.done
        done, time = e.done, e.time[-1]
        assert np.isfinite(e.current).all()
        # what an S or A that is off by a thousand would not pass: a b-RRAM, in SI units
        assert np.nanmax(np.abs(e.g), initial=0) < 60e-6
        assert (e.v >= -limits.v_reset).all() and (e.v <= limits.v_set).all()
        assert (e.width[(e.count > 0).any(axis=1)] <= limits.width_max).all()
        assert not (e.count[e.v == 0]).any()
    assert done == 1.0
    for cell in CELLS:
        indices = sorted(i for i, c in seen if c == cell)
        assert indices[0] == 0 and len(indices) >= 2


@ON_EVERY
@EVERY
def test_points_count_every_pulse_and_the_plan_says_how_many_at_most(make, name, plan):
    with make() as array:
        ledger = Ledger(array.spec)
        events, _ = run(Tapped(array, ledger), name, plan)
        stress = plan.stress(array.spec)
    counted = np.zeros(4, np.int64)
    for e in events:
        counted[e.cells] += e.count.sum(axis=0)
    assert counted.tolist() == ledger.pulses.ravel().tolist()
    assert counted[1] == 0
    assert counted.max() <= stress.pulses
    used = [e for e in events if e.count.any()]
    if not used:
        assert stress.pulses == 0
        return
    v = np.concatenate([e.v[e.count > 0] for e in used])
    assert v.max() <= stress.v_max and v.min() >= stress.v_min
    width = np.concatenate([e.width[(e.count > 0).any(axis=1)] for e in used])
    assert stress.width_min <= width.min() and width.max() <= stress.width_max


@FAKES
@EVERY
def test_stopping_at_any_event_grounds_the_array(make, name, plan):
    total = len(run(make(), name, plan)[0])
    for k in range(1, total + 1):
        array = make()
        with contextlib.closing(start(array, name, plan)) as steps:
            for _ in range(k):
                next(steps)
        assert array.calls[-1] == "ground"
        array = make()
        steps = start(array, name, plan)
        for _ in range(k):
            next(steps)
        with pytest.raises(KeyboardInterrupt):
            steps.throw(KeyboardInterrupt)
        assert array.calls[-1] == "ground"


@FAKES
@EVERY
def test_an_error_in_any_verb_grounds_the_array(make, name, plan):
    whole = make()
    run(whole, name, plan)
    assert "ground" not in whole.calls
    verbs = ("read", "pulse", "pulse_and_read", "sweep", "train")
    for k in range(len(whole.calls)):
        array = make()
        for verb in verbs:
            setattr(array, verb, _breaking(array, getattr(array, verb), k))
        with pytest.raises(RuntimeError, match="fire"):
            run(array, name, plan)
        assert array.calls[-1] == "ground"
        assert len(array.calls) == k + 1


def _breaking(array, verb, at):
    def broken(*given, **named):
        if len(array.calls) == at:
            raise RuntimeError("the lab is on fire")
        return verb(*given, **named)

    return broken


def limited(make, limits):
    array = make()
    array.spec = dataclasses.replace(array.spec, limits=limits)
    return array


LIMITS = st.builds(
    Limits,
    v_set=st.floats(0.5, 3.3),
    v_reset=st.floats(0.5, 3.3),
    v_read=st.floats(0.02, 0.3),
    width_min=st.floats(1e-9, 2e-6),
    width_max=st.floats(2e-6, 2e-3),
    count_max=st.integers(1, 20),
)


@FAKES
@given(case=st.sampled_from(CASES), limits=LIMITS)
def test_a_plan_is_refused_before_any_verb_or_never(make, case, limits):
    """What `check` lets through, no guard refuses later: not with any limits."""
    name, plan = case
    array = limited(make, limits)
    try:
        run(Guarded(array, limits), name, plan)
    except LimitError:
        assert array.calls == []
        with pytest.raises(LimitError):
            plan.check(array.spec)
    else:
        plan.check(array.spec)


@FAKES
@EVERY
def test_each_limit_alone_refuses_the_plan(make, name, plan):
    array = make()
    stress = plan.stress(array.spec)
    tight = {"v_read": plan.v_read * 0.99}
    if stress.pulses:
        tight["width_max"] = stress.width_max * 0.99
        if name != "disturb":  # sends its pulses in calls as large as are allowed
            tight["count_max"] = stress.call - 1
        if stress.v_max:
            tight["v_set"] = stress.v_max * 0.99
        if stress.v_min:
            tight["v_reset"] = -stress.v_min * 0.99
        if not stress.quasi_static:
            tight["width_min"] = stress.width_min * 1.01
    exact = dataclasses.replace(Limits(), width_max=max(Limits().width_max, stress.width_max))
    for limit, value in tight.items():
        array = limited(make, dataclasses.replace(exact, **{limit: value}))
        with pytest.raises(LimitError, match=type(plan).__name__):
            run(array, name, plan)
        assert array.calls == []


@EVERY
def test_what_cannot_be_read_gets_no_pulse(name, plan):
    """Within the limits, but beyond what the chip's converters are set to."""
    with open_array("model:?tiles=1&rows=2&cols=2") as array:
        assert array.converters.v_read < 0.2 < array.spec.limits.v_read
        with pytest.raises(LimitError, match="input voltages"):
            run(array, name, plan.model_copy(update={"v_read": 0.2}))
        assert not array.counters().any()


@EVERY
@pytest.mark.parametrize("cells", [[], [3, 2], [2, 2], [4], [-1, 0], [[0, 1]]])
def test_wrong_cells_touch_nothing(name, plan, cells):
    array = FakeArray((1, 2, 2))
    with pytest.raises(ConfigError, match="rising addresses"):
        run(array, name, plan, np.array(cells, np.int64))
    assert array.calls == []


def test_what_needs_a_sweep_is_refused_without_one():
    array = FakeArray((1, 2, 2))
    for name, plan in (("iv", IvPlan(mode="dc")), ("forming", FormingPlan(mode="sweeps"))):
        with pytest.raises(CapabilityError, match="sweep"):
            run(array, name, plan)
    assert array.calls == []


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (IvPlan, {"shape": "list"}),
        (IvPlan, {"levels": (1.0,)}),
        (IvPlan, {"v_start": 2.5}),
        (IvPlan, {"v_start": -1.0}),
        (FormingPlan, {"v_start": 3.1}),
        (RetentionPlan, {"t_first": 1e5}),
        *((p.plan, {"surprise": 1}) for p in SWEEPS.values()),
        *((p.plan, {"v_read": 0.0}) for p in SWEEPS.values()),
        *((p.plan, {"averages": 257}) for p in SWEEPS.values()),
        *((p.plan, {"v_read": float("nan")}) for p in SWEEPS.values()),
    ],
)
def test_plans_that_contradict_themselves_are_no_plans(kind, wrong):
    with pytest.raises(ValidationError):
        kind(**wrong)


@ON_EVERY
@EVERY
def test_a_summary_is_plain_data_with_its_units(make, name, plan):
    with make() as array:
        summary = run(array, name, plan)[1].summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["cells"] == CELLS.size
    for key, value in summary.items():
        assert type(value) in (int, float, str), key
        quantity = re.match(r"(v|g|r|i|sigma|allan|current|time|interval|rtn_amplitude)_", key)
        if quantity:
            assert key.endswith(("_V", "_S", "_Ohm", "_A", "_s")), key
