"""The B1500A by its programming guide, then on the emulator: its SMU, its pulses, both at once."""

import numpy as np
import pytest

from cimlab.core.errors import ConfigError, InstrumentError, LimitError, LinkTimeout
from cimlab.drivers.instruments import VisaLink, open_instrument
from cimlab.drivers.instruments.keysightb1500 import KeysightB1500, KeysightB1500Spgu
from cimlab.mock_hw.instruments import Bench, BenchServer, dut, serve
from cimlab.mock_hw.instruments.keysightb1500 import KeysightB1500 as Emulator
from tests.drivers.instruments.script import Script

OHM = 10e3
NAME = "keysightb1500"
OK = ("ERRX?", '+0,"No Error."')
WHO = ("*IDN?", "Agilent Technologies,B1500A,MY55231213,A.06.02.2023.0401")
CLEAR = ("ERR?", "0,0,0,0")
UNITS = ("UNT? 0", "B1525A,0;0,0;B1517A,0;B1517A,0;0,0;0,0;0,0;0,0;0,0;0,0")


def test_smu_by_the_guide():
    script = Script(
        WHO,
        CLEAR,
        UNITS,
        ("FMT 11,0", None),
        ("TSC 0", None),
        ("FL 0,3", None),
        ("SSR 3,0", None),
        ("CL 3", None),
        OK,
    )
    smu = KeysightB1500(script)
    script.more(("CN 3", None), ("DV 3,0,0.1,0.0001", None), OK)
    smu.apply(0.1, 1e-4)
    script.more(("TI 3,0;TI 3,0", "NCI+1.000000E-05"))
    script.late_reply("CCI+1.000000E-04")
    samples = smu.measure(2)
    assert samples.i.tolist() == [1e-5, 1e-4]
    assert samples.limited.tolist() == [False, True]
    assert samples.v[0] == 0.1
    assert np.isnan(samples.v[1])
    script.more(("CL 3", None), OK)
    smu.close()
    script.done()


def test_spgu_by_the_guide():
    script = Script(
        WHO,
        CLEAR,
        UNITS,
        ("CL 101", None),
        ("SIM 0", None),
        ("SPM 101,1", None),
        ("ODSW 101,0", None),
        ("SER 101,1000000", None),
        OK,
    )
    pulser = KeysightB1500Spgu(script)
    script.more(
        ("SPRM 1,3", None),
        ("SPPER 2e-06", None),
        ("SPT 101,1,0,1e-06,3e-08,3e-08", None),
        ("SPV 101,1,0,-2.5", None),
        ("CN 101", None),
        ("SPUPD 101", None),
        ("SRP", None),
        OK,
        ("SPST?", "1"),
        ("SPST?", "0"),
        ("SPP", None),
        ("CL 101", None),
        OK,
    )
    pulser.pulse(-2.5, 1e-6, 3)
    script.done()


@pytest.fixture
def smu():
    with (
        serve([NAME], f"resistor:{OHM}") as server,
        open_instrument(NAME, server.resources[NAME]) as opened,
    ):
        yield opened


@pytest.mark.parametrize("volts", [1.0, -0.5])
def test_a_resistor_is_read_and_the_compliance_shows(smu, volts):
    smu.apply(volts, 1e-3)
    samples = smu.measure(3)
    assert samples.i == pytest.approx([volts / OHM] * 3, rel=5e-3)
    assert samples.v.tolist() == [volts] * 3
    assert not samples.limited.any()
    smu.apply(volts, 1e-6)
    samples = smu.measure()
    assert abs(samples.i[0]) == pytest.approx(1e-6)
    assert samples.limited.tolist() == [True]


def test_a_sweep_of_a_thousand_points_is_read_back_in_one_go(smu):
    levels = np.sin(np.linspace(0, 20, 1000))
    written = []
    link_write = smu._link.write
    smu._link.write = lambda message: (written.append(message), link_write(message))[1]
    samples = smu.sweep(levels, 1e-3)
    assert samples.i == pytest.approx(levels / OHM, rel=5e-3, abs=1e-9)
    assert len(written) < 200  # 1000 points of two commands, on lines of 256 characters
    assert max(map(len, written)) <= 254


def test_an_error_in_mid_sweep_is_named_and_the_output_goes_off():
    bench = Bench(dut(f"resistor:{OHM}"))
    emulator = Emulator(bench)
    with BenchServer(bench, {NAME: emulator}) as server:
        smu = KeysightB1500(VisaLink(server.resources[NAME], timeout=0.3))
        with pytest.raises(InstrumentError, match="123.*Compliance"):
            smu.sweep(np.array([0.1, 50.0]), 0.05)  # 50 mA up to 40 V, 20 mA beyond
        assert not emulator._smus[1].smu.on
        smu.apply(0.1, 1e-3)
        assert smu.measure().i[0] == pytest.approx(0.1 / OHM)
        smu.close()


def test_a_dead_instrument_is_a_timeout():
    bench = Bench(dut("open"))
    emulator = Emulator(bench)
    with BenchServer(bench, {NAME: emulator}) as server:
        smu = KeysightB1500(VisaLink(server.resources[NAME], timeout=0.1))
        smu.apply(0.1, 1e-3)
        emulator.handle = lambda message: b""
        with pytest.raises(LinkTimeout):
            smu.measure()


def test_a_cell_feels_exactly_the_pulses_that_were_asked_for():
    """A twin of the device gets them by hand, through the 50 ohm of the SPGU."""
    device, twin = dut("brram", seed=5), dut("brram", seed=5)
    with (
        serve([NAME], device) as server,
        open_instrument(f"{NAME}-spgu", server.resources[NAME]) as pulser,
    ):
        pulser.protect(-3, 3)
        for v, width, count in ((-2.5, 1e-6, 7), (2.0, 2e-6, 3), (-3.0, 1e-7, 1)):
            pulser.pulse(v, width, count)
            seen = v * (1 + 50 / 1e6) / (1 + 50 * twin.conductances)
            twin.pulse(seen, width, count)
        with pytest.raises(LimitError, match="3.5 V"):
            pulser.pulse(3.5, 1e-6)
        for width, count in ((1e-8, 1), (1e-6, 0), (6.0, 1)):
            with pytest.raises(LimitError):
                pulser.pulse(1.0, width, count)
    assert device.pulses.tolist() == [[11]]
    assert device.conductances == pytest.approx(twin.conductances, rel=1e-3)


def test_smu_and_pulses_of_one_mainframe_do_not_disturb_each_other():
    with serve([NAME], dut("brram", seed=1)) as server:
        resource = server.resources[NAME]
        with (
            open_instrument(NAME, resource) as smu,
            open_instrument(f"{NAME}-spgu", resource) as pulser,
        ):
            seen = []
            for _ in range(3):
                smu.apply(0.1, 1e-3)
                seen.append(smu.measure().i[0])
                smu.off()
                pulser.pulse(2.5, 1e-6, 2)
    assert seen[0] < seen[1] < seen[2]


def test_a_mainframe_without_the_module_is_refused():
    bench = Bench(dut("open"))
    with (
        BenchServer(bench, {NAME: Emulator(bench, ["B1517A"])}) as server,
        pytest.raises(ConfigError, match=r"no B1525A, but B1517A"),
    ):
        open_instrument(f"{NAME}-spgu", server.resources[NAME])
