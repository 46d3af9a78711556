"""The 4225-PMU: its messages, then pulses and trains on an emulated cell."""

import numpy as np
import pytest

from cimlab.core.errors import ConfigError, InstrumentError, LimitError
from cimlab.drivers.instruments import open_instrument
from cimlab.drivers.instruments.keithley4200_pmu import Keithley4200Pmu
from cimlab.mock_hw.instruments import dut, serve
from tests.drivers.instruments.script import Script

NAME = "keithley4200"
START = [
    (":PMU:INIT 1", "ACK"),
    (":PMU:RPM:CONFIGURE PMU1-1,0", "ACK"),
    (":PMU:MEASURE:RANGE 1,2,0.0001", "ACK"),
    (":PMU:LOAD 1,1000000", "ACK"),
]
HELLO = [("ID", "KI4200A V1.13.0"), ("*OPT?", "SMU1,PMU1RPM1-1,PMU1RPM1-2"), *START]


def test_a_train_by_the_manual():
    script = Script(*HELLO)
    pmu = Keithley4200Pmu(script)
    edge = "2e-08"
    script.more(
        *START,
        (f":PMU:SARB:SEQ:TIME 1,1,{edge},9.8e-07,{edge},1e-05,{edge},0.0001,{edge},1e-05", "ACK"),
        (":PMU:SARB:SEQ:STARTV 1,1,0,2,2,0,0,0.1,0.1,0", "ACK"),
        (":PMU:SARB:SEQ:STOPV 1,1,2,2,0,0,0.1,0.1,0,0", "ACK"),
        (":PMU:SARB:SEQ:MEAS:TYPE 1,1,0,0,0,0,0,1,0,0", "ACK"),
        (":PMU:SARB:SEQ:MEAS:START 1,1,0,0,0,0,0,5e-05,0,0", "ACK"),
        (":PMU:SARB:SEQ:MEAS:STOP 1,1,0,0,0,0,0,0.0001,0,0", "ACK"),
        (":PMU:SARB:WFM:SEQ:LIST 1,1,2", "ACK"),
        (":PMU:OUTPUT:STATE 1,1", "ACK"),
        (":PMU:EXECUTE", "ACK"),
        (":PMU:TEST:STATUS?", "1"),
        (":PMU:TEST:STATUS?", "0"),
        (":ERROR:LAST:GET", "No error. (0)"),
        (":PMU:DATA:GET 1,0,2", "0.1,1e-6,0,0;0.09,1e-4,1e-5,0;"),
        (":PMU:OUTPUT:STATE 1,0", "ACK"),
    )
    samples = pmu.train(np.array([2.0, 2.0]), np.array([1e-6, 1e-6]), 0.1)
    assert samples.v.tolist() == [0.1, 0.09]
    assert samples.i.tolist() == [1e-6, 1e-4]
    assert samples.limited.tolist() == [False, True]
    script.done()


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        ("0", "Failure (-992)", "Failure"),
        ("KXCI command error. (-992)", None, "TEST:STATUS"),
    ],
)
def test_a_failed_execution_is_named_and_the_output_goes_off(status, error, says):
    script = Script(*HELLO)
    pmu = Keithley4200Pmu(script)
    sent = []
    pmu.send = lambda *messages: sent.extend(messages)
    script.more((":PMU:TEST:STATUS?", status))
    if error:
        script.late((":ERROR:LAST:GET", error))
    script.late(("<clear>", None), (":PMU:TEST:ABORT", None))
    with pytest.raises(InstrumentError, match=says):
        pmu.pulse(1.0, 1e-6)
    assert sent[-1] == ":PMU:OUTPUT:STATE 1,0"
    script.done()


def test_a_4200_without_the_card_is_refused():
    with pytest.raises(ConfigError, match="no PMU, but SMU1, CVU1"):
        Keithley4200Pmu(Script(HELLO[0], ("*OPT?", "SMU1,CVU1")))


@pytest.fixture
def pmu():
    device = dut("brram", seed=5)
    with (
        serve([NAME], device) as server,
        open_instrument(f"{NAME}-pmu", server.resources[NAME]) as opened,
    ):
        opened.dut = device
        yield opened


def test_a_cell_feels_exactly_the_pulses_that_were_asked_for(pmu):
    twin = dut("brram", seed=5)
    pmu.protect(-3, 3)
    for v, width, count in ((-2.5, 1e-6, 7), (2.0, 2e-6, 3), (-3.0, 1e-7, 1)):
        pmu.pulse(v, width, count)
        for _ in range(count):
            seen = v * (1 + 50 / 1e6) / (1 + 50 * twin.conductances)
            twin.pulse(seen, width)
    with pytest.raises(LimitError, match="-3 .. 3 V"):
        pmu.pulse(3.5, 1e-6)
    for width, count in ((1e-8, 1), (1e-6, 0), (31.0, 1)):
        with pytest.raises(LimitError):
            pmu.pulse(1.0, width, count)
    assert pmu.dut.pulses.tolist() == [[11]]
    assert pmu.dut.conductances == pytest.approx(twin.conductances, rel=1e-3)


def test_a_train_of_a_thousand_pulses_is_one_upload_and_one_read_back(pmu):
    written = []
    link_write = pmu._link.write
    pmu._link.write = lambda message: (written.append(message), link_write(message))[1]
    v = np.repeat([-2.2, 2.2], 500)
    samples = pmu.train(v, np.full(1000, 1e-6), 0.1)
    assert samples.i.size == 1000
    assert samples.v == pytest.approx(np.full(1000, 0.1))
    g = samples.i / samples.v
    assert g[499] < 0.5 * g[0]
    assert g[999] > 2 * g[499]
    assert pmu.dut.pulses.tolist() == [[1000]]
    assert len(written) < 25
    assert sum(message.startswith(":PMU:EXECUTE") for message in written) == 1
    assert sum(message.startswith(":PMU:DATA:GET") for message in written) == 1


def test_a_train_of_different_pulses_is_cut_where_the_memory_ends(pmu):
    v = np.linspace(1.0, 2.5, 400)
    samples = pmu.train(v, np.full(400, 1e-6), 0.1, averages=2)
    assert samples.i.size == 800
    assert pmu.dut.pulses.tolist() == [[400]]
    assert samples.i[-1] > samples.i[0]


def test_a_current_at_the_range_is_limited(pmu):
    pmu.current_range = 1e-7
    samples = pmu.train(np.array([2.5, 2.5]), np.full(2, 1e-6), 0.3)
    assert samples.limited.all()
    pmu.current_range = 3e-7
    with pytest.raises(LimitError, match="ranges"):
        pmu.pulse(1.0, 1e-6)
