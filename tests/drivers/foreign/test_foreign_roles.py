"""Benches of other people's drivers, unmodified, on the emulators over TCP."""

import subprocess
import sys

import numpy as np
import pytest

from cimlab.core.bench import BenchTable
from cimlab.core.errors import (
    CapabilityError,
    ConfigError,
    InstrumentError,
    LimitError,
    LinkClosed,
)
from cimlab.drivers.bench import open_bench
from cimlab.mock_hw.instruments import dut, serve

PYMEASURE, QCODES = "pymeasure:pymeasure.instruments.", "qcodes:qcodes.instrument_drivers."
SMUS = {
    PYMEASURE + "keithley.Keithley2400": "keithley2400",
    PYMEASURE + "keithley.Keithley2450": "keithley2450",
    PYMEASURE + "keithley.Keithley2600#ChA": "keithley2636b",
    QCODES + "Keithley.Keithley2400": "keithley2400",
    QCODES + "Keithley.Keithley2450": "keithley2450",
    QCODES + "Keithley.Keithley2636B#smua": "keithley2636b",
}
PULSERS = {
    PYMEASURE + "keysight.Keysight81160A#ch_1": "keysight81160a",
    PYMEASURE + "agilent.Agilent33500": "keysight33522b",
    QCODES + "Keysight.Keysight33522B#ch1": "keysight33522b",
}
MATRICES = {
    QCODES + "Keysight.KeysightB2200": "keysightb2200",
    QCODES + "Keithley.Keithley3706A": "keithley3706a",
}
ROWS, COLS, V = 2, 3, 0.1
pytestmark = pytest.mark.filterwarnings("ignore:It is not known whether:FutureWarning")


def bench(server, models, **more):
    """The array of these drivers on those emulators."""
    roles = {
        role: {"driver": driver, "resource": server.resources[model]}
        for role, (driver, model) in models.items()
    }
    return open_bench(BenchTable(**roles, origin="emulated", **more))


@pytest.mark.parametrize("driver", SMUS)
def test_a_resistor_has_its_resistance_whoever_reads_it(driver):
    models = {"smu": (driver, SMUS[driver]), "pulser": ("keysight81160a", "keysight81160a")}
    with (
        serve([SMUS[driver], "keysight81160a"], "resistor:10e3") as server,
        bench(server, models) as array,
    ):
        reading = array.read(V, averages=3)
        assert V / reading.current.item() == pytest.approx(10e3, rel=5e-3)
        assert not reading.saturated.any()
        assert "sweep" not in array.spec.capabilities
        with pytest.raises(CapabilityError, match="sweep"):
            array.sweep(np.linspace(0, 1, 3), 1e-4, 0.0, np.array([0]))
        settings = array.converters
        array.configure(type(settings)(V, 0.0, 5e-6, (5e-6,)))
        reading = array.read(V)
        assert reading.saturated.all()
        assert reading.current.item() == pytest.approx(5e-6, rel=1e-2)


@pytest.mark.parametrize("driver", PULSERS)
def test_every_pulse_arrives_in_both_directions(driver):
    model = PULSERS[driver]
    theirs, ours = dut("brram", seed=1), dut("brram", seed=1)
    g = []
    for device, name in ((theirs, driver), (ours, model)):
        with serve(["keithley2450", model], device) as server:
            models = {"smu": ("keithley2450", "keithley2450"), "pulser": (name, model)}
            with bench(server, models) as array:
                for v, width, count in ((2.4, 1e-6, 7), (-2.6, 5e-6, 3), (1.9, 2e-6, 1)):
                    array.pulse(v, width, count)
                    g.append(device.conductances.item())
                with pytest.raises(LimitError):
                    array.pulse(3.4, 1e-6)
        assert device.pulses.tolist() == [[11]]
    # the 81160A's load is 1 megaohm for PyMeasure, not infinite: 0.02 % of the amplitude
    assert g[:3] == pytest.approx(g[3:], rel=2e-3)
    assert g[0] > g[1]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_bench_without_a_driver_of_ours_reads_and_programs_a_crossbar(matrix):
    device = dut(f"crossbar:{ROWS}x{COLS}:brram", seed=3)
    models = {
        "smu": (QCODES + "Keithley.Keithley2450", "keithley2450"),
        "pulser": (PYMEASURE + "keysight.Keysight81160A#ch_1", "keysight81160a"),
        "matrix": (matrix, MATRICES[matrix]),
    }
    wiring = {"rows": range(1, ROWS + 1), "cols": range(ROWS + 1, ROWS + COLS + 1)}
    with (
        serve([model for _, model in models.values()], device) as server,
        bench(server, models, wiring=wiring) as array,
    ):
        spec = array.spec
        assert "QCoDeS" in spec.identity or "qcodes" in spec.identity
        sigma = device.model.sigma_read
        assert np.abs(array.read(V).g - device.conductances[None]).max() < 5 * sigma
        before = device.conductances
        array.pulse(2.6, 1e-6, 4, np.array([4]))
        moved = device.conductances != before
        assert np.flatnonzero(moved).tolist() == [4]
        assert device.pulses.sum() == device.pulses[1, 1] == 4
        assert len(server.bench.closed) == ROWS + COLS  # grounded
    assert not server.bench.closed


@pytest.mark.parametrize(
    ("driver", "role", "complaint"),
    [
        ("pymeasure:os.path.join", "smu", "only classes under pymeasure.instruments"),
        ("pymeasure:pymeasure.instrumentsx.K", "smu", "only classes under"),
        ("pymeasure:pymeasure.adapters.VISAAdapter", "smu", "only classes under"),
        ("qcodes:pymeasure.instruments.keithley.Keithley2400", "smu", "only classes under qcodes"),
        ("qcodes:qcodes.instrument_drivers.Keithley._private.X", "smu", "cannot understand"),
        ("pickle:pickle.loads", "smu", "cannot understand"),
        ("pymeasure:pymeasure.instruments.keithley.Keithley2400;x", "smu", "cannot understand"),
        ("pymeasure:pymeasure.instruments.keithley.Keithley9", "smu", "has no"),
        ("pymeasure:pymeasure.instruments.nowhere.Keithley9", "smu", "has no"),
        ("pymeasure:pymeasure.instruments.validators.strict_range", "smu", "is no instrument"),
        ("qcodes:qcodes.instrument_drivers.Keithley.Keithley2450Source", "smu", "is no instrument"),
    ],
)
def test_other_names_are_refused_before_anything_is_opened(driver, role, complaint):
    table = {"driver": driver, "resource": "TCPIP::127.0.0.1::1::SOCKET"}
    with pytest.raises(ConfigError, match=rf"bench\.{role}: .*{complaint}"):
        open_bench(BenchTable(**{role: table}))


@pytest.mark.parametrize(
    ("driver", "model", "complaint"),
    [
        (PYMEASURE + "keithley.Keithley2600", "keithley2636b", r"no SourceMeter.*#channel"),
        (PYMEASURE + "keithley.Keithley2600#ChX", "keithley2636b", "has no ChX"),
        (PYMEASURE + "keithley.Keithley2000", "keithley2450", "no SourceMeter.*source_"),
        (QCODES + "Keysight.KeysightB2200", "keysightb2200", "no SourceMeter"),
    ],
)
def test_a_class_that_lacks_what_the_role_needs_is_refused(driver, model, complaint):
    with (
        serve([model], "resistor:10e3") as server,
        pytest.raises(ConfigError, match=rf"bench\.smu: .*{complaint}"),
    ):
        bench(server, {"smu": (driver, model)})


def test_without_sweeps_an_smu_does_not_pulse():
    driver = PYMEASURE + "keithley.Keithley2400"
    with (
        serve(["keithley2400"], "resistor:10e3") as server,
        pytest.raises(ConfigError, match=r"bench\.pulser is missing"),
    ):
        bench(server, {"smu": (driver, "keithley2400")})


def test_nobody_there_and_settings_that_are_refused():
    driver = PYMEASURE + "keithley.Keithley2400"
    nobody = {"driver": driver, "resource": "TCPIP::127.0.0.1::1::SOCKET"}
    with pytest.raises(LinkClosed, match=r"bench\.smu: Keithley2400"):
        open_bench(BenchTable(smu=nobody))
    models = {"smu": (driver, "keithley2400"), "pulser": ("keysight81160a", "keysight81160a")}
    with (
        serve(["keithley2400", "keysight81160a"], "resistor:10e3") as server,
        pytest.raises(InstrumentError, match="compliance_current"),
        bench(server, models, i_comp=5.0) as array,
    ):
        array.read(V)


def test_a_library_that_is_not_there_is_told_with_its_command():
    code = (
        "import sys; sys.modules['pymeasure'] = None\n"
        "from cimlab.drivers.foreign import load_class\n"
        "load_class('pymeasure:pymeasure.instruments.keithley.Keithley2400')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigError: pymeasure is not installed" in done.stderr
    assert "pip install 'cimlab[pymeasure]'" in done.stderr
