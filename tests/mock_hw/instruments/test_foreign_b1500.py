"""Other people's drivers for the B1500A, unmodified, in a typical session over TCP.

QCoDeS refuses every mainframe with a pulse generator in it, so it gets one without.
"""

import contextlib

import numpy as np
import pytest
from pymeasure.instruments.agilent import AgilentB1500
from pymeasure.instruments.agilent.agilentB1500 import (
    SPGUChannelOutputMode,
    SPGUOperationMode,
    SPGUOutputMode,
)
from qcodes.instrument_drivers.Keysight.keysightb1500 import KeysightB1500, constants

from cimlab.mock_hw.instruments import Bench, BenchServer, dut, serve
from cimlab.mock_hw.instruments.keysightb1500 import KeysightB1500 as Emulator

OHM = 10e3
NAME = "keysightb1500"
EXACT = 5e-3


@contextlib.contextmanager
def pymeasure(device):
    """An initialised driver; at the end the instrument must have met no error."""
    with serve([NAME], device) as server:
        analyzer = AgilentB1500(server.resources[NAME], visa_library="@py")
        try:
            analyzer.reset()
            analyzer.initialize_all_smus()
            analyzer.initialize_all_spgus()
            yield analyzer
            assert analyzer.check_errors() is None
        finally:
            analyzer.adapter.close()


def test_pymeasure_sweeps_a_resistor():
    with pymeasure(f"resistor:{OHM}") as analyzer:
        assert analyzer.query_modules() == {1: "HRSMU", 2: "HRSMU", 3: "SPGU"}
        analyzer.data_format(21, mode=1)
        analyzer.auto_calibration = False
        analyzer.adc_setup("HSADC", "PLC", 1)
        analyzer.adc_averaging(1)
        analyzer.adc_auto_zero = False
        analyzer.parallel_meas = True
        for smu in analyzer.smu_references:
            smu.enable()
            smu.adc_type = "HSADC"
            smu.meas_range_current = "1 nA"
            smu.meas_op_mode = "COMPLIANCE_SIDE"
            smu.force("Voltage", "Auto Ranging", 0.5, 1e-3)
        assert analyzer.smu1.status["SMU1"]["Voltage Output (V)"] == "0.5"
        assert analyzer.parallel_meas
        assert not analyzer.auto_calibration
        analyzer.meas_mode("STAIRCASE_SWEEP", analyzer.smu1, analyzer.smu2)
        analyzer.sweep_timing(0, 0.001)
        analyzer.sweep_auto_abort(False, post="STOP")
        smu = analyzer.smu1
        smu.staircase_sweep_source("Voltage", "LINEAR_DOUBLE", "Auto Ranging", 0, 1, 6, 5e-5)
        settings = analyzer.query_staircase_sweep_settings()
        assert settings["SMU1"]["Number of Steps"] == "6"
        analyzer.clear_buffer()
        analyzer.clear_timer()
        analyzer.send_trigger()
        rows = [analyzer.read_channels(3) for _ in range(12)]
        analyzer.adapter.flush_read_buffer()
        volts = [*np.linspace(0, 1, 6), *np.linspace(1, 0, 6)]
        assert [source[3] for _, _, source in rows] == pytest.approx(volts)
        assert [source[0] for _, _, source in rows] == ["001"] * 11 + ["130"]
        current = np.array([mine[3] for mine, _, _ in rows])
        assert current == pytest.approx(np.minimum(np.array(volts) / OHM, 5e-5), rel=EXACT)
        limited = [mine[0] for mine, _, _ in rows]
        assert limited == ["008" if v > 0.51 else "000" for v in volts]
        analyzer.force_gnd()
        assert analyzer.smu1.status["SMU1"]["Voltage Output (V)"] == "0"
        analyzer.restore_settings()
        smu.disable()
        assert smu.status == {"SMU1": "OFF"}


def test_pymeasure_samples_and_reports_mistakes():
    with pymeasure(f"resistor:{OHM}") as analyzer:
        analyzer.data_format(1, mode=0)
        analyzer.smu1.enable()
        analyzer.sampling_mode = "LINEAR"
        analyzer.meas_mode("SAMPLING", analyzer.smu1)
        analyzer.sampling_timing(0.0, 0.01, 5)
        analyzer.sampling_auto_abort(False)
        analyzer.smu1.sampling_source("Voltage", "Auto Ranging", 0, 0.2, 1e-3)
        analyzer.send_trigger()
        data = analyzer.read().split(",")
        assert len(data) == 5
        assert [float(text[3:]) for text in data] == pytest.approx([0.2 / OHM] * 5, rel=EXACT)
        with pytest.raises(OSError, match="123: Compliance"):
            analyzer.smu1.force("Voltage", "Auto Ranging", 80.0, 0.05)
        with pytest.raises(OSError, match="200: Channel output switch"):
            analyzer.smu2.force("Voltage", "Auto Ranging", 0.1, 1e-3)


def test_pymeasure_pulses_a_cell():
    cell = dut("brram")
    with pymeasure(cell) as analyzer:
        generator, channel = analyzer.spgu3, analyzer.spgu3.ch1
        generator.operation_mode = SPGUOperationMode.PG
        generator.period = 1e-5
        generator.set_output_mode("COUNT", 4)
        assert generator.get_output_mode() == (SPGUOutputMode.COUNT, 4)
        channel.enabled = True
        channel.load_impedance = 1e6
        channel.output_mode = SPGUChannelOutputMode.SIGNAL_SOURCE_1
        channel.set_output_voltage(1, 0, 2.5)
        channel.set_pulse_timings(1, 0, 1e-6, 2e-8)
        channel.apply_setup()
        generator.output = True
        assert generator.complete
        generator.output = False
        channel.enabled = False
        assert generator.period == pytest.approx(1e-5)
        assert channel.load_impedance == 1e6
        assert channel.output_mode == SPGUChannelOutputMode.SIGNAL_SOURCE_1
        assert channel.get_output_voltage(1) == (0, 2.5)
        assert channel.get_pulse_timings(1) == (0, 1e-6, 2e-8, 2e-8)
        assert cell.pulses.tolist() == [[4]]


@pytest.fixture
def qcodes():
    bench = Bench(dut(f"resistor:{OHM}"))
    with BenchServer(bench, {NAME: Emulator(bench, ["B1517A", "B1517A"])}) as server:
        analyzer = KeysightB1500("foreign", server.resources[NAME], visalib="@py")
        analyzer.reset()
        yield analyzer
        assert analyzer.error_message() == '+0,"No Error."'
        analyzer.close()


def test_qcodes_measures_and_samples_a_resistor(qcodes):
    smu = qcodes.smu1
    qcodes.enable_channels()
    assert smu.is_enabled()
    qcodes.use_nplc_for_high_speed_adc(1)
    qcodes.autozero_enabled(True)
    smu.use_high_speed_adc()
    smu.source_config(constants.VOutputRange.AUTO, 1e-4)
    smu.i_measure_range_config(constants.IMeasRange.AUTO)
    smu.voltage(0.5)
    assert smu.current() == pytest.approx(0.5 / OHM, rel=EXACT)
    assert smu.current.measurement_status == constants.MeasurementStatus.N
    smu.voltage(5)
    assert smu.current() == pytest.approx(1e-4, rel=1e-6)
    assert smu.current.measurement_status == constants.MeasurementStatus.C
    smu.source_config(constants.IOutputRange.AUTO, 5)
    smu.current(2e-5)
    assert smu.voltage() == pytest.approx(2e-5 * OHM, rel=EXACT)
    smu.source_config(constants.VOutputRange.AUTO, 1e-3)
    smu.voltage(0.1)
    smu.measurement_mode(constants.MM.Mode.SAMPLING)
    smu.timing_parameters(0, 0.01, 7)
    assert smu.sampling_measurement_trace() == pytest.approx([0.1 / OHM] * 7, rel=EXACT)
    assert smu.sampling_measurement_trace.compliance() == [1] * 7
    qcodes.snapshot(update=True)
    qcodes.disable_channels()
    assert not smu.is_enabled()


def test_qcodes_sweeps_a_resistor(qcodes):
    qcodes.enable_channels()
    qcodes.smu1.setup_staircase_sweep(0, 1, 11, i_comp=1e-3, i_meas_range=constants.IMeasRange.AUTO)
    qcodes.smu2.source_config(constants.VOutputRange.AUTO, 1e-3)
    qcodes.smu2.voltage(0)
    qcodes.set_measurement_mode(constants.MM.Mode.STAIRCASE_SWEEP, [1, 2])
    sweep = qcodes.run_iv_staircase_sweep
    sweep.set_names_labels_and_units()
    first, second = sweep()
    assert first == pytest.approx(np.linspace(0, 1, 11) / OHM, rel=EXACT, abs=1e-12)
    assert second == [0] * 11  # its terminal hangs free
    assert sweep.status_summary()["param1"] == constants.MeasurementStatus.N
    assert qcodes.smu1.voltage() == pytest.approx(1.0)  # the stop value stays
    assert qcodes.self_calibration() == constants.CALResponse.PASSED
    qcodes.disable_channels()


def test_qcodes_hears_of_mistakes(qcodes):
    with pytest.raises(RuntimeError, match="200"):
        qcodes.smu1.voltage(1.0)
    with pytest.raises(RuntimeError, match="100.*Undefined"):
        qcodes.write("*CLS")
