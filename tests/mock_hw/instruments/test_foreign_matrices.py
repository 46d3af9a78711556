"""Other people's drivers of switch matrices, unmodified, on the emulators."""

import pytest
from qcodes.instrument_drivers.Keithley import Keithley3706A
from qcodes.instrument_drivers.Keysight import KeysightB2200

from cimlab.drivers.instruments import open_instrument
from tests.mock_hw.instruments.foreign import opened


def test_qcodes_b2200():
    with opened(KeysightB2200, "keysightb2200", "keithley2450", device="resistor:1e4") as pair:
        matrix, server = pair
        with open_instrument("keithley2450", server.resources["keithley2450"]) as smu:

            def current():
                matrix.connections()  # an answer: what was written before has been done
                return smu.measure().i

            smu.apply(0.1, 1e-3)
            assert current() == [0.0]
            matrix.connect(1, 1)
            matrix.connect_paths([(2, 2)])
            assert matrix.connections() == {(1, 1), (2, 2)}
            assert current() == pytest.approx([1e-5], rel=5e-3)
            matrix.disconnect(2, 2)
            assert current() == [0.0]
            matrix.disconnect_all()
            # ground mode connects what nobody uses: the second line is grounded again
            matrix.gnd_input_port(2)
            matrix.connect(1, 1)
            matrix.gnd_mode(True)
            assert current() == pytest.approx([1e-5], rel=5e-3)
            matrix.gnd_disable_output(2)
            assert current() == [0.0]
            matrix.gnd_mode(False)
        matrix.bias_mode(True)
        with pytest.warns(UserWarning, match="status byte"):
            matrix.connect(matrix.bias_input_port(), 1)
        assert "-221" in matrix.get_error()
        matrix.reset()
        assert matrix.connections() == set()
        assert matrix.connection_rule() == "free"


def test_qcodes_3706a():
    with opened(Keithley3706A, "keithley3706a", "keithley2450", device="resistor:1e4") as pair:
        matrix, server = pair
        assert len(matrix.get_channels()) == 3 * 6 * 16
        assert [card["model"] for card in matrix.get_switch_cards()] == ["3730"] * 3
        with open_instrument("keithley2450", server.resources["keithley2450"]) as smu:
            smu.apply(0.1, 1e-3)
            matrix.exclusive_close("1101")  # input 1, line 1
            matrix.close_channel("1202")
            assert matrix.get_closed_channels("allslots") == ["1101", "1202"]
            assert smu.measure().i == pytest.approx([1e-5], rel=5e-3)
            matrix.open_channel("1202")
            assert matrix.get_closed_channels("allslots") == ["1101"]  # it waits for no answer
            assert smu.measure().i == [0.0]
        matrix.set_forbidden_channels("1301")
        assert matrix.get_forbidden_channels("slot1") == "1301"
        matrix.clear_forbidden_channels("allslots")
        matrix.open_channel("allslots")
        assert matrix.get_closed_channels("allslots") is None
        matrix.channel_connect_rule("BREAK_BEFORE_MAKE")
        assert matrix.channel_connect_rule() == "BREAK_BEFORE_MAKE"
