"""The compiled programming jobs do what the protocols do, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimlab.board.hal_array import HalArray
from cimlab.core.errors import CapabilityError, ConfigError, LimitError
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.protocols import Ispp, WriteVerify, program

SIZE = 2 * 24 * 20


def chip(seed: int, kind: str = "brram") -> HalArray:
    flaws = Imperfections(stuck=0.05)
    return HalArray(SimulatedHal(device(kind), 2, 24, 20, seed, flaws))


volts = st.floats(0.5, 3.0)
common = {
    "tol": st.floats(0.02e-6, 0.5e-6),
    "averages": st.integers(1, 9),
    "width": st.floats(0.1e-6, 5e-6),
    "v_step": st.floats(0.05, 0.5),
    "set_start": st.floats(0.5, 2.0),
    "reset_start": st.floats(0.5, 2.0),
    "set_stop": st.floats(2.0, 3.3),
    "reset_stop": st.floats(2.0, 3.3),
    "set_lead": st.sampled_from([0.0, 0.2]),
    "reset_lead": st.sampled_from([0.0, 0.4]),
}
plans = st.builds(WriteVerify, cycles=st.integers(1, 4), **common) | st.builds(
    Ispp, max_reversals=st.integers(0, 12), **common
)


@settings(max_examples=25, deadline=None)
@given(plans, st.integers(0, 99), st.integers(1, SIZE), st.booleans())
def test_a_job_is_the_protocol_bit_for_bit(plan, seed, n, gate):
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.choice(SIZE, n, replace=False))
    target = rng.uniform(0.3e-6, 4.5e-6, n)
    ends = []
    for place, word in (("auto", "board"), ("never", "host")):
        array = chip(seed)
        if not gate:
            array.configure(array.converters.__class__(0.1, 0.0, 5e-6, (4e-5,) * 2))
        done = program(array, plan.model_copy(update={"on_board": place}), cells, target)
        assert done.place == word
        array.configure(array.converters.__class__(0.1, 4.0, 5e-6, (4e-5,) * 2))
        ends.append((done, array.read(0.1).current, array.counters()))
    (job, currents, counts), (loop, same_currents, same_counts) = ends
    assert np.array_equal(job.current, loop.current)
    assert np.array_equal(job.pulses, loop.pulses)
    assert np.array_equal(job.converged, loop.converged)
    assert job.rounds == loop.rounds
    assert np.array_equal(currents, same_currents)
    assert np.array_equal(counts, same_counts)


def test_a_job_in_parts_is_the_job():
    whole, parts = chip(3), chip(3)
    target = np.linspace(1e-6, 3e-6, SIZE)
    plan = WriteVerify()
    program(whole, plan, np.arange(SIZE), target)
    for start in range(0, SIZE, 77):
        span = slice(start, start + 77)
        program(parts, plan, np.arange(SIZE)[span], target[span])
    assert np.array_equal(whole.read(0.1).current, parts.read(0.1).current)


def test_other_devices_are_programmed_by_the_host():
    array = chip(0, "softbounds")
    assert not any(word.startswith("job:") for word in array.spec.capabilities)
    with pytest.raises(CapabilityError):
        array.run_job("write_verify", WriteVerify().settings(), np.arange(4), np.ones(4) * 1e-6)


@pytest.mark.parametrize(
    "change",
    [{"set_stop": 3.4}, {"reset_stop": 3.5}, {"width": 1.0}, {"v_read": 0.2}, {"averages": 300}],
)
def test_a_job_beyond_the_limits_gives_no_pulse(change):
    array = chip(0)
    with pytest.raises(LimitError):
        array.run_job("ispp", Ispp().settings() | change, np.arange(SIZE), np.full(SIZE, 2e-6))
    assert not array.counters().any()


@pytest.mark.parametrize(
    "change",
    [
        {"tol": 0.0},
        {"v_step": -0.1},
        {"set_lead": -1.0},
        {"set_start": 3.1},
        {"reset_start": 3.2},
        {"tol": float("nan")},
        {"cycles": 2},
        {"max_reversals": 1e30},
    ],
)
def test_a_job_with_wrong_settings_is_refused(change):
    array = chip(0)
    with pytest.raises(ConfigError):
        array.run_job("ispp", Ispp().settings() | change, np.arange(3), np.full(3, 2e-6))
    with pytest.raises(ConfigError):
        array.run_job("ispp", {"tol": 1e-7}, np.arange(3), np.full(3, 2e-6))
    assert not array.counters().any()
