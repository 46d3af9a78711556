"""The matrices by their datasheets, then in front of a crossbar."""

import pytest

from cimlab.core.errors import InstrumentError, LimitError
from cimlab.drivers.instruments import open_instrument
from cimlab.drivers.instruments.matrices import Keithley707B, KeysightB2200
from cimlab.mock_hw.instruments import MATRICES, serve
from tests.drivers.instruments.script import Script

OK = (":SYST:ERR?", '+0,"No error"')


def test_b2200_datasheet():
    script = Script(
        ("*IDN?", "Agilent Technologies,B2200A,JP10D00123,A.03.00"),
        ("*CLS", None),
        ("*RST", None),
        (":CONN:RULE 0,FREE", None),
        (":CONN:SEQ 0,BBM", None),
        OK,
        (":OPEN:CARD 0", None),
        OK,
    )
    matrix = KeysightB2200(script)
    script.more((":CLOS (@00101,00209)", None), OK)
    matrix.connect([(1, 1), (2, 9)])
    script.more((":OPEN (@00101)", None), (":CLOS (@00148)", None), OK)
    matrix.connect([(1, 48), (2, 9)])
    matrix.connect([(1, 48), (2, 9)])
    for wrong in ((0, 1), (15, 1), (1, 0), (1, 49)):
        with pytest.raises(LimitError):
            matrix.connect([wrong])
    script.more((":OPEN:CARD 0", None), OK)
    matrix.close()
    script.done()


def test_707b_datasheet():
    ok = ("print(errorqueue.next())", "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00")
    script = Script(
        ("*IDN?", "KEITHLEY INSTRUMENTS INC.,MODEL 707B,1234567,01.46b"),
        ("errorqueue.clear()", None),
        ("channel.connectrule = channel.BREAK_BEFORE_MAKE", None),
        ok,
        ("channel.open('allslots')", None),
        ok,
    )
    matrix = Keithley707B(script)
    script.more(("channel.close('1A01,2H12')", None), ok)
    matrix.connect([(1, 1), (8, 24)])
    script.more(("channel.open('2H12')", None), ok)
    matrix.connect([(1, 1)])
    script.more(
        ("channel.close('6A12')", None),
        ("print(errorqueue.next())", "1.11400e+03\tSettings conflict\t2.00000e+01\t1.00000e+00"),
        ok,
    )
    with pytest.raises(InstrumentError, match="Settings conflict"):
        matrix.connect([(1, 1), (1, 72)])
    script.more(("channel.open('allslots')", None), ok)
    matrix.close()
    script.done()


@pytest.mark.parametrize("model", sorted(MATRICES))
def test_exactly_the_crosspoints_that_were_asked_for(model):
    with serve([model, "keithley2450"], "crossbar:2x2:resistor:1e6") as server:
        smu = open_instrument("keithley2450", server.resources["keithley2450"])
        with smu, open_instrument(model, server.resources[model]) as matrix:
            smu.apply(0.1, 1e-4)
            for points, cells in (
                ([(1, 1), (2, 3)], 1),
                ([(1, 1), (2, 3), (2, 4)], 2),
                ([(1, 1), (1, 2), (2, 3), (2, 4)], 4),
                ([(1, 2)], 0),
                ([], 0),
            ):
                matrix.connect(points)
                assert smu.measure().i == pytest.approx([cells * 1e-7], rel=5e-3, abs=1e-15)
            matrix.connect([(1, 1), (2, 3)])
            matrix.off()
            assert smu.measure().i == [0.0]
