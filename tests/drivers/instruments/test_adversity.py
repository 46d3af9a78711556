"""What goes wrong on a bench: one clear error each, and the output goes off where it can."""

import threading
import time

import numpy as np
import pytest

from cimlab.core.errors import ConfigError, InstrumentError, LinkError, LinkTimeout
from cimlab.drivers.instruments import DRIVERS, VisaLink, open_instrument
from cimlab.mock_hw.instruments import EMULATORS, Bench, BenchServer, dut, serve

SMUS = ["keithley2400", "keithley2450", "keithley2636b", "keithley4200", "keysightb1500"]
PULSERS = ["keysight81160a", "keysight33522b", "keysightb1500-spgu", "keithley4200-pmu"]
SOURCES = SMUS + PULSERS
LEVELS = np.linspace(-0.2, 0.2, 9)
WAIT = 0.3
OFF = ("OUTP 0", "OUTP1 0", "output=0", "CL ", "DV1", "STATE 1,0")


def emulated(name):
    """Which emulator a driver is for."""
    return name.rpartition("-")[0] if name not in EMULATORS else name


class Rigged:
    """An emulator that can be told how to misbehave; it keeps what it was sent."""

    def __init__(self, emulator):
        self.emulator, self.end = emulator, emulator.end
        self.heard, self.trick = [], None

    def handle(self, message):
        text = message.decode("latin-1").strip()
        if text:
            self.heard.append(text)
        if self.trick is not None and (answer := self.trick(text)) is not None:
            return answer
        return self.emulator.handle(message)


@pytest.fixture(params=SOURCES)
def source(request):
    """A driver on a rigged emulator, with little patience."""
    name = request.param
    bench = Bench(dut("resistor:10e3"))
    rigged = Rigged(EMULATORS[emulated(name)](bench))
    with BenchServer(bench, {"it": rigged}) as server:
        kind = DRIVERS[name]
        driver = kind(VisaLink(server.resources["it"], end=kind.end, timeout=WAIT))
        rigged.server, rigged.bench = server, bench
        yield driver, rigged
        rigged.trick = None
        driver._link.close()


def use(driver):
    """A sweep, or pulses."""
    if hasattr(driver, "sweep"):
        return driver.sweep(LEVELS, 1e-3)
    return driver.pulse(1.0, 1e-6, 3)


def driven(rigged):
    """Whether anything still drives the device."""
    return [port for port in ("smu", "pulse") if port in rigged.bench.held]


def is_data(text):
    """A message that asks for what was measured, or how far the pulses are."""
    words = (
        "TRAC:DATA?",
        "READ?",
        "printbuffer",
        "TI ",
        "DO 'I1'",
        "*OPC?",
        "SPST?",
        "TEST:STATUS?",
    )
    return any(word in text for word in words)


@pytest.mark.parametrize("there", sorted({emulated(name) for name in DRIVERS}))
def test_another_instrument_at_the_address_is_named(there):
    with serve([there], "open") as server:
        for name, kind in DRIVERS.items():
            if emulated(name) == there or (kind.end == "\0") != (there == "keithley4200"):
                continue
            with pytest.raises(ConfigError, match=f"{kind.__name__} expected .* but '.+' answers"):
                open_instrument(name, server.resources[there])


@pytest.mark.parametrize(
    ("name", "there"), [("keithley4200", "keithley2450"), ("keithley2450", "keithley4200")]
)
def test_another_line_discipline_at_the_address_is_a_timeout(name, there):
    kind = DRIVERS[name]
    with serve([there], "open") as server, pytest.raises(LinkTimeout, match="did not answer"):
        kind(VisaLink(server.resources[there], end=kind.end, timeout=WAIT))


def test_an_error_of_the_instrument_in_mid_run_is_told_and_the_output_goes_off(source):
    """The instrument does what it was told, then says that it could not."""
    driver, rigged = source
    emulator = rigged.emulator
    triggers = ("INIT", "READ?", "delay(", "ME1", "TI ", "*TRG", "SRP", ":PMU:EXECUTE")

    def fails(text):
        if not text.startswith(":SYST") and any(word in text for word in triggers):
            rigged.trick = None
            if hasattr(emulator, "status"):
                emulator.status.error(-240, "Hardware error")
                if text == "READ?":
                    return b""
            elif hasattr(emulator, "_errors"):
                emulator._errors.append(120)
                return b""
            else:
                return b"Hardware failure (-240)\0"
        return None

    rigged.trick = fails
    with pytest.raises(InstrumentError, match="Hardware|120"):
        use(driver)
    assert not driven(rigged)
    use(driver)  # and it goes on


def test_silence_is_a_timeout_and_the_output_is_told_to_go_off(source):
    driver, rigged = source
    rigged.silent = False

    def trick(text):
        rigged.silent = rigged.silent or is_data(text)
        return b"" if rigged.silent else None

    rigged.trick = trick
    start = time.monotonic()
    with pytest.raises(LinkTimeout, match="did not answer in time"):
        use(driver)
    assert time.monotonic() - start < 20 * WAIT
    first = next(k for k, text in enumerate(rigged.heard) if is_data(text))
    end = time.monotonic() + 20
    while driven(rigged) and not any(word in text for text in rigged.heard[first:] for word in OFF):
        assert time.monotonic() < end, "nothing was told to go off"
        time.sleep(0.01)


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x80\x81", b"#@!?", b"", b"1,2,x", b"nan"])
def test_a_garbled_answer_is_one_error_and_the_output_goes_off(source, garbage):
    driver, rigged = source
    end = driver.end.encode()

    def garble(text):
        if not is_data(text):
            return None
        rigged.trick = None
        return (garbage + end) * max(text.count("TI "), 1)

    rigged.trick = garble
    with pytest.raises((InstrumentError, LinkError)):
        use(driver)
    assert not driven(rigged)
    use(driver)


def test_a_power_cycle_in_mid_run_is_one_error(source):
    """The line breaks, and whatever comes back has forgotten everything."""
    driver, rigged = source

    def dies(text):
        if is_data(text):
            threading.Thread(target=rigged.server.close).start()
            time.sleep(0.05)
            return b""
        return None

    rigged.trick = dies
    with pytest.raises(LinkError):
        use(driver)
    with pytest.raises(LinkError):
        use(driver)
