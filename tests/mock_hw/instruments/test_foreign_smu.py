"""Other people's SMU drivers, unmodified, in a typical session on the emulators over TCP."""

import numpy as np
import pytest
from pymeasure.instruments.keithley import Keithley2400 as PyMeasure2400
from pymeasure.instruments.keithley import Keithley2450 as PyMeasure2450
from pymeasure.instruments.keithley import Keithley2600 as PyMeasure2600
from pymeasure.instruments.keithley import Keithley4200 as PyMeasure4200
from pymeasure.instruments.keithley.keithley4200 import StatusCode
from qcodes.dataset import LinSweep
from qcodes.instrument_drivers.Keithley import Keithley2400 as QCoDeS2400
from qcodes.instrument_drivers.Keithley import Keithley2450 as QCoDeS2450
from qcodes.instrument_drivers.Keithley import Keithley2636B as QCoDeS2636B

from cimlab.mock_hw.instruments import serve
from tests.mock_hw.instruments.foreign import opened

OHM = 10e3


def test_pymeasure_2400():
    with opened(PyMeasure2400, "keithley2400") as smu:
        pymeasure_2400(smu)


def pymeasure_2400(smu):
    smu.reset()
    assert "MODEL 2400" in smu.id
    assert smu.resistance == pytest.approx(OHM, rel=5e-3)
    smu.source_mode = "voltage"
    smu.source_voltage_range = 2
    smu.compliance_current = 1e-4
    smu.source_voltage = 0.5
    smu.current_nplc = 0.1
    smu.source_enabled = True
    assert smu.current == pytest.approx(0.5 / OHM, rel=5e-3)
    everything = smu.measure_all()
    assert everything["resistance"] == pytest.approx(OHM, rel=5e-3)
    assert everything["status"] & 8 == 0
    smu.ramp_to_voltage(5, steps=3, pause=0)
    everything = smu.measure_all()
    assert everything["current"] == pytest.approx(1e-4, rel=1e-6)
    assert everything["voltage"] == pytest.approx(1.0, rel=5e-3)
    assert everything["status"] & 8 == 8
    smu.source_voltage = 0.1
    smu.config_buffer(4)
    smu.start_buffer()
    smu.wait_for_buffer(timeout=1, interval=0)
    assert smu.buffer_data.size == 4 * 5
    assert smu.mean_current == pytest.approx(0.1 / OHM, rel=5e-3)
    assert smu.std_current == 0
    assert smu.check_errors() == []
    smu.shutdown()
    assert not smu.source_enabled


def test_qcodes_2400():
    with opened(QCoDeS2400, "keithley2400") as smu:
        qcodes_2400(smu)


def qcodes_2400(smu):
    smu.mode("VOLT")
    smu.compliancei(1e-3)
    smu.volt(1.0)
    smu.output(True)
    assert smu.resistance() == pytest.approx(OHM, rel=5e-3)
    assert smu.curr() == pytest.approx(1.0 / OHM, rel=5e-3)
    assert smu.snapshot(update=True)["parameters"]["compliancei"]["value"] == 1e-3
    smu.output(False)


def test_pymeasure_2450():
    with opened(PyMeasure2450, "keithley2450") as smu:
        pymeasure_2450(smu)


def pymeasure_2450(smu):
    smu.reset()
    smu.apply_voltage(compliance_current=1e-3)
    smu.source_voltage = 1
    smu.measure_current(nplc=0.1)
    smu.enable_source()
    assert smu.current == pytest.approx(1 / OHM, rel=5e-3)
    smu.measure_resistance()
    assert smu.resistance == pytest.approx(OHM, rel=5e-3)
    smu.apply_current(compliance_voltage=2)
    smu.source_current = 1e-5
    smu.measure_voltage()
    smu.enable_source()
    assert smu.voltage == pytest.approx(1e-5 * OHM, rel=5e-3)
    assert smu.check_errors() == []
    smu.disable_source()
    assert not smu.source_enabled


def test_qcodes_2450():
    with opened(QCoDeS2450, "keithley2450") as smu:
        qcodes_2450(smu)


def qcodes_2450(smu):
    smu.reset()
    smu.source.function("voltage")
    smu.sense.function("current")
    smu.source.limit(1e-4)
    smu.source.voltage(0.2)
    with smu.output_enabled.set_to(True):
        assert smu.sense.current() == pytest.approx(0.2 / OHM, rel=5e-3)
        assert not smu.source.limit_tripped()
        smu.source.voltage(2)
        assert smu.sense.current() == pytest.approx(1e-4, rel=1e-6)
        assert smu.source.limit_tripped()
    smu.source.limit(1e-2)
    smu.source.sweep_setup(0, 1, 11)
    assert smu.sense.sweep() == pytest.approx(np.linspace(0, 1, 11) / OHM, rel=5e-3)
    with smu.buffer("mine", 100) as buffer:
        buffer.elements(["measurement", "source_value_status"])
        smu.sense.function("resistance")
        smu.output_enabled(True)
        buffer.trigger_start()
        reading, status = buffer.get_last_reading().split(",")
    assert float(reading) == pytest.approx(OHM, rel=5e-3)
    assert int(status) & 32 == 0
    smu.output_enabled(False)


@pytest.mark.filterwarnings("ignore:It is not known whether:FutureWarning")
def test_pymeasure_2600():
    with opened(PyMeasure2600, "keithley2636b") as smu:
        channel = smu.ChA
        channel.source_mode = "voltage"
        channel.compliance_current = 1e-4
        channel.source_voltage = 0.5
        channel.source_output = "ON"
        assert channel.current == pytest.approx(0.5 / OHM, rel=5e-3)
        assert channel.voltage == pytest.approx(0.5, rel=5e-3)
        assert channel.resistance == pytest.approx(OHM, rel=5e-3)
        channel.source_voltage = 5
        assert channel.current == pytest.approx(1e-4, rel=1e-4)
        assert channel.check_errors() == []
        channel.shutdown()
        assert channel.source_output == "OFF"


def test_qcodes_2636b():
    with opened(QCoDeS2636B, "keithley2636b") as smu:
        smu.reset()
        channel = smu.smua
        channel.mode("voltage")
        channel.limiti(1e-3)
        channel.nplc(0.1)
        channel.output(True)
        channel.volt(1.0)
        assert channel.curr() == pytest.approx(1 / OHM, rel=5e-3)
        assert channel.res() == pytest.approx(OHM, rel=5e-3)
        channel.setup_fastsweep(LinSweep(channel.volt, 0, 1, 11))
        swept = channel.fastsweep()
        assert swept == pytest.approx(np.linspace(0, 1, 11) / OHM, rel=5e-3, abs=1e-9)
        channel.output(False)


@pytest.mark.parametrize("volts", [1.0, -0.5, 0.25])
def test_pymeasure_4200(volts):
    with serve(["keithley4200"], f"resistor:{OHM}") as server:
        analyzer = PyMeasure4200(server.resources["keithley4200"], visa_library="@py")
        assert "KI4200" in analyzer.id
        assert analyzer.options[:4] == ["SMU1", "SMU2", "SMU3", "SMU4"]
        analyzer.clear()
        smu = analyzer.smu1
        smu.voltage_setpoint = (0, volts, 1e-3)
        assert analyzer.status == StatusCode.NONE
        assert smu.current == pytest.approx(volts / OHM, rel=5e-3)
        assert analyzer.status == StatusCode.DATA_READY
        smu.voltage_setpoint = (0, 10 * volts, 1e-5)
        assert abs(smu.current) == pytest.approx(1e-5)
        smu.current_setpoint = (0, 1e-5, 10)
        assert smu.voltage == pytest.approx(1e-5 * OHM, rel=5e-3)
        smu.disable()
        assert smu.current == 0
        analyzer.adapter.close()
