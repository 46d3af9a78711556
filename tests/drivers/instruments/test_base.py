"""What all drivers share: identity, settings, groups, errors, closing."""

import socket

import pytest

from cimlab.core.errors import ConfigError, InstrumentError, LimitError, LinkClosed, LinkTimeout
from cimlab.drivers.instruments import VisaLink, open_instrument
from cimlab.drivers.instruments.base import Instrument
from cimlab.drivers.instruments.settings import Choice, Number, Switch
from cimlab.mock_hw.instruments import serve
from tests.drivers.instruments.script import Script

OK = ("SYST:ERR?", '0,"No error"')


class Toy(Instrument):
    model = "TOY"
    level = Number("LEV", -2, 2, "V", "level")
    output = Switch("OUTP")
    shape = Choice("SHAP", {"sine": "SIN", "pulse": "PULS"})

    def off(self):
        self.output = False


@pytest.fixture
def script():
    played = Script(("*IDN?", "ACME,TOY 1,42,1.0"))
    yield played
    played.done()


def test_a_setting_is_checked_sent_and_followed_by_a_look_at_the_errors(script):
    toy = Toy(script)
    script.more(("LEV 1.5", None), OK)
    toy.level = 1.5
    script.more(("LEV?", "+1.50E+00"), ("OUTP?", "1"), ("SHAP?", "PULS"))
    assert (toy.level, toy.output, toy.shape) == (1.5, True, "pulse")
    assert Toy.level.__doc__ == "level, -2 .. 2 V"


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("level", 2.1, LimitError, "level 2.1 V is outside -2 .. 2 V"),
        ("level", float("nan"), LimitError, "nan"),
        ("shape", "square", ConfigError, "sine, pulse"),
    ],
)
def test_what_is_out_of_range_never_leaves(script, name, value, error, says):
    toy = Toy(script)
    with pytest.raises(error, match=says):
        setattr(toy, name, value)


def test_a_group_looks_once_and_reports_everything(script):
    toy = Toy(script)
    script.more(
        ("LEV 1", None),
        ("SHAP SIN", None),
        ("OUTP 1", None),
        ("SYST:ERR?", '-221,"Settings conflict"'),
        ("SYST:ERR?", '-222,"Data out of range"'),
        OK,
    )

    def group():
        with toy.settings():
            toy.level = 1
            toy.shape = "sine"
            toy.output = True

    with pytest.raises(InstrumentError) as caught:
        group()
    assert caught.value.query == "LEV 1; SHAP SIN; OUTP 1"
    assert caught.value.reply == '-221,"Settings conflict" | -222,"Data out of range"'


def test_an_answer_that_makes_no_sense_is_an_error(script):
    toy = Toy(script)
    script.more(("LEV?", "HELLO"), ("SHAP?", "NOIS"), ("DATA?", "1,2,x"))
    for ask in (lambda: toy.level, lambda: toy.shape, lambda: toy.numbers("DATA?")):
        with pytest.raises(InstrumentError):
            ask()


def test_leaving_turns_the_output_off_whatever_happened(script):
    toy = Toy(script)
    script.more(("OUTP 0", None), OK)

    def interrupted():
        with toy:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert script.closed
    toy.close()


def test_an_interrupted_query_does_not_shift_the_answers_that_follow(script):
    toy = Toy(script)
    read = script.read

    def interrupted():
        script.read = read
        raise KeyboardInterrupt

    script.read = interrupted
    script.more(("LEV?", "1.5"))
    with pytest.raises(KeyboardInterrupt):
        _ = toy.level
    script.late(("OUTP 0", None), ("*IDN?", "ACME,TOY 1,42,1.0"), OK)
    toy.off()


def test_the_link_closes_even_when_off_fails(script):
    toy = Toy(script)
    script.more(("OUTP 0", None), ("SYST:ERR?", '-240,"Hardware error"'), OK)
    with pytest.raises(InstrumentError):
        toy.close()
    assert script.closed


def test_another_instrument_at_the_address_is_refused_before_anything_is_sent():
    script = Script(("*IDN?", "ACME,OTHER,1,1"))
    with pytest.raises(ConfigError, match="Toy expected.*OTHER"):
        Toy(script)
    assert script.closed
    script.done()


def test_the_border_translates_what_visa_raises():
    with pytest.raises(ConfigError, match="backend"):
        VisaLink("TCPIP::127.0.0.1::1::SOCKET", visa="@nothing")
    with pytest.raises(ConfigError):
        VisaLink("NO SUCH THING")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        link = VisaLink(f"TCPIP::127.0.0.1::{port}::SOCKET", timeout=0.1)
        with pytest.raises(LinkTimeout):
            link.read()
        link.close()
        with pytest.raises(LinkClosed):
            link.write("*IDN?")
    with pytest.raises(LinkClosed, match=f"127.0.0.1::{port}"):
        Toy.open(f"TCPIP::127.0.0.1::{port}::SOCKET")


def test_wrong_names_and_wrong_addresses_give_one_clear_error():
    with serve(["keithley2400"], "open") as server:
        with pytest.raises(ConfigError, match="Keithley2450 expected.*MODEL 2400"):
            open_instrument("keithley2450", server.resources["keithley2400"])
        with pytest.raises(ConfigError, match="keithley2450"):
            open_instrument("keithley2451", server.resources["keithley2400"])
