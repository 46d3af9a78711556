"""An array as an instrument of QCoDeS and of PyMeasure."""

import numpy as np
import pytest
from pymeasure.experiment import Procedure
from qcodes.station import Station

import cimlab
from cimlab.core.errors import LimitError
from cimlab.interfaces import pymeasure

CHIP = "model:?tiles=2&rows=4&cols=3&seed=5"
STATION = f"""
instruments:
  chip:
    type: cimlab.interfaces.qcodes.CimInstrument
    init: {{station: "{CHIP}"}}
"""


@pytest.fixture
def as_read():
    """What two reads of the chip say, and the chip after a pulse."""
    with cimlab.open(CHIP) as array:
        readings = [array.read(0.1).current, array.read(0.1).g]
        array.pulse(2.0, 1e-6)
        return [*readings, array.read(0.1, averages=4).g]


@pytest.fixture
def chip(tmp_path):
    station = Station(config_file=None)
    station.load_config(STATION)
    instrument = station.load_instrument("chip")
    yield instrument
    instrument.close()


class TestQcodes:
    def test_parameters_are_the_arrays_readings(self, chip, as_read):
        np.testing.assert_array_equal(chip.current(), as_read[0])
        np.testing.assert_array_equal(chip.conductance(), as_read[1])
        chip.averages(4)
        chip.pulse(2.0, 1e-6)
        np.testing.assert_array_equal(chip.conductance(), as_read[2])
        assert [p().size for p in chip.conductance.setpoints] == [2, 4, 3]
        assert (chip.conductance.unit, chip.current.unit) == ("S", "A")

    def test_settings_go_through_the_limits(self, chip):
        chip.v_read(0.2)
        assert chip.array.converters.v_read == 0.2
        with pytest.raises(LimitError):
            chip.v_read(9.0)
        with pytest.raises(LimitError):
            chip.pulse(9.0, 1e-6)

    def test_a_snapshot_tells_what_was_measured(self, chip):
        told = chip.snapshot(update=True)
        assert told["metadata"]["station"] == CHIP
        assert told["parameters"]["v_gate"]["value"] == chip.array.converters.v_gate
        assert "2x4x3" in told["parameters"]["IDN"]["value"]["model"]


class Deepen(Procedure):
    """As a laboratory writes one."""

    DATA_COLUMNS = ("pulses", "g")

    def startup(self):
        self.chip = pymeasure.CimInstrument(CHIP)

    def execute(self):
        for k in range(3):
            self.emit("results", {"pulses": k, "g": self.chip.conductance.mean()})
            self.chip.pulse(2.0, 1e-6)

    def shutdown(self):
        self.chip.shutdown()


class TestPymeasure:
    def test_a_procedure_measures(self):
        procedure, found = Deepen(), []
        procedure.emit = lambda _, data: found.append(data["g"])
        procedure.startup()
        procedure.execute()
        procedure.shutdown()
        assert found == sorted(found)
        assert found[2] > 1.1 * found[0]
        assert procedure.chip.isShutdown

    def test_properties_are_the_arrays_readings(self, as_read):
        with pymeasure.CimInstrument(CHIP) as chip:
            np.testing.assert_array_equal(chip.current, as_read[0])
            np.testing.assert_array_equal(chip.conductance, as_read[1])
            chip.averages = 4
            chip.pulse(2.0, 1e-6)
            np.testing.assert_array_equal(chip.conductance, as_read[2])
            chip.v_gate = 1.0
            assert (chip.v_gate, chip.array.converters.v_gate) == (1.0, 1.0)
            with pytest.raises(LimitError):
                chip.v_read = 9.0
            assert "2x4x3" in chip.id
