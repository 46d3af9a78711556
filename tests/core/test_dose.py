"""What may heat a cell: energy a call, and the share of time that cells are driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.core.dose import Dose
from cimlab.core.errors import ConfigError, LimitError
from cimlab.core.station import load_station
from cimlab.rig import open_array

LIMITS = """
[array]
connect = "model:?tiles=1&rows=4&cols=4"
[array.limits]
"""


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 9)), min_size=1, max_size=6),
    st.floats(1e-8, 1e-3),
    st.booleans(),
    st.floats(1e-13, 1e-4),
)
def test_energy_is_refused_beyond_just_what_is_allowed(
    pulses: list[tuple[float, int]], width: float, one_cell: bool, allowed: float
) -> None:
    g = 2e-4
    each = [v * v * g * width * n for v, n in pulses]
    energy = sum(each) if one_cell else max(each)
    v, count = np.array([v for v, _ in pulses]), np.array([n for _, n in pulses])
    times = [width * n if v else 0.0 for v, n in pulses]
    driven = sum(times) if one_cell else max(times)
    dose = Dose(energy_max=energy * (1 + 1e-9) + 1e-30, g_max=g)
    assert dose.seconds(v, width, count, one_cell) == pytest.approx(driven)
    if energy > allowed * 1.000001:
        with pytest.raises(LimitError, match="energy_max"):
            Dose(allowed, g).seconds(v, width, count, one_cell)


def test_nothing_is_applied_beyond_the_energy(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    station.write_text(LIMITS + "energy_max = 1e-9\ng_max = 100e-6\n")
    with open_array(station) as array:
        cells = np.arange(3)
        # 1 V in 100 uS for 10 us: 1 nJ a pulse at 1 V
        array.pulse(1.0, 1e-5, 1, cells)
        for v, width, count in ((1.01, 1e-5, 1), (1.0, 1e-5, 2), (-1.0, 1.1e-5, 1)):
            with pytest.raises(LimitError, match="g_max"):
                array.pulse(v, width, count, cells)
            with pytest.raises(LimitError, match="g_max"):
                array.pulse_and_read(v, width, 0.1, cells, count)
        assert array.counters().sum() == 3
        # nobody knows beforehand what a job applies
        assert not any(name.startswith("job:") for name in array.spec.capabilities)


def test_cells_rest_between_pulses(tmp_path: Path) -> None:
    """By the clock of the cells, which is virtual here."""
    station = tmp_path / "station.toml"
    station.write_text(LIMITS + "duty_max = 0.01\n")
    with open_array(station) as array:
        cells = np.arange(2)
        began = array.clock.now()
        array.pulse(0.5, 1e-3, np.array([1, 10]), cells)
        assert array.clock.now() == began
        array.read(0.1, cells)  # reads need not wait
        assert array.clock.now() == began
        array.pulse_and_read(0.5, 1e-3, 0.1, cells)
        assert array.clock.now() - began == pytest.approx(99 * 10e-3, rel=0.02)
        array.pulse(0.0, 1e-3, 1, cells)
        array.pulse(0.5, 1e-3, 1, cells)
        assert array.clock.now() - began == pytest.approx(99 * 11e-3, rel=0.02)


@pytest.mark.parametrize(
    "limits", ["energy_max = 1e-9", "duty_max = 0.0", "duty_max = 1.1", "energy_max = -1.0"]
)
def test_budgets_that_mean_nothing_are_refused(tmp_path: Path, limits: str) -> None:
    station = tmp_path / "station.toml"
    station.write_text(LIMITS + limits + "\n")
    with pytest.raises(ConfigError, match="energy_max|duty_max"):
        load_station(station)
