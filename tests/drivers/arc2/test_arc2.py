"""ArC TWO boards, against a module that stands in for pyarc2."""

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import CapabilityError, ConfigError, InstrumentError, LimitError, LinkClosed
from cimlab.drivers.arc2 import Arc2Array
from cimlab.mock_hw.instruments import dut
from tests.drivers.arc2.standin import PanicException, installed, standin

ROWS, COLS, V = 20, 18, 0.1
STATION = f"arc2:?port=5&firmware=fw.bin&rows={ROWS}&cols={COLS}"


@pytest.fixture
def device():
    return dut(f"crossbar:{ROWS}x{COLS}:brram", seed=2)


@pytest.fixture
def module(device):
    with installed(standin(device)) as module:
        yield module


@pytest.fixture
def array(module):
    with cimlab.open(STATION) as array:
        module.calls.clear()
        yield array


def called(module, name):
    return [call[1:] for call in module.calls if call[0] == name]


def test_it_says_what_it_is(module):
    with cimlab.open(STATION) as array:
        assert array.spec.shape == (1, ROWS, COLS)
        assert (array.spec.vmm, array.spec.origin) == ("emulated", "measured")
        assert array.spec.identity == "ArC TWO 5, libarc2 0.6.0"
        assert array.spec.limits.width_min == 40e-9
    assert module.calls[0] == ("open", 5, "fw.bin")
    assert called(module, "finalise_operation")[-1] == ("HardGnd",)


def test_reading_finds_every_conductance_column_by_column(array, module, device):
    reading = array.read(V, averages=16)
    assert np.abs(reading.g - device.conductances).max() < 5 * device.model.sigma_read / 4
    assert abs(reading.v - V) < 1.6e-4
    slices = called(module, "read_slice_masked")
    assert len(slices) == COLS * 16
    channels = [*range(16), *range(32, 32 + ROWS - 16)]
    assert slices[0] == (16, channels, V) and slices[-1] == (49, channels, V)
    cells = np.array([3, 4, COLS + 3, 19 * COLS + 3])
    some = array.read(V, cells, averages=16)
    assert (
        np.abs(some.g - device.conductances.ravel()[cells]).max() < 5 * device.model.sigma_read / 4
    )
    assert called(module, "read_slice_masked")[-32:][0] == (19, [0, 1, 35], V)
    assert module.calls[-2][:2] == ("finalise_operation", "SoftGnd")


def test_pulses_move_the_named_cells_and_half_select_the_rest(array, module, device):
    before = device.conductances
    cells = np.array([5, 2 * COLS + 17])
    array.pulse([-2.8, 2.4], 1.01e-6, [3, 2], cells)
    assert called(module, "pulse_one") == [(21, 0, -2.8, 1000)] * 3 + [(49, 2, 2.4, 1000)] * 2
    moved = device.conductances - before
    assert moved[0, 5] < 0 < moved[2, 17]
    # half of 2.8 V is a pulse too, for the cells of the same lines and no others
    pulses = np.zeros((ROWS, COLS), int)
    pulses[0, :] += 3
    pulses[:, 5] += 3
    pulses[2, :] += 2
    pulses[:, 17] += 2
    pulses[0, 5], pulses[2, 17] = 3, 2
    assert np.array_equal(device.pulses, pulses)
    array.pulse(np.zeros((1, ROWS, COLS)), 1e-6)
    array.pulse(1.0, 1e-6, 0)
    assert np.array_equal(device.pulses, pulses)


def test_readings_saturate_at_i_read(array, device):
    settings = array.converters
    array.configure(type(settings)(V, 0.0, 1e-7, (1e-7,)))
    reading = array.read(V)
    true = device.conductances[None] * V
    assert reading.saturated[true > 2e-7].all()
    assert np.abs(reading.current).max() == 1e-7
    with pytest.raises(CapabilityError):
        array.configure(type(settings)(V, 1.0, 1e-7, (1e-7,)))


@pytest.mark.parametrize("error", [RuntimeError("usb"), PanicException("unwrap on Err")])
def test_whatever_the_library_raises_leaves_the_lines_grounded(array, module, error):
    for name, verb in (
        ("read_slice_masked", lambda: array.read(V)),
        ("pulse_one", lambda: array.pulse(1.0, 1e-6)),
    ):
        module.fail = (name, error)
        with pytest.raises(InstrumentError, match=str(error)):
            verb()
        module.fail = None
        assert called(module, "finalise_operation")[-1] == ("SoftGnd",)


def test_ctrl_c_passes_and_leaves_the_lines_grounded(array, module):
    module.fail = ("pulse_one", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        array.pulse(1.0, 1e-6)
    module.fail = None
    assert called(module, "finalise_operation")[-1] == ("SoftGnd",)


def test_limits_hold(array, module):
    for verb in (lambda: array.pulse(3.4, 1e-6), lambda: array.pulse(1.0, 30e-9)):
        with pytest.raises(LimitError):
            verb()
    assert not module.calls


def test_wrong_boards_and_files_are_told(module):
    with pytest.raises(LinkClosed, match=r"no ArC TWO 4; there are \[3, 5\]"):
        cimlab.open("arc2:?port=4&firmware=fw.bin")
    with pytest.raises(LinkClosed, match=r"'fw\.txt'"):
        cimlab.open("arc2:?firmware=fw.txt")
    with pytest.raises(ConfigError, match="firmware is missing"):
        cimlab.open("arc2:?port=3")
    with pytest.raises(ConfigError, match="rows"):
        cimlab.open("arc2:?firmware=fw.bin&rows=33")
    module.find_ids = list
    with pytest.raises(LinkClosed, match="no ArC TWO"):
        cimlab.open("arc2:?firmware=fw.bin")


def test_without_the_library_its_command_is_told():
    with installed(None), pytest.raises(ConfigError, match=r"pip install 'cimlab\[arc2\]'"):
        cimlab.open("arc2:?firmware=fw.bin")


def test_closing_twice_hard_grounds_once(device):
    module = standin(device)
    array = Arc2Array(module, module.Instrument(3, "fw.bin"), ROWS, COLS)
    array.close()
    array.close()
    assert called(module, "finalise_operation") == [("SoftGnd",), ("HardGnd",)]
