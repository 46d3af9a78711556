"""The 2450, 2400, 2600B and 4200A by their datasheets, then against their emulators."""

import numpy as np
import pytest

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments import open_instrument
from cimlab.drivers.instruments.keithley import Keithley2400, Keithley2450
from cimlab.drivers.instruments.keithley2600 import Keithley2600B
from cimlab.drivers.instruments.keithley4200 import Keithley4200
from cimlab.mock_hw.instruments import serve
from tests.drivers.instruments.script import Script

OHM = 10e3
OK = ("SYST:ERR?", '0,"No error;0;0 0"')
HELLO_2450 = (
    ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.12b"),
    ("*LANG?", "SCPI"),
    ("*CLS", None),
    ("*RST", None),
    ("SOUR:FUNC VOLT", None),
    ('SENS:FUNC "CURR:DC"', None),
    ("OUTP:VOLT:SMOD HIMP", None),
    OK,
)
HELLO_2400 = (
    ("*IDN?", "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C33"),
    ("*CLS", None),
    ("*RST", None),
    ("SOUR:FUNC VOLT", None),
    ("SENS:FUNC 'VOLT','CURR'", None),
    ("FORM:ELEM VOLT,CURR,STAT", None),
    ("OUTP:SMOD HIMP", None),
    OK,
)


def test_2450_datasheet():
    script = Script(*HELLO_2450)
    smu = Keithley2450(script)
    script.more(("SOUR:VOLT:ILIM 0.0001", None), ("SOUR:VOLT 0.1", None), ("OUTP 1", None), OK)
    smu.apply(0.1, 1e-4)
    script.more(
        ("TRAC:CLE 'defbuffer1'", None),
        ("SENS:COUN 2", None),
        ("TRAC:TRIG 'defbuffer1'", None),
        OK,
        ("TRAC:DATA? 1, 2, 'defbuffer1', SOUR, READ, SOURSTAT", "0.1,1e-5,136,0.09,1e-4,168"),
    )
    samples = smu.measure(2)
    assert samples.v.tolist() == [0.1, 0.09]
    assert samples.i.tolist() == [1e-5, 1e-4]
    assert samples.limited.tolist() == [False, True]
    script.more(
        ("SOUR:VOLT:ILIM 0.001", None),
        ("SOUR:LIST:VOLT 0,0.5,-0.5", None),
        ("SENS:COUN 1", None),
        ("SOUR:SWE:VOLT:LIST 1, 0.01, 1, OFF, 'defbuffer1'", None),
        ("INIT", None),
        ("TRIG:STAT?", "RUNNING;RUNNING;3"),
        ("TRIG:STAT?", "IDLE;IDLE;6"),
        OK,
        (
            "TRAC:DATA? 1, 3, 'defbuffer1', SOUR, READ, SOURSTAT",
            "0,0,136,.5,5e-5,136,-.5,-5e-5,136",
        ),
        ("OUTP 0", None),
        OK,
    )
    sweep = smu.sweep(np.array([0, 0.5, -0.5]), 1e-3, 0.01)
    assert sweep.i.tolist() == [0, 5e-5, -5e-5]
    script.more(("OUTP 0", None), OK)
    smu.close()
    script.done()


def test_2450_in_the_wrong_language_is_refused():
    script = Script(HELLO_2450[0], ("*LANG?", "TSP"))
    with pytest.raises(ConfigError, match="TSP"):
        Keithley2450(script)
    script.done()


def test_2400_datasheet():
    script = Script(*HELLO_2400)
    smu = Keithley2400(script)
    script.more(("SENS:CURR:PROT 0.0001", None), ("SOUR:VOLT 0.1", None), ("OUTP 1", None), OK)
    smu.apply(0.1, 1e-4)
    script.more(
        ("TRIG:COUN 2", None),
        OK,
        ("READ?", "+1.0E-01,+1.0E-05,+2.2528E+04,+1.0E-01,+1.0E-04,+2.2536E+04"),
    )
    samples = smu.measure(2)
    assert samples.i.tolist() == [1e-5, 1e-4]
    assert samples.limited.tolist() == [False, True]
    script.more(
        ("SENS:CURR:PROT 0.001", None),
        ("SOUR:DEL 0.01", None),
        ("TRIG:COUN 2", None),
        ("SOUR:LIST:VOLT 0,0.5", None),
        ("SOUR:VOLT:MODE LIST", None),
        ("OUTP 1", None),
        OK,
        ("READ?", "0,0,0,0.5,5E-5,0"),
        ("OUTP 0", None),
        ("SOUR:VOLT:MODE FIX", None),
        ("SOUR:DEL:AUTO 1", None),
        OK,
    )
    assert smu.sweep(np.array([0, 0.5]), 1e-3, 0.01).i.tolist() == [0, 5e-5]
    script.more(("OUTP 0", None), OK)
    smu.close()
    script.done()


def test_2600b_datasheet():
    ok = ("print(errorqueue.next())", "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00")
    script = Script(
        ("*IDN?", "Keithley Instruments Inc., Model 2636B, 4412345, 3.3.5"),
        ("errorqueue.clear()", None),
        ("smua.reset()", None),
        ("smua.source.func = smua.OUTPUT_DCVOLTS", None),
        ("smua.source.offmode = smua.OUTPUT_HIGH_Z", None),
        ("smua.nvbuffer1.appendmode = 1", None),
        ("smua.nvbuffer1.collectsourcevalues = 1", None),
        ok,
    )
    smu = Keithley2600B(script)
    script.more(
        ("smua.source.limiti=0.0001", None),
        ("smua.source.levelv=0.1", None),
        ("smua.source.output=1", None),
        ok,
    )
    smu.apply(0.1, 1e-4)
    fetch = (
        "printbuffer(1, 2, smua.nvbuffer1.sourcevalues, smua.nvbuffer1.readings, "
        "smua.nvbuffer1.statuses)"
    )
    rows = "1.00000e-01, 1.00000e-05, 0.00000e+00, 9.00000e-02, 1.00000e-04, 6.40000e+01"
    script.more(
        ("smua.nvbuffer1.clear()", None),
        ("smua.measure.count = 2", None),
        ("smua.measure.i(smua.nvbuffer1)", None),
        ok,
        (fetch, rows),
    )
    samples = smu.measure(2)
    assert samples.i.tolist() == [1e-5, 1e-4]
    assert samples.limited.tolist() == [False, True]
    script.more(
        ("smua.source.limiti=0.001", None),
        ("cimlab_v = {}", None),
        ("smua.nvbuffer1.clear()", None),
        ("smua.measure.count = 1", None),
        ("for _, x in ipairs({0.5,-0.5}) do table.insert(cimlab_v, x) end", None),
        ("smua.source.levelv=0.5", None),
        ("smua.source.output=1", None),
        (
            "for _, x in ipairs(cimlab_v) do smua.source.levelv = x "
            "delay(0.01) smua.measure.i(smua.nvbuffer1) end",
            None,
        ),
        ok,
        ("smua.source.output=0", None),
        ok,
        (fetch, "0.5, 5e-5, 0, -0.5, -5e-5, 0"),
    )
    assert smu.sweep(np.array([0.5, -0.5]), 1e-3, 0.01).i.tolist() == [5e-5, -5e-5]
    script.more(("smua.source.output=0", None), ok)
    smu.close()
    script.done()


def test_4200_datasheet():
    script = Script(
        ("ID", "KI4200A V1.13.0"),
        ("BC", "ACK"),
        ("US", "ACK"),
        ("US;IT2", "ACK"),
        ("US;DV1", "ACK"),
    )
    smu = Keithley4200(script)
    script.more(("US;DV1,0,0.1,0.0001", "ACK"), ("US;TI1", "NAI+1.0E-05"), ("US;TI1", "CAI+1E-04"))
    smu.apply(0.1, 1e-4)
    samples = smu.measure(2)
    assert samples.i.tolist() == [1e-5, 1e-4]
    assert samples.limited.tolist() == [False, True]
    script.more(("US;TI1", "VAI+9.9E+37"))
    with pytest.raises(InstrumentError, match="US;TI1"):
        smu.measure()
    script.more(("US;DV1,0,1,0.0001", "ERROR"))
    with pytest.raises(InstrumentError, match="ERROR"):
        smu.apply(1.0, 1e-4)
    script.more(("US;DV1", "ACK"))
    smu.close()
    script.done()


@pytest.mark.parametrize("transport", ["tcp", "pty"])
def test_a_session_on_the_4200(transport):
    with (
        serve(["keithley4200"], f"resistor:{OHM}", transport) as server,
        open_instrument("keithley4200", server.resources["keithley4200"]) as smu,
    ):
        levels = np.linspace(-1, 1, 21)
        sweep = smu.sweep(levels, 1e-3)
        assert sweep.i == pytest.approx(levels / OHM, rel=5e-3, abs=1e-12)
        smu.apply(5.0, 1e-4)
        clipped = smu.measure()
        assert clipped.limited.all()
        assert clipped.i == pytest.approx([1e-4])
        smu.off()
        assert smu.measure().i == [0.0]
        with pytest.raises(LimitError):
            smu.apply(300.0, 1e-4)


@pytest.mark.parametrize("model", ["keithley2400", "keithley2450", "keithley2636b"])
@pytest.mark.parametrize("transport", ["tcp", "pty"])
def test_a_session_on_the_emulator(model, transport):
    with serve([model], f"resistor:{OHM}", transport) as server:
        with open_instrument(model, server.resources[model]) as smu:
            smu.nplc = 0.1
            assert smu.nplc == 0.1
            smu.apply(0.2, 1e-4)
            samples = smu.measure(3)
            assert samples.i == pytest.approx(np.full(3, 0.2 / OHM), rel=5e-3)
            assert not samples.limited.any()
            assert not smu.tripped
            smu.apply(-5.0, 1e-4)
            clipped = smu.measure()
            assert clipped.limited.all()
            assert smu.tripped
            assert clipped.i == pytest.approx([-1e-4], rel=1e-6)
            levels = np.linspace(-1, 1, 250)
            sweep = smu.sweep(levels, 1e-3)
            assert sweep.v == pytest.approx(levels, abs=1e-6)
            assert sweep.i == pytest.approx(levels / OHM, rel=5e-3, abs=1e-12)
            assert not smu.output
            smu.apply(0.1, 1e-4)
        with open_instrument(model, server.resources[model]) as again:
            assert not again.output


@pytest.mark.parametrize("model", ["keithley2400", "keithley2450"])
def test_what_the_instrument_refuses_is_raised_with_what_was_sent(model):
    with serve([model], "open") as server, open_instrument(model, server.resources[model]) as smu:
        with pytest.raises(InstrumentError, match="-222") as caught:
            smu.send("SOUR:VOLT 500")
        assert caught.value.query == "SOUR:VOLT 500"
        with pytest.raises(InstrumentError, match="-113"):
            smu.send("SOUR:VLOT 1")
        for wrong in (np.array([0, 211.0]), np.array([np.nan]), np.zeros((2, 2)), np.zeros(0)):
            with pytest.raises(LimitError):
                smu.sweep(wrong, 1e-3)
        with pytest.raises(LimitError):
            smu.apply(0.1, 2.0)
