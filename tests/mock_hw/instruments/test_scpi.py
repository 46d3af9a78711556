"""The parser, against what SCPI-99 and IEEE 488.2 say a header is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Number, ScpiError, channels, number


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (
            "[:SOURce]:VOLTage[:LEVel]",
            (":SOUR:VOLT", ":SOURCE:VOLTAGE:LEVEL", ":VOLT:LEV", ":VOLTAGE"),
            (":SOURC:VOLT", ":VOL", ":VOLT:LEVE", ":SOUR", "VOLT"),
        ),
        ("OUTPut<n>[:STATe]", (":OUTP", ":OUTP2", ":OUTPUT12:STAT"), (":OUTPU", ":OUTP:STA")),
        ("CALCulate3:DATA", (":CALC3:DATA", ":CALCULATE3:DATA"), (":CALC:DATA", ":CALC31:DATA")),
        ("*IDN", ("*IDN",), (":*IDN", "*IDN2")),
    ],
)
def test_only_the_short_and_the_long_form(pattern, accepted, refused):
    expression = scpi.pattern(pattern)
    assert all(expression.fullmatch(header) for header in accepted)
    assert not any(expression.fullmatch(header) for header in refused)


WORDS = st.sampled_from(["SOURce", "VOLTage", "LEVel", "RANGe", "AUTO"])


@given(st.lists(WORDS, min_size=1, max_size=4), st.randoms())
def test_every_spelling_of_a_header_is_the_same_command(words, random):
    expression = scpi.pattern(":".join(words))
    spelled = ":".join(random.choice([w, "".join(c for c in w if not c.islower())]) for w in words)
    spelled = "".join(random.choice([c.upper(), c.lower()]) for c in spelled)
    (unit,) = scpi.units(f":{spelled}? 1,2")
    assert expression.fullmatch(unit.header)
    assert unit.query
    assert unit.arguments == ("1", "2")


def test_a_compound_message_keeps_the_path():
    message = ":sour:volt:rang 20;lev 1.5;*CLS;lev?;:SENS:FUNC 'CURR;VOLT', \"a,b\" ;*opc?;"
    assert [(u.header, u.query, u.arguments) for u in scpi.units(message)] == [
        (":SOUR:VOLT:RANG", False, ("20",)),
        (":SOUR:VOLT:LEV", False, ("1.5",)),
        ("*CLS", False, ()),
        (":SOUR:VOLT:LEV", True, ()),
        (":SENS:FUNC", False, ("'CURR;VOLT'", '"a,b"')),
        ("*OPC", True, ()),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-.5e-3", -0.5e-3),
        ("10 mA", 0.01),
        ("2MHZ", 2e6),
        ("100 ns", 1e-7),
        ("1.5 V", 1.5),
        ("3 kohm", 3e3),
    ],
)
def test_numbers_with_units(text, value):
    assert number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("text", "code"), [("volt", -104), ("1 furlong", -131), ("1e", -131)])
def test_what_is_no_number_is_an_error(text, code):
    with pytest.raises(ScpiError) as caught:
        number(text)
    assert caught.value.code == code


def test_ranges_and_words():
    kind = Number(-1, 2, 0.5, infinite=True)
    assert [kind.parse(t) for t in ("MIN", "maximum", "DEF", "INF")] == [-1, 2, 0.5, math.inf]
    assert kind.show(math.inf) == "+9.900000E+37"
    with pytest.raises(ScpiError, match="out of range"):
        kind.parse("2.001")
    assert [Boolean().parse(t) for t in ("ON", "off", "0.4", "2")] == [True, False, False, True]
    word = Choice("VOLTage", "CURRent", quoted=True)
    assert word.show(word.parse("'current'")) == '"CURR"'
    with pytest.raises(ScpiError) as caught:
        word.parse('"curre"')
    assert caught.value.code == -224


def test_channel_lists():
    assert channels("(@10101, 10203:10205)") == [("10101", "10101"), ("10203", "10205")]
    with pytest.raises(ScpiError):
        channels("@101")
