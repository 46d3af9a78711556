"""Sweeps that take longer than a link waits, and Ctrl-C in the middle of them.

By the datasheets first; then on emulators that take their time, as instruments do.
"""

import os
import signal
import threading
import time

import numpy as np
import pytest

from cimlab.core.errors import InstrumentError, LinkTimeout
from cimlab.drivers.instruments import DRIVERS, VisaLink, keithley
from cimlab.drivers.instruments.keithley import Keithley2400, Keithley2450
from cimlab.drivers.instruments.keithley2600 import Keithley2600B
from cimlab.drivers.instruments.keithley4200 import Keithley4200
from cimlab.drivers.instruments.keysightb1500 import KeysightB1500
from cimlab.drivers.instruments.timing import longest
from cimlab.mock_hw.instruments import EMULATORS, Bench, BenchServer, dut
from tests.drivers.instruments.script import Script
from tests.drivers.instruments.test_adversity import Rigged, driven, emulated
from tests.drivers.instruments.test_keithley_smus import HELLO_2400, HELLO_2450, OK

LEVELS = np.linspace(-0.2, 0.2, 2000)
TSP_OK = ("print(errorqueue.next())", "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00")


class Loose(Script):
    """A script that begins at a message; what is sent before is only answered."""

    def __init__(self, answers, first, *pairs):
        super().__init__(*pairs)
        self._answers, self._first, self.begun = answers, first, False

    def write(self, message):
        self.begun = self.begun or message == self._first
        if self.begun:
            super().write(message)
        elif (answer := self._answers(message)) is not None:
            self._replies.append(answer)


def test_2400_by_its_manual():
    """While it sweeps it hears ABORt, little else (user's manual, section 11)."""

    def answers(message):
        known = {**dict([HELLO_2400[0], OK]), "SENS:CURR:NPLC?": "1.00"}
        return known.get(message)

    script = Loose(
        answers,
        "READ?",
        ("READ?", KeyboardInterrupt()),
        ("<clear>", None),
        ("ABOR", None),
        ("OUTP 0", None),
        ("SOUR:VOLT:MODE FIX", None),
        ("SOUR:DEL:AUTO 1", None),
        ("*IDN?", HELLO_2400[0][1]),  # what was late is dropped
        OK,
    )
    smu = Keithley2400(script)
    with pytest.raises(KeyboardInterrupt):
        smu.sweep(LEVELS, 1e-3, 1e-3)
    script.done()
    seconds = 2000 * (1e-3 + 3 / 50 + 0.05)
    assert script.waits == [pytest.approx(seconds), 0.0]


def test_2450_by_its_manual(monkeypatch):
    monkeypatch.setattr(keithley, "POLL_LAST", 0.0)

    def answers(message):
        known = {**dict([*HELLO_2450[:2], OK]), "SENS:CURR:NPLC?": "1.00"}
        return known.get(message)

    script = Loose(
        answers,
        "INIT",
        ("INIT", None),
        ("TRIG:STAT?", "RUNNING;RUNNING;3"),
        ("TRIG:STAT?", KeyboardInterrupt()),
        ("<clear>", None),
        ("ABOR", None),
        ("OUTP 0", None),
        ("*IDN?", HELLO_2450[0][1]),
        OK,
    )
    smu = Keithley2450(script)
    with pytest.raises(KeyboardInterrupt):
        smu.sweep(LEVELS, 1e-3, 1e-3)
    script.done()


def test_a_2450_that_never_comes_to_an_end_is_one_error(monkeypatch):
    monkeypatch.setattr(keithley, "PATIENCE", -1e4)

    def answers(message):
        known = {**dict([*HELLO_2450[:2], OK]), "SENS:CURR:NPLC?": "1.00"}
        return known.get(message)

    script = Loose(
        answers,
        "TRIG:STAT?",
        ("TRIG:STAT?", "RUNNING;RUNNING;3"),
        ("<clear>", None),
        ("ABOR", None),
        ("OUTP 0", None),
        OK,
    )
    smu = Keithley2450(script)
    with pytest.raises(InstrumentError, match="RUNNING;RUNNING;3 after 222 s and more"):
        smu.sweep(LEVELS, 1e-3, 1e-3)
    script.done()


def test_2600b_by_its_manual():
    """A loop keeps it from reading: the word abort ends the script, then the output goes off."""
    who = ("*IDN?", "Keithley Instruments Inc., Model 2636B, 4412345, 3.3.5")

    def answers(message):
        return {**dict([who, TSP_OK]), "print(smua.measure.nplc)": "10"}.get(message)

    loop = (
        "for _, x in ipairs(cimlab_v) do smua.source.levelv = x "
        "delay(0.001) smua.measure.i(smua.nvbuffer1) end"
    )
    script = Loose(
        answers,
        loop,
        (loop, None),
        (TSP_OK[0], KeyboardInterrupt()),
        ("<clear>", None),
        ("abort", None),
        ("smua.abort()", None),
        ("smua.source.output=0", None),
        who,
        TSP_OK,
    )
    smu = Keithley2600B(script)
    with pytest.raises(KeyboardInterrupt):
        smu.sweep(LEVELS, 1e-3, 1e-3)
    script.done()
    assert script.waits == [pytest.approx(2000 * (1e-3 + 3 * 10 / 50 + 0.05)), 0.0]


def test_b1500_by_its_guide():
    """AB ends what it is at and what waits."""
    who = ("*IDN?", "Agilent Technologies,B1500A,MY55231213,A.06.02.2023.0401")

    def answers(message):
        known = {who[0]: who[1], "ERR?": "0,0,0,0", "UNT? 0": "B1517A,0", "ERRX?": '+0,"No."'}
        return known.get(message)

    line = "DV 1,0,0.1,0.001;PA 0.0010;TI 1,0;DV 1,0,0.2,0.001;PA 0.0010;TI 1,0"
    script = Loose(
        answers,
        line,
        (line, KeyboardInterrupt()),
        ("<clear>", None),
        ("AB", None),
        ("CL 1", None),
        who,
        ("ERRX?", '+0,"No Error."'),
    )
    smu = KeysightB1500(script)
    with pytest.raises(KeyboardInterrupt):
        smu.sweep(np.array([0.1, 0.2]), 1e-3, 1e-3)
    script.done()
    assert script.waits == [pytest.approx(2 * 0.101), 0.0]


def test_4200_by_its_manual():
    """ME4 ends a test; KXCI acknowledges each message."""
    who = ("ID", "KI4200A V1.13.0")

    def answers(message):
        return who[1] if message == who[0] else "ACK"

    script = Loose(
        answers,
        "ME1",
        ("ME1", "ACK"),
        ("SP", KeyboardInterrupt()),
        who,
        ("MD", "ACK"),
        ("ME4", "ACK"),
        ("US;DV1", "ACK"),
    )
    smu = Keithley4200(script)
    with pytest.raises(KeyboardInterrupt):
        smu.sweep(LEVELS, 1e-3, 1e-3)
    script.done()


def test_the_integration_time_is_not_asked_where_it_cannot_matter():
    def never():
        raise AssertionError

    assert longest(6, 0.0, never) == 0.0
    assert longest(7, 0.0, lambda: 1.0) == pytest.approx(7 * 0.11)
    assert longest(1, 60.0, lambda: 1.0) > 60


TRIGGERS = {
    "keithley2400": "READ?",
    "keithley2450": "INIT",
    "keithley2636b": "for _, x in ipairs(cimlab_v)",
    "keithley4200": "ME1",
    "keysightb1500": "TI 1,0",
    "keithley4200-pmu": ":PMU:EXECUTE",
}
STOPS = {
    "keithley2400": ("ABOR", "OUTP 0"),
    "keithley2450": ("ABOR", "OUTP 0"),
    "keithley2636b": ("abort", "smua.source.output=0"),
    "keithley4200": ("ME4", "US;DV1"),
    "keysightb1500": ("AB", "CL 1"),
    "keithley4200-pmu": (":PMU:TEST:ABORT", ":PMU:OUTPUT:STATE 1,0"),
}
GOING_ON = {"keithley2450": ("TRIG:STAT?", b"RUNNING;RUNNING;3\n"), "keithley4200": ("SP", b"2\0")}
GOING_ON["keithley4200-pmu"] = (":PMU:TEST:STATUS?", b"1\0")
"""What those that are asked answer while they are at it; the others answer nothing."""
WAIT, TAKES = 0.15, 0.5


@pytest.fixture(params=TRIGGERS)
def slow(request):
    """A driver that waits for WAIT s on an emulator whose sweeps take TAKES s."""
    name = request.param
    bench = Bench(dut("resistor:10e3"))
    rigged = Rigged(EMULATORS[emulated(name)](bench))
    rigged.until = 0.0

    def trick(text):
        if TRIGGERS[name] in text and not rigged.until:
            rigged.until = time.monotonic() + TAKES
            if name not in GOING_ON:
                time.sleep(TAKES)
        question, answer = GOING_ON.get(name, ("", b""))
        going_on = time.monotonic() < rigged.until and not set(STOPS[name]) & set(rigged.heard)
        return answer if text == question and going_on else None

    with BenchServer(bench, {"it": rigged}) as server:
        kind = DRIVERS[name]
        driver = kind(VisaLink(server.resources["it"], end=kind.end, timeout=WAIT))
        rigged.heard.clear()
        rigged.trick, rigged.bench = trick, bench
        yield name, driver, rigged
        rigged.trick = None
        driver._link.close()


def use(driver):
    """A sweep, or a train."""
    if hasattr(driver, "sweep"):
        return driver.sweep(LEVELS[::50], 1e-3)
    return driver.train(np.full(3, 1.0), np.full(3, 1e-6), 0.1)


def test_a_sweep_may_take_longer_than_a_link_waits(slow):
    _, driver, rigged = slow
    start = time.monotonic()
    samples = use(driver)
    assert time.monotonic() - start > TAKES
    assert samples.i == pytest.approx(samples.v / 10e3, rel=5e-3, abs=1e-9)
    assert not driven(rigged)
    rigged.trick = lambda text: b""
    assert driver._link.patience == 0.0
    with pytest.raises(LinkTimeout):  # and then it waits as long as ever
        driver.query(driver.identify)


def test_ctrl_c_in_mid_sweep_stops_the_instrument_before_its_output(slow):
    name, driver, rigged = slow
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        use(driver)
    end = time.monotonic() + 5
    while driven(rigged):
        assert time.monotonic() < end
        time.sleep(0.01)
    stop, off = STOPS[name]
    began = next(k for k, text in enumerate(rigged.heard) if TRIGGERS[name] in text)
    after = rigged.heard[began + 1 :]
    assert after.index(stop) < after.index(off)
    assert use(driver).i.size  # and it goes on
