"""Guarded: nothing beyond the limits reaches the array, everything within does."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cimlab.core.array import Limits, Unfold, Window
from cimlab.core.errors import ConfigError, LimitError
from cimlab.core.guard import Guarded
from cimlab.core.limits import tighter
from cimlab.core.tap import Tapped
from tests.core.recorder import LIMITS, SPEC, Recorder

THOUSAND = settings(max_examples=1200, deadline=None)
NAN = float("nan")


def beyond(low, high, width=64):
    """Floats outside low .. high by a share of 1e-6 or more, NaN and infinities among them."""
    below, above = float(np.float32(low - 1e-6 * abs(low))), float(np.float32(high * (1 + 1e-6)))
    return st.one_of(
        st.floats(max_value=below, exclude_max=True, width=width),
        st.floats(min_value=above, exclude_min=True, width=width),
        st.just(NAN),
    )


@st.composite
def voltages_with_one_beyond(draw):
    """(tiles, rows, cols) volts, all within the limits but one."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    v = rng.uniform(-LIMITS.v_reset, LIMITS.v_set, SPEC.shape)
    v = v.astype(draw(st.sampled_from([np.float32, np.float64])))
    bad = draw(beyond(-LIMITS.v_reset, LIMITS.v_set, width=32))  # both are exact in float32
    v.flat[draw(st.integers(0, v.size - 1))] = bad
    return v


@st.composite
def levels_beyond(draw, cells):
    """A sweep or a train of which exactly one value is beyond the limits."""
    v = np.array([0.1, -2.0, 0.25, 3.0])
    sweep = {"v": v, "i_comp": 1e-4, "dwell": 1e-3, "cells": cells}
    train = {"v": v, "width": 1e-6, "v_read": 0.1, "cells": cells}
    verb, given = draw(st.sampled_from([("sweep", sweep), ("train", train)]))
    key = draw(st.sampled_from(list(given)))
    if key == "v":
        bad = draw(beyond(-LIMITS.v_reset, LIMITS.v_set))
        too_many = np.full(LIMITS.count_max + 1, 0.4)
        given["v"] = draw(st.sampled_from([np.insert(v, 2, bad), too_many, np.ones((2, 2))]))
    elif key == "i_comp":
        given["i_comp"] = draw(st.one_of(st.floats(max_value=0), st.sampled_from([np.inf, NAN])))
    elif key == "dwell":
        given["dwell"] = draw(beyond(-(2.0**-80), LIMITS.width_max))
    elif key == "width":
        bad = draw(beyond(LIMITS.width_min, LIMITS.width_max))
        one_bad = np.array([1e-6, 1e-6, bad, 1e-6])
        given["width"] = draw(st.sampled_from([bad, one_bad, np.full(3, 1e-6)]))
    elif key == "v_read":
        given["v_read"] = draw(beyond(-LIMITS.v_read, LIMITS.v_read))
    else:
        given["cells"] = np.array([7, 32])
    return lambda a: getattr(a, verb)(**given)


@st.composite
def requests_beyond(draw):
    """A call, as a function of an array, of which exactly one value is beyond the limits."""
    cells = np.array([0, 7, 31])
    pulse = {"v": 1.0, "width": 1e-6, "count": 1, "cells": cells}
    kind = draw(
        st.sampled_from(["v", "width", "count", "cells", "read", "vmm", "window", "job", "levels"])
    )
    if kind == "v":
        v = draw(voltages_with_one_beyond())
        return lambda a: a.pulse(v, 1e-6)
    if kind == "levels":
        return draw(levels_beyond(cells))
    if kind == "read":
        v = draw(beyond(-LIMITS.v_read, LIMITS.v_read))
        return draw(
            st.sampled_from([lambda a: a.read(v), lambda a: a.pulse_and_read(1.0, 1e-6, v, cells)])
        )
    if kind == "vmm":
        inputs = np.zeros((2, 3, 4), draw(st.sampled_from([np.float32, np.float64])))
        inputs[1, 2, draw(st.integers(0, 3))] = draw(beyond(-(2**-20), 0.25, width=32))
        verb = draw(st.sampled_from(["vmm", "vmm_transposed"]))
        return lambda a: getattr(a, verb)(inputs)
    if kind == "window":
        window = draw(
            st.sampled_from(
                [
                    Window((0, 2), (0, 4), (0, 4)),
                    Window((-1,), (0, 4), (0, 4)),
                    Window((0,), (0, 5), (0, 4)),
                    Window((0,), (0, 4), (-1, 4)),
                    Window((0,), (2, 2), (0, 4)),
                ]
            )
        )
        return lambda a: a.vmm(np.zeros((1, 1, 4), np.float32), window)
    if kind == "job":
        bad = draw(
            st.sampled_from(
                [
                    {"set_stop": 3.1},
                    {"reset_stop": 2.6},
                    {"set_stop": -3.1},
                    {"v_read": 0.31},
                    {"width": 1e-8},
                    {"tol": NAN},
                ]
            )
        )
        if draw(st.booleans()):
            return lambda a: a.run_job_and_read("write_verify", bad, cells, np.zeros(3), 0.1)
        return lambda a: a.run_job("write_verify", bad, cells, np.zeros(3))
    if kind == "width":
        pulse["width"] = draw(beyond(LIMITS.width_min, LIMITS.width_max))
    elif kind == "count":
        pulse["count"] = draw(
            st.one_of(
                st.integers(-(2**31), -1),
                st.integers(LIMITS.count_max + 1, 2**31),
                st.just(np.array([1, 1000, 1])),
                st.just(1.5),
            )
        )
    else:
        pulse["cells"] = np.array(
            draw(st.sampled_from([[0, 7, 32], [-1, 7, 8], [7, 0, 8], [7, 7, 8], [[0, 1, 2]]]))
        )
    return draw(
        st.sampled_from(
            [
                lambda a: a.pulse(**pulse),
                lambda a: a.pulse_and_read(v_read=0.1, **pulse),
            ]
        )
    )


@THOUSAND
@given(requests_beyond())
def test_nothing_beyond_the_limits_reaches_the_array(request_beyond):
    inner = Recorder()
    guarded = Guarded(inner, LIMITS)
    with pytest.raises((LimitError, ValueError)):
        request_beyond(guarded)
    assert inner.calls == []


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, SPEC.shape, elements=st.floats(-LIMITS.v_reset, LIMITS.v_set)),
    st.floats(LIMITS.width_min, LIMITS.width_max),
    st.integers(0, LIMITS.count_max),
)
def test_everything_within_reaches_the_array_unchanged(v, width, count):
    inner = Recorder()
    Guarded(inner, LIMITS).pulse(v, width, count)
    [(verb, (got_v, got_width, got_count, got_cells))] = inner.calls
    assert (verb, got_width, got_count, got_cells) == ("pulse", width, count, None)
    assert got_v is v


def test_sweeps_and_trains_within_reach_the_array_unchanged():
    inner = Recorder()
    guarded = Guarded(inner, LIMITS)
    cells = np.array([1, 5])
    v = np.array([-LIMITS.v_reset, 0.0, LIMITS.v_set])
    widths = np.full(3, 1e-6)
    guarded.sweep(v, 1e-4, 0.0, cells)
    guarded.train(v, widths, 0.1, cells, 4)
    guarded.train(v, 1e-6, 0.1, cells)
    assert inner.calls == [
        ("sweep", (v, 1e-4, 0.0, cells)),
        ("train", (v, widths, 0.1, cells, 4)),
        ("train", (v, 1e-6, 0.1, cells, 1)),
    ]


def test_levels_up_to_the_read_voltage_are_no_pulses():
    inner = Recorder()
    gentle = np.full(10 * LIMITS.count_max, LIMITS.v_read)
    Guarded(inner, LIMITS).sweep(gentle, 1e-4, 100 * LIMITS.width_max, np.array([0]))
    assert len(inner.calls) == 1


def test_the_clock_is_that_of_the_array():
    inner = Recorder()
    guarded = Guarded(Tapped(inner, lambda event: None), LIMITS)
    guarded.clock.sleep(86400.0)
    assert inner.clock.now() == 86400.0


def test_ramps_of_steps_may_reach_the_limit():
    inner = Recorder()
    ramp = np.cumsum([1.5] + [0.1] * 15)  # ends at 3.0000000000000013 V
    assert ramp[-1] > LIMITS.v_set
    Guarded(inner, LIMITS).pulse(ramp, 1e-6, cells=np.arange(16))
    assert len(inner.calls) == 1


def test_float32_inputs_at_the_very_limit_are_within():
    inner = Recorder()
    guarded = Guarded(inner, LIMITS)
    guarded.configure(dataclasses.replace(inner.converters, v_read=0.3))
    full = np.full((2, 1, 4), 0.3, np.float32)  # as a double: 0.30000001
    guarded.vmm(full)
    guarded.vmm_transposed(full)
    guarded.vmm_unfolded(full[None], Unfold((1, 1)), Window.whole(SPEC))
    guarded.read(np.float32(0.3))
    assert [verb for verb, _ in inner.calls] == [
        "configure",
        "vmm",
        "vmm_transposed",
        "vmm_unfolded",
        "read",
    ]


def test_the_message_names_the_value_the_limit_and_what_to_do():
    with pytest.raises(LimitError) as caught:
        Guarded(Recorder(), LIMITS).pulse(3.21, 1e-6)
    for part in ("pulse amplitude", "3.21 V", "-2.5 .. 3 V", "[array.limits]"):
        assert part in str(caught.value)


def test_the_tighter_limit_counts_and_the_spec_shows_it():
    station = dataclasses.replace(LIMITS, v_set=2.0, width_min=0.0, count_max=1000)
    guarded = Guarded(Recorder(), station)
    assert guarded.spec.limits == dataclasses.replace(LIMITS, v_set=2.0)
    assert guarded.spec == dataclasses.replace(SPEC, limits=guarded.spec.limits)
    with pytest.raises(LimitError):
        guarded.pulse(2.5, 1e-6)


def test_limits_that_leave_no_pulse_width_are_refused():
    with pytest.raises(ConfigError, match="no pulse width"):
        tighter(LIMITS, Limits(width_min=2e-3, width_max=1.0))


def test_inputs_are_refused_while_the_converters_drive_more_than_the_limit():
    """Bit-serial inputs are pulses of the full amplitude: a small input is no small voltage."""
    inner = Recorder()  # in force: 0.2 V
    guarded = Guarded(inner, dataclasses.replace(LIMITS, v_read=0.15))
    zeros = np.zeros((2, 1, 4), np.float32)
    for call in (lambda: guarded.vmm(zeros), lambda: guarded.read(0.1)):
        with pytest.raises(LimitError, match="converters"):
            call()
    assert inner.calls == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"v_read": 0.31}, LimitError),
        ({"v_read": 0.0}, LimitError),
        ({"v_read": NAN}, LimitError),
        ({"v_gate": -0.1}, LimitError),
        ({"v_gate": NAN}, LimitError),
        ({"i_read": 0.0}, LimitError),
        ({"i_vmm": (70e-6, NAN)}, LimitError),
        ({"i_vmm": (70e-6,)}, ConfigError),
    ],
)
def test_converter_settings_beyond_the_limits_are_refused(change, error):
    inner = Recorder()
    guarded = Guarded(inner, LIMITS)
    with pytest.raises(error):
        guarded.configure(dataclasses.replace(inner.converters, **change))
    assert inner.calls == []


def test_other_malformed_requests_are_refused():
    inner = Recorder()
    guarded = Guarded(inner, LIMITS)
    with pytest.raises(ValueError, match="does not fit"):
        guarded.pulse(np.ones(5), 1e-6, cells=np.array([1, 2]))
    with pytest.raises(ValueError, match="does not fit"):
        guarded.pulse(np.ones((3, 1)), 1e-6, cells=np.array([1]))
    with pytest.raises(LimitError, match="averages"):
        guarded.read(0.1, averages=0)
    with pytest.raises(LimitError, match="target"):
        guarded.run_job("write_verify", {}, np.array([1]), np.array([NAN]))
    with pytest.raises(LimitError, match="read voltage"):  # and the job is not run
        guarded.run_job_and_read("write_verify", {}, np.array([1]), np.array([1e-6]), 0.31)
    with pytest.raises(LimitError, match="integer addresses"):
        guarded.read(0.1, cells=np.array([1.0]))
    assert inner.calls == []


def test_no_cells_are_within_the_limits():
    inner = Recorder()
    none = np.array([], np.int64)
    guarded = Guarded(inner, LIMITS)
    guarded.pulse(np.array([]), 1e-6, cells=none)
    guarded.pulse_and_read(np.array([]), 1e-6, 0.1, none)
    assert len(inner.calls) == 2


def test_jobs_counters_ground_and_close_are_handed_on():
    inner = Recorder()
    with Guarded(inner, LIMITS) as guarded:
        settings = {
            "set_stop": 3.0,
            "reset_stop": 2.5,
            "v_read": 0.1,
            "width": 1e-6,
            "cycles": 5,
        }
        guarded.run_job("write_verify", settings, np.array([1]), np.array([1e-6]))
        guarded.counters()
        guarded.ground()
    assert [verb for verb, _ in inner.calls] == ["run_job", "counters", "ground", "close"]
