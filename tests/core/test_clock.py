"""Clocks: the real one moves by itself, the virtual one only when somebody sleeps."""

import time

import pytest

from cimlab.core.clock import RealClock, RestingClock, VirtualClock


def test_the_real_clock_waits():
    clock = RealClock()
    start, wall = clock.now(), time.perf_counter()
    clock.sleep(0.02)
    assert clock.now() - start >= 0.02
    assert time.perf_counter() - wall >= 0.02


def test_a_day_of_the_virtual_clock_takes_no_time():
    clock = VirtualClock(5.0)
    wall = time.perf_counter()
    clock.sleep(86_400.0)
    assert clock.now() == 86_405.0
    assert time.perf_counter() - wall < 20.0


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="cannot sleep"):
        VirtualClock().sleep(-1.0)


def test_whoever_sleeps_on_a_resting_clock_ages_the_cells():
    ages = []
    clock = RestingClock(ages.append)
    clock.sleep(3600.0)
    with pytest.raises(ValueError, match="cannot sleep"):
        clock.sleep(-1.0)
    assert ages == [3600.0]
    assert clock.now() == 3600.0
