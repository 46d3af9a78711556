"""The parsers that are no SCPI: whatever arrives, they answer or refuse, and go on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimlab.mock_hw.instruments import Bench, dut
from cimlab.mock_hw.instruments.keithley4200 import Keithley4200
from cimlab.mock_hw.instruments.keysightb1500 import KeysightB1500

FLEX = KeysightB1500(Bench(dut("resistor:10e3")))
KXCI = [
    "DE",
    "SS",
    "SM",
    "MD",
    "US",
    "CH",
    "VR1",
    "VR2",
    "VL1",
    "VC",
    "IC",
    "HT",
    "DT",
    "IT",
    "ME1",
    "ME",
    "RD",
    "DO",
    "TI",
    "TV",
    "DV",
    "DI",
    "US;DV",
    "SP",
    "BC",
    "*OPT?",
    "INIT",
    "EXECUTE",
    "OUTPUT:STATE",
    "PULSE:TRAIN",
    "PULSE:TIMES",
    "PULSE:BURST:COUNT",
    "MEASURE:MODE",
    "MEASURE:PIV",
    "MEASURE:RANGE",
    "SWEEP:PULSE:AMPLITUDE",
    "STEP:PULSE:AMPLITUDE",
    "SARB:SEQ:TIME",
    "SARB:SEQ:STARTV",
    "SARB:SEQ:STOPV",
    "SARB:SEQ:MEAS:TYPE",
    "SARB:WFM:SEQ:LIST",
    "DATA:GET",
    "DATA:COUNT?",
    "SOURCE:RANGE",
    "LOAD",
]
WORDS = {
    KeysightB1500: sorted(FLEX._handlers),
    Keithley4200: [
        f":PMU:{word}" if len(word) > 5 or word in ("INIT", "LOAD") else word for word in KXCI
    ],
}
VALUES = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "3",
        "5",
        "11",
        "301",
        "-1",
        "0.1",
        "-0.5",
        "1e-6",
        "1e-3",
        "10",
        "100",
        "nan",
        "inf",
        "1e999",
        "",
        "x",
        "'V'",
        "'I'",
        "ÿ",
        "PMU1-1",
    ]
)


@pytest.mark.parametrize("kind", WORDS)
def test_no_message_breaks_the_instrument(kind):
    messages = st.builds(
        "{}{}{}".format,
        st.sampled_from(WORDS[kind]),
        st.sampled_from([" ", "", " ,"]),
        st.lists(VALUES, max_size=8).map(",".join),
    ) | st.text(st.characters(max_codepoint=255), max_size=20)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(messages, max_size=20))
    def play(sent):
        instrument = kind(Bench(dut("resistor:10e3")))
        for message in sent:
            answer = instrument.handle(message.encode("latin-1"))
            assert kind is KeysightB1500 or answer.endswith(b"\0")
        assert b"B1500A" in instrument.handle(b"*IDN?") or b"KI4200A" in instrument.handle(b"ID")

    play()
