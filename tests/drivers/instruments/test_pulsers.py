"""The pulse generators by their datasheets, then on a cell that feels their pulses."""

import pytest

from cimlab.core.errors import InstrumentError, LimitError
from cimlab.drivers.instruments import open_instrument
from cimlab.drivers.instruments.keysight_pulsers import Keysight33500B, Keysight81160A
from cimlab.mock_hw.instruments import dut, serve
from tests.drivers.instruments.script import Script

OK = ("SYST:ERR?", '+0,"No error"')
MODELS = ["keysight81160a", "keysight33522b"]


def test_81160a_datasheet():
    script = Script(
        ("*IDN?", "Agilent Technologies,81160A,DE50C00123,1.0.3.0-2.6"),
        ("*CLS", None),
        ("*RST", None),
        ("OUTP1:LOAD INF", None),
        ("FUNC1 PULS", None),
        ("PULS:HOLD1 WIDT", None),
        ("ARM:SOUR1 MAN", None),
        OK,
    )
    pulser = Keysight81160A(script)
    script.more(
        ("OUTP1:POL NORM", None),
        ("VOLT1:HIGH 2.5", None),
        ("VOLT1:LOW 0", None),
        ("PULS:WIDT1 1.5e-09", None),
        ("PULS:PER1 2e-06", None),
        ("PULS:WIDT1 1e-06", None),
        ("TRIG1:COUN 3", None),
        ("OUTP1 1", None),
        ("*TRG", None),
        OK,
        ("*OPC?", "1"),
        ("OUTP1 0", None),
        OK,
    )
    pulser.pulse(2.5, 1e-6, 3)
    script.more(("OUTP1 0", None), OK)
    pulser.close()
    script.done()


def test_33500b_datasheet():
    script = Script(
        ("*IDN?", "Agilent Technologies,33522B,MY52800123,4.00"),
        ("*CLS", None),
        ("*RST", None),
        ("OUTP1:LOAD INF", None),
        ("SOUR1:FUNC PULS", None),
        ("SOUR1:FUNC:PULS:HOLD WIDT", None),
        ("SOUR1:BURS:MODE TRIG", None),
        ("SOUR1:BURS:STAT 1", None),
        ("TRIG1:SOUR BUS", None),
        OK,
    )
    pulser = Keysight33500B(script)
    script.more(
        ("OUTP1:POL INV", None),
        ("SOUR1:VOLT:LOW -2", None),
        ("SOUR1:VOLT:HIGH 0", None),
        ("SOUR1:FUNC:PULS:WIDT 1.6e-08", None),
        ("SOUR1:FUNC:PULS:PER 2e-07", None),
        ("SOUR1:FUNC:PULS:WIDT 5e-08", None),
        ("SOUR1:BURS:NCYC 1", None),
        ("OUTP1 1", None),
        ("*TRG", None),
        OK,
        ("*OPC?", "1"),
        ("OUTP1 0", None),
        OK,
    )
    pulser.pulse(-2.0, 50e-9)
    script.more(("OUTP1 0", None), OK)
    pulser.close()
    script.done()


@pytest.mark.parametrize("model", MODELS)
def test_a_cell_feels_exactly_the_pulses_that_were_asked_for(model):
    """The same pulses applied to a twin of the device by hand: amplitude, width and count."""
    device, twin = dut("brram", seed=5), dut("brram", seed=5)
    with serve([model], device) as server, open_instrument(model, server.resources[model]) as p:
        for v, width, count in ((-2.5, 1e-6, 7), (2.0, 2e-6, 3), (-3.0, 100e-9, 1), (1.0, 1e-4, 2)):
            p.pulse(v, width, count)
            seen = v / (1 + 50 * twin.conductances[0, 0])  # behind 50 ohm
            twin.pulse(twin.conductances * 0 + seen, width, count)
            assert device.conductances == pytest.approx(twin.conductances, rel=1e-3)
            assert device.pulses.tolist() == twin.pulses.tolist()
            assert not p.output


@pytest.mark.parametrize("model", MODELS)
def test_limits_hold_on_both_sides(model):
    device = dut("brram")
    with serve([model], device) as server, open_instrument(model, server.resources[model]) as p:
        for v, width, count in ((10.1, 1e-6, 1), (0, 1e-6, 1), (1, 1e-9, 1), (1, 1e-6, 0)):
            with pytest.raises(LimitError):
                p.pulse(v, width, count)
        p.protect(-2.0, 2.5)
        p.pulse(2.5, 1e-6)
        p.pulse(-2.0, 1e-6)
        for v in (2.6, -2.1):
            with pytest.raises(InstrumentError, match="-222"):
                p.pulse(v, 1e-6)
            p.off()
        assert device.pulses.tolist() == [[2]]


@pytest.mark.parametrize("model", MODELS)
def test_the_load_scales_the_amplitude(model):
    """Meant for 50 ohm, a cell gets twice the level: that is why the driver says INFinity."""
    device = dut("resistor:1e9")
    felt = []
    device.pulse = lambda v, width, count=1: felt.append(float(v.max()))
    with serve([model], device) as server, open_instrument(model, server.resources[model]) as p:
        p.pulse(1.0, 1e-6)
        assert felt == [pytest.approx(1.0, rel=1e-6)]
        p.load = 50.0
        assert p.high == pytest.approx(0.5)
        p.pulse(1.0, 1e-6)
        assert felt[1] == pytest.approx(2.0, rel=1e-6)
