"""What every emulated SCPI instrument must do: framing, errors, status, *RST."""

import socket

import pytest

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.instruments import EMULATORS, Bench, dut, serve
from cimlab.mock_hw.instruments.emulator import ScpiEmulator

ALL = [name for name, kind in EMULATORS.items() if issubclass(kind, ScpiEmulator)]


@pytest.fixture(params=ALL)
def instrument(request):
    return EMULATORS[request.param](Bench(dut("open")))


def ask(instrument, message):
    return instrument.handle(message.encode()).decode().rstrip("\n")


def test_identity_in_any_case_and_with_stray_semicolons(instrument):
    for message in ("*IDN?", "*idn?;", " *IDN? ", ":*IDN?"):
        assert ask(instrument, message).count(",") == 3


def test_a_mistake_is_queued_in_order_and_sets_its_event(instrument):
    ask(instrument, "*CLS;*ESE 255;*SRE 32")
    assert ask(instrument, "NONSENSE:HEADER 1;*ESE") == ""
    assert ask(instrument, "SYST:ERR:COUN?") == "2"
    assert int(ask(instrument, "*STB?")) & 0x64 == 0x64  # error queue, event, service request
    assert int(ask(instrument, "*ESR?")) == 0x20
    assert int(ask(instrument, "*ESR?")) == 0
    assert ask(instrument, "SYSTem:ERRor?").startswith('-113,"Undefined header')
    assert ask(instrument, ":syst:err:next?").startswith('-109,"Missing parameter')
    assert int(ask(instrument, "SYST:ERR?").split(",")[0]) == 0
    assert int(ask(instrument, "*STB?")) & 0x64 == 0


def test_the_queue_says_when_it_overflowed(instrument):
    ask(instrument, "*CLS")
    for _ in range(12):
        ask(instrument, "WRONG")
    codes = [int(ask(instrument, "SYST:ERR?").split(",")[0]) for _ in range(11)]
    assert codes == [-113] * 9 + [-350, 0]


def test_operation_complete_and_the_masks(instrument):
    assert ask(instrument, "*CLS;*OPC;*ESE 1;*ESR?;*ESE?;*OPC?;*WAI;*TST?") == "1;1;1;0"


def test_reset_restores_every_setting(instrument):
    answers = {}
    for each in type(instrument).settings:
        answers[each.key] = instrument.get(each.key)
        instrument.put(each.key, "something else")
    ask(instrument, "*RST")
    assert {key: instrument.get(key) for key in answers} == answers


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_messages_over_tcp_may_come_in_pieces(name, end):
    with serve([name], "open") as server:
        port = int(server.resources[name].split("::")[2])
        with socket.create_connection(("127.0.0.1", port)) as host:
            for piece in (b"*I", b"DN?;*OP", b"C?" + end + b"*OPC?", end):
                host.sendall(piece)
            received = b""
            while received.count(b"\n") < 2:
                received += host.recv(100)
    assert received.split(b"\n")[0].endswith(b";1")
    assert received.split(b"\n")[1:] == [b"1", b""]


def test_an_unknown_instrument_or_device_is_named():
    with pytest.raises(ConfigError, match="'keithley9999'.*keithley2450"):
        serve(["keithley9999"], "open")
    for text in ("resistor:red", "resistor:-1", "crossbar:0x4:brram", "nothing"):
        with pytest.raises(ConfigError):
            serve(["keithley2450"], text)
