"""The 4200A beyond user mode: sessions as the maker's manuals show them, message by message."""

import numpy as np
import pytest

from cimlab.mock_hw.instruments import Bench, dut
from cimlab.mock_hw.instruments.keithley4200 import Keithley4200

OHM = 10e3


@pytest.fixture
def ask():
    instrument = Keithley4200(Bench(dut(f"resistor:{OHM}")))

    def query(message):
        answer = instrument.handle(message.encode())
        assert answer.endswith(b"\0")
        return answer[:-1].decode()

    return query


def acknowledged(ask, *messages):
    assert [ask(message) for message in messages] == ["ACK"] * len(messages)


def test_system_mode_sweeps_linearly_and_reads_single_values(ask):
    acknowledged(
        ask,
        "BC",
        "*RST",
        "DE",
        "CH 1, 'AV', 'AI', 1, 1",
        "CH 3, 'BV', 'BI', 1, 3",
        "SS",
        "VR 1, -1, 1, 0.5, 50e-6",
        "VC 3, 0, 100e-3",
        "HT 0",
        "DT 0.1",
        "IT2",
        "RS 5",
        "RG 1, 100e-9",
        "SM DM2",
        "LI 'AV', 'AI'",
        "MD",
        "ME 1",
    )
    assert ask("SP") == "1"
    read = [float(ask(f"RD 'AI', {k}")) for k in range(1, 6)]
    expected = [-50e-6, -50e-6, 0, 50e-6, 50e-6]
    assert read == pytest.approx(expected, abs=1e-9)
    assert ask("RD 'AI', 6") == "0"
    assert [text[0] for text in ask("DO 'AI'").split(",")] == ["C", "N", "N", "N", "C"]
    assert [float(text[1:]) for text in ask("DO 'BI'").split(",")] == [0] * 5
    assert ask("DO 'CI'").startswith("KXCI command error")


def test_system_mode_sweeps_lists_and_decades_and_currents(ask):
    acknowledged(ask, "DE", "CH1,'V','I',1,1", "SS", "VL1,1,1e-3,0.1,0.3,0.2", "MD", "ME1")
    assert ask("DO 'I'") == "N+1.00000E-05,N+3.00000E-05,N+2.00000E-05"
    acknowledged(ask, "SS", "VR2,0.01,1,1e-3", "MD", "ME1")
    volts = [float(text[1:]) for text in ask("DO 'V'").split(",")]
    assert volts == pytest.approx(np.geomspace(0.01, 1, 21), rel=1e-5)
    acknowledged(ask, "DE", "CH1,'V','I',2,1", "SS", "IR1,0,1e-4,5e-5,0.8", "MD", "ME1")
    volts = [float(text[1:]) for text in ask("DO 'V'").split(",")]
    assert volts == pytest.approx([0, 0.5, 0.8], rel=1e-5)


@pytest.mark.parametrize(
    "messages",
    [
        ["ME1"],
        ["SS", "VR1,0,1,0,1e-3"],
        ["SS", "VR2,-1,1,1e-3"],
        ["SS", "VR1,0,999,1,1e-3"],
        ["DE", "CH9,'V','I',1,1"],
        ["DE", "CH1,'V','I',1"],
        ["DE", "CH1,'V','I',1,1", "MD", "ME1"],
        ["NONSENSE"],
        [":PMU:NONSENSE 1"],
        [":PMU:EXECUTE"],
        [":PMU:PULSE:TRAIN 1, -6, 6"],
        [":PMU:PULSE:TIMES 1, 1e-6, 2e-6, 2e-8, 2e-8"],
        [":PMU:SARB:SEQ:TIME 1, 1, 1e-6"],
        [":PMU:INIT 1", ":PMU:SARB:WFM:SEQ:LIST 1, 7, 1"],
        [":PMU:INIT 1", ":PMU:SARB:SEQ:TIME 1, 1, 1e-9"],
    ],
)
def test_a_mistake_is_answered_with_the_error_and_kept(ask, messages):
    *good, bad = messages
    acknowledged(ask, *good)
    assert ask(":ERROR:LAST:GET") == "No error. (0)"
    assert ask(bad) == "KXCI command error. (-992)"
    assert ask(":ERROR:LAST:GET") == "KXCI command error. (-992)"
    assert int(ask("SP")) & 2
    acknowledged(ask, ":ERROR:LAST:CLEAR")
    assert ask(":ERROR:LAST:GET") == "No error. (0)"


PULSE_MODE = (
    ":PMU:INIT 0",
    ":PMU:SOURCE:RANGE 1, 10",
    ":PMU:RPM:CONFIGURE PMU1-1, 0",
    ":PMU:CONNECTION:COMP 1, 1, 0",
    ":PMU:LOAD 1, 1e3",
    ":PMU:LLEC:CONFIGURE 1, 1",
    ":PMU:PULSE:TIMES 1, 1e-5, 500e-9, 2e-8, 2e-8, 0",
    ":PMU:MEASURE:RANGE 1, 2, 0.01",
)


def rows(ask, count):
    assert ask(":PMU:TEST:STATUS?") == "0"
    assert ask(":PMU:DATA:COUNT? 1") == str(count)
    text = ask(":PMU:DATA:GET 1")
    return np.array([[float(x) for x in row.split(",")] for row in text.split(";")])


def test_an_amplitude_sweep_measures_top_and_base_of_each_pulse(ask):
    acknowledged(
        ask,
        *PULSE_MODE,
        ":PMU:MEASURE:MODE 3",
        ":PMU:MEASURE:PIV 1, 1, 1",
        ":PMU:SWEEP:PULSE:AMPLITUDE 1, 0, 5, 1, 0.5, 1",
        ":PMU:PULSE:BURST:COUNT 10",
        ":PMU:OUTPUT:STATE 1, 1",
        ":PMU:EXECUTE",
    )
    table = rows(ask, 11)
    assert table.shape == (11, 8)
    assert table[:, 0] == pytest.approx([0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0])
    assert table[:, 1] == pytest.approx(table[:, 0] / OHM)
    assert table[:, 4] == pytest.approx(np.full(11, 0.5))
    assert table[:, 5] == pytest.approx(np.full(11, 0.5 / OHM))
    assert np.all(np.diff(table[:, 2]) > 0)
    acknowledged(ask, ":PMU:OUTPUT:STATE 1, 0")


def test_a_train_in_each_measuring_mode(ask):
    acknowledged(ask, *PULSE_MODE, ":PMU:PULSE:TRAIN 1, 0, 5", ":PMU:PULSE:BURST:COUNT 3")
    acknowledged(ask, ":PMU:OUTPUT:STATE 1, 1", ":PMU:MEASURE:PIV 1, 1, 0")
    for mode, count in ((0, 0), (1, 3), (2, 3 * 64), (3, 1), (4, 64)):
        acknowledged(ask, f":PMU:MEASURE:MODE {mode}", ":PMU:EXECUTE")
        if count:
            table = rows(ask, count)
            assert table[:, 1] == pytest.approx(table[:, 0] / OHM)
            assert table[:, 0].max() == pytest.approx(5.0)
        else:
            assert ask(":PMU:DATA:COUNT? 1") == "0"


def test_one_channel_steps_while_another_sweeps(ask):
    acknowledged(
        ask,
        *PULSE_MODE,
        ":PMU:STEP:PULSE:AMPLITUDE 1, 1, 2, 1, 0",
        ":PMU:SWEEP:PULSE:AMPLITUDE 3, 0, 4, 2, 0, 0",
        ":PMU:OUTPUT:STATE 1, 1",
        ":PMU:OUTPUT:STATE 3, 1",
        ":PMU:EXECUTE",
    )
    assert rows(ask, 6)[:, 0] == pytest.approx([1, 1, 1, 2, 2, 2])
    swept = ask(":PMU:DATA:GET 3").split(";")
    assert [float(row.split(",")[0]) for row in swept] == [0, 2, 4, 0, 2, 4]


def test_segments_are_measured_where_asked_and_a_current_beyond_its_range_is_flagged(ask):
    acknowledged(
        ask,
        ":PMU:INIT 1",
        ":PMU:MEASURE:RANGE 1, 2, 1e-4",
        ":PMU:SARB:SEQ:TIME 1, 1, 50e-9, 100e-9, 20e-9, 150e-9, 50e-9, 500e-9",
        ":PMU:SARB:SEQ:STARTV 1, 1, 0, 1, 1, 1.5, 1.5, 0",
        ":PMU:SARB:SEQ:STOPV 1, 1, 1, 1, 1.5, 1.5, 0, 0",
        ":PMU:SARB:SEQ:MEAS:TYPE 1, 1, 0, 1, 0, 1, 0, 0",
        ":PMU:SARB:SEQ:MEAS:START 1, 1, 0, 25e-9, 0, 50e-9, 0, 0",
        ":PMU:SARB:SEQ:MEAS:STOP 1, 1, 0, 75e-9, 0, 100e-9, 0, 0",
        ":PMU:SARB:WFM:SEQ:LIST 1, 1, 2",
        ":PMU:OUTPUT:STATE 1, 1",
        ":PMU:EXECUTE",
    )
    table = rows(ask, 4)
    assert table[:, 0] == pytest.approx([1.0, 1.05, 1.0, 1.05])
    assert table[:, 1] == pytest.approx([1e-4, 1.05e-4] * 2)
    assert table[:, 3].tolist() == [0, 1, 0, 1]
    assert ask(":PMU:DATA:GET 1, 1, 2").count(";") == 1


def test_a_ramp_counts_half_to_the_level_beside_it():
    bench = Bench(dut("brram", seed=3))
    twin = dut("brram", seed=3)
    instrument = Keithley4200(bench)
    for message in (
        ":PMU:INIT 1",
        ":PMU:LOAD 1, 1e7",
        ":PMU:SARB:SEQ:TIME 1, 1, 2e-7, 8e-7, 2e-7, 1e-6",
        ":PMU:SARB:SEQ:STARTV 1, 1, 0, 2.5, 2.5, 0",
        ":PMU:SARB:SEQ:STOPV 1, 1, 2.5, 2.5, 0, 0",
        ":PMU:SARB:WFM:SEQ:LIST 1, 1, 1",
        ":PMU:OUTPUT:STATE 1, 1",
        ":PMU:EXECUTE",
    ):
        assert instrument.handle(message.encode()) == b"ACK\0"
    twin.pulse(np.array([[2.5]]) / (1 + 50 * twin.conductances), 1e-6)
    assert bench.dut.conductances == pytest.approx(twin.conductances, rel=1e-4)
    assert bench.dut.pulses.tolist() == [[1]]
