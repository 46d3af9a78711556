"""Other people's drivers of pulse generators, unmodified, on the emulators."""

import pytest
from pymeasure.instruments.agilent import Agilent33500
from pymeasure.instruments.keysight import Keysight81160A
from qcodes.instrument_drivers.Keysight import Keysight33522B

from cimlab.mock_hw.instruments import dut
from tests.mock_hw.instruments.foreign import opened


def test_pymeasure_81160a():
    cell = dut("brram")
    with opened(Keysight81160A, "keysight81160a", device=cell) as generator:
        generator.reset()
        channel = generator.channels[1]
        channel.shape = "PULS"
        channel.output_load = 1e6
        channel.pulse_period = 1e-5
        channel.pulse_width = 1e-6
        channel.pulse_transition = 1e-8
        channel.voltage_high = 3.0
        channel.voltage_low = 0
        channel.trigger_mode = "MAN"
        channel.trigger_count = 5
        channel.output = True
        assert channel.voltage_high == pytest.approx(3.0)
        assert channel.amplitude == pytest.approx(3.0)
        assert channel.offset == pytest.approx(1.5)
        assert channel.pulse_dutycycle == pytest.approx(10.0)
        assert generator.ask(":BURS1:STAT?").strip() == "1"
        before = cell.conductances[0, 0]
        generator.trigger()
        channel.output = False
        assert generator.complete == "1"
        assert cell.pulses.tolist() == [[5]]
        assert cell.conductances[0, 0] > before
        channel.apply_dc(0.3)
        assert channel.shape == "DC"
        channel.limit_high = 1.0
        channel.limit_state_enabled = True
        channel.output = False


def test_pymeasure_33500b():
    cell = dut("brram")
    with opened(Agilent33500, "keysight33522b", device=cell) as generator:
        generator.reset()
        generator.shape = "PULS"
        generator.output_load = "INF"
        generator.pulse_period = 1e-5
        generator.pulse_width = 1e-6
        generator.pulse_transition = 1e-8
        generator.voltage_high = 0.5
        generator.voltage_low = 0
        generator.burst_mode = "TRIG"
        generator.burst_ncycles = 4
        generator.burst_state = True
        generator.trigger_source = "BUS"
        generator.output = True
        assert generator.amplitude == pytest.approx(0.5)
        generator.voltage_high = 2.5
        generator.trigger()
        generator.wait_for_trigger(timeout=1)
        generator.output = False
        assert generator.complete == "1"
        assert cell.pulses.tolist() == [[4]]
        assert generator.check_errors() == []


def test_qcodes_33522b():
    cell = dut("brram")
    with opened(Keysight33522B, "keysight33522b", device=cell) as generator:
        generator.write("*RST")
        channel = generator.ch1
        channel.function_type("PULS")
        channel.frequency(1e5)
        channel.pulse_width(1e-6)
        channel.amplitude(1.0)
        channel.offset(0.5)
        channel.output_polarity("NORM")
        channel.burst_mode("N Cycle")
        channel.burst_ncycles(3)
        channel.burst_state("ON")
        channel.trigger_source("BUS")
        channel.output("ON")
        generator.force_trigger()
        channel.output("OFF")
        assert generator.error()[0] == 0
        assert cell.pulses.tolist() == [[3]]  # 2 V: the load is told to be 50 ohm
        values = channel.snapshot(update=True)["parameters"]
        assert values["pulse_width"]["value"] == 1e-6
        assert values["amplitude"]["value"] == pytest.approx(1.0)
