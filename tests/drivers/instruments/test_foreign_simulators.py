"""Our drivers on the simulation files that QCoDeS ships, through pyvisa-sim.

These files answer the messages of QCoDeS's own drivers, letter by letter. What a session of ours
says beyond them is listed here, is refused by the simulator (which the tests check), and is
answered by the tests in its place; everything else goes to the simulator and must be accepted.
There is none for the 2400, the 4200A, the 81160A and the 707B.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import qcodes.instrument.sims

from cimlab.core.errors import ConfigError, InstrumentError, LinkTimeout
from cimlab.drivers.instruments import DRIVERS, VisaLink

SIMS = Path(qcodes.instrument.sims.__file__).parent
TSP_OK = "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00"


def connect(matrix):
    matrix.connect([(2, 48)])
    matrix.connect([(10, 12)])
    matrix.off()


def connect_keithley(matrix):
    matrix.connect([(1, 1), (6, 16)])
    matrix.connect([(1, 1)])


def measure(smu):
    smu.apply(0.1, 1e-3)
    smu.measure()


CASES = {
    "keysightb2200": ("keysight_b220x.yaml", "GPIB::1::INSTR", connect, {}),
    "keithley3706a": (
        "Keithley_3706A.yaml",
        "GPIB::11::INSTR",
        connect_keithley,
        {r"errorqueue\.clear\(\)": None, r"print\(errorqueue\.next\(\)\)": TSP_OK},
    ),
    "keithley2636b": (
        "Keithley_2600.yaml",
        "GPIB::1::INSTR",
        measure,
        {
            r"errorqueue\.clear\(\)": None,
            r"print\(errorqueue\.next\(\)\)": TSP_OK,
            r"smua\.reset\(\)": None,
            r"smua\.source\.(func|offmode) = .*": None,
            r"smua\.nvbuffer1\..*": None,
            r"smua\.measure\.count = 1": None,
            r"smua\.measure\.i\(smua\.nvbuffer1\)": None,
            r"printbuffer\(1, 1, .*": "0.1, 1e-5, 0",
        },
    ),
    "keysightb1500": (
        "keysight_b1500.yaml",
        "GPIB::1::INSTR",
        measure,
        {
            r"ERR\?": "0,0,0,0",
            r"(FMT|TSC|FL|SSR) .*": None,
            r"CL 1": None,
            r"DV 1,0,0\.1,0\.001": None,  # the file knows a level only
            r"TI 1,0": "NAI+1.000000E-05",
        },
    ),
}
STATUS = {"keysightb2200": ("*ESR?", "0"), "keysightb1500": ("ERRX?", '+0,"No Error."')}
"""How each simulator says that it refused nothing since it was last asked."""


class Partly:
    """A link to a simulator, of which the test plays what it lacks."""

    def __init__(self, name, link, lacking):
        self._link, self._lacking = link, lacking
        self._status, self._fine = STATUS.get(name, ("*STB?", "0"))
        self._replies, self.patience = [], 0.0
        self.refused, self.accepted = set(), set()
        self._ask_status()

    def _ask_status(self):
        self._link.write(self._status)
        return self._link.read()

    def write(self, message):
        lacks = [p for p in self._lacking if re.fullmatch(p, message)]
        self._link.write(message)
        if not lacks:
            self._waiting = message.rstrip("0 ").endswith("?") or message.startswith("print")
            if not self._waiting:
                assert self._ask_status() == self._fine, message
            self.accepted.add(message)
            return
        with pytest.raises(LinkTimeout):
            self._link.read()
        assert self._ask_status() != self._fine, f"the simulator knows {message!r} by now"
        self.refused.add(lacks[0])
        self._replies.append(self._lacking[lacks[0]])
        self._waiting = False

    def read(self):
        if self._waiting:
            return self._link.read()
        return next(reply for reply in reversed(self._replies) if reply is not None)

    def clear(self):
        self._link.clear()

    def close(self):
        self._link.close()


def simulator(file, resource, end):
    end = "\r\n" if "b1500" in file else end  # the file insists
    return VisaLink(resource, visa=f"{SIMS / file}@sim", end=end, timeout=0.02)


@pytest.mark.parametrize("name", CASES)
def test_a_session_of_ours_is_accepted_but_for_what_the_file_lacks(name):
    file, resource, session, lacking = CASES[name]
    kind = DRIVERS[name]
    link = Partly(name, simulator(file, resource, kind.end), lacking)
    driver = kind(link)
    session(driver)
    driver.close()
    assert link.refused == set(lacking)
    assert link.accepted


def test_the_b2200_needs_nothing_that_the_file_lacks():
    file, resource, session, lacking = CASES["keysightb2200"]
    assert not lacking
    matrix = DRIVERS["keysightb2200"](simulator(file, resource, "\n"))
    session(matrix)
    matrix.close()


def test_the_file_of_the_2450_is_no_2450_and_that_of_the_33522b_knows_no_reset():
    """Neither says more: the first names another model, the second has three settings."""
    with pytest.raises(ConfigError, match="Keithley2450 expected.*'QCoDeS, correct mode"):
        DRIVERS["keithley2450"](simulator("Keithley_2450.yaml", "GPIB::2::INSTR", "\n"))
    with pytest.raises(InstrumentError, match=r"\*CLS.*ERROR"):
        DRIVERS["keysight33522b"](simulator("Keysight_33xxx.yaml", "GPIB::1::INSTR", "\n"))


def test_what_the_simulators_measure_is_read_as_the_driver_reads_it():
    """The 2600's file keeps what it is told: the level that our driver set is read back."""
    file, resource, _, lacking = CASES["keithley2636b"]
    kind = DRIVERS["keithley2636b"]
    smu = kind(Partly("keithley2636b", simulator(file, resource, kind.end), lacking))
    smu.nplc = 0.5
    smu.output = 1
    assert np.isclose(smu.nplc, 0.5)
    assert smu.output == 1
    smu.close()
