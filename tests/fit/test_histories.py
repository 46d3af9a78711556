"""Run files to histories."""

from dataclasses import replace

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import ConfigError
from cimlab.fit.histories import Table, histories, is_retention, stuck
from cimlab.fit.synthetic import Lab
from cimlab.measure import measure
from cimlab.mock_hw.devices.brram import BulkRram
from cimlab.protocols.procedure import finish
from cimlab.protocols.pulse_trains import PulsesPlan


def lab(*runs, cells=4):
    made = Lab(BulkRram(), cells)
    for v in runs:
        made.run(v)
    return made


def test_each_cell_lives_its_runs_in_order():
    data = histories(lab([0, 1.8, -1.5], [2.0, 2.1]).tables)
    np.testing.assert_array_equal(data.v[:, 0], [0, 1.8, -1.5, 2.0, 2.1])
    np.testing.assert_array_equal(data.fresh[:, 0], [True, False, False, True, False])


def test_rows_may_come_cell_by_cell_or_step_by_step():
    [table] = lab([0, 1.8, -1.5]).tables
    order = np.argsort(table.cell, kind="stable")
    names = table.__dataclass_fields__
    apart = replace(table, **{name: getattr(table, name)[order] for name in names})
    np.testing.assert_array_equal(histories([apart]).g, histories([table]).g)


def test_saturated_readings_are_no_readings_but_their_pulses_count():
    [table] = lab([0, 2.6, -1.5]).tables
    clipped = replace(table, saturated=table.v > 0)
    data = histories([clipped])
    assert np.isnan(data.g[1]).all() and (data.v[1] == 2.6).all()
    assert np.isfinite(data.g[[0, 2]]).all()


def test_an_iv_sweep_only_interrupts():
    """Its points are read at the voltage that moves the cell."""
    [table] = lab([0, 1.8, 1.9, 2.0]).tables
    sweep = replace(table, v_read=np.where(table.v == 1.9, 1.9, table.v_read))
    data = histories([sweep])
    np.testing.assert_array_equal(data.v[:, 0], [0, 1.8, 2.0])
    np.testing.assert_array_equal(data.fresh[:, 0], [True, False, True])


def test_two_read_voltages_are_refused():
    first, second = lab([0, 1.8], [0, 1.8]).tables
    with pytest.raises(ConfigError, match=r"read at 0\.1, 0\.2 V"):
        histories([first, replace(second, v_read=2 * second.v_read)])


def test_stuck_cells_are_seen():
    made = Lab(BulkRram(), 12)
    made.stuck[[3, 7]] = True
    made.run(np.r_[np.full(8, 2.4), np.full(8, -2.4)])
    np.testing.assert_array_equal(np.flatnonzero(stuck(histories(made.tables))), [3, 7])


def test_retention_is_a_long_run_without_pulses():
    made = Lab(BulkRram(), 3)
    made.run([0, 0, 0], rest=4000.0)
    made.run([0, 0, 0])
    made.run([0, 1.8, 0], rest=4000.0)
    assert [is_retention(table) for table in made.tables] == [True, False, False]


def test_a_run_file_tells_the_same_as_the_array(tmp_path):
    path = tmp_path / "pulses.h5"
    plan = PulsesPlan(n_up=3, n_down=2, averages=8)
    with cimlab.open("model:?tiles=1&rows=2&cols=2") as array:
        result = finish(measure(array, "pulses", plan, np.arange(4), path))
    table = Table.of_run(path)
    data = histories([table])
    assert (table.averages == 8).all()
    np.testing.assert_array_equal(data.count[-6:, 0], [10, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(1e-6 * data.g[-6:-2].mean(axis=1), result.up, rtol=1e-9)


def test_a_run_without_points_is_refused(tmp_path):
    from cimlab.records import Header, RunWriter

    with cimlab.open("model:?tiles=1&rows=2&cols=2") as array:
        RunWriter.create(tmp_path / "train.h5", Header("train", array.spec)).close()
    with pytest.raises(ConfigError, match="train run and holds no points"):
        Table.of_run(tmp_path / "train.h5")
